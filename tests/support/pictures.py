"""Pictures for MMS, as uploads of an account."""

from heliograph.db.engine import Tx
from heliograph.files import store
from support.server import Api

PICTURE = bytes.fromhex("47494638396101000100800000ffffff0000002c00000000010001000002024401003b")
"""A GIF of one pixel."""


def kept(api: Api, octets: bytes = PICTURE, ending: str = "gif", target: str = "mms") -> str:
    """An upload of the account, as the conversion for MMS would have left it; its `file_name`."""
    house = api.server.house

    def record(tx: Tx) -> str:
        kind = f"image/{'jpeg' if ending == 'jpg' else ending}"
        file_id = store.create(tx, api.user_id, f"picture.{ending}", kind, 600, size=len(octets))
        store.upload(tx, api.user_id, file_id, target, 0)
        return file_id

    return f"{api.server.call(lambda: store.save(house.database, house.files, octets, record))}.{ending}"

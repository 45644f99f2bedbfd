"""How the subscribers of the simulated SMSC behave, by the last six digits of their number: docs/sandbox.md as data."""

import time
from typing import Final

import msgspec

from heliograph.transports.sandbox.visits import Visit
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import ShortMessage

DELIVERED, EXPIRED, UNDELIVERABLE = 2, 3, 5
"""message_state (SMPP 3.4, 5.2.28)."""


class Scenario(msgspec.Struct, frozen=True):
    """What becomes of a message. `stat` empty: no receipt. `reply` is the text of an MO that comes back. `visit`: what
    its subscriber does with short links of the house.
    """

    status: int = pdu.ESME_ROK
    stat: str = "DELIVRD"
    state: int = DELIVERED
    error: str = "000"
    delayed: bool = False
    receipts: int = 1
    reply: str = ""
    echo: bool = False
    visit: Visit = ""
    throttled: bool = False
    dropped: bool = False


ORDINARY: Final = Scenario()
SCENARIOS: Final = {
    "999001": Scenario(stat="UNDELIV", state=UNDELIVERABLE, error="001"),
    "999002": Scenario(delayed=True),
    "999003": Scenario(stat=""),
    "999004": Scenario(status=pdu.ESME_RINVDSTADR),
    "999005": Scenario(throttled=True),
    "999006": Scenario(reply="STOP"),
    "999007": Scenario(echo=True),
    "999008": Scenario(stat="EXPIRED", state=EXPIRED, error="003"),
    "999009": Scenario(dropped=True),
    "999010": Scenario(receipts=2),
    "999011": Scenario(visit="click"),
    "999012": Scenario(visit="confirm"),
    "999013": Scenario(visit="preview"),
}


def scenario_of(number: str) -> Scenario:
    """The scenario of a recipient."""
    return SCENARIOS.get(number[-6:], ORDINARY)


def receipts(message: ShortMessage, remote_id: str, scenario: Scenario) -> list[bytes]:
    """Bodies of the receipts that were asked for (registered_delivery 1: any, 2: of failures; SMPP 3.4, 5.2.17)."""
    wanted = message.registered_delivery & 3
    if not scenario.stat or not (wanted == 1 or (wanted == 2 and scenario.state != DELIVERED)):
        return []
    return [_receipt(message, remote_id, scenario)] * scenario.receipts


def _receipt(message: ShortMessage, remote_id: str, scenario: Scenario) -> bytes:
    """Body of a deliver_sm with the receipt's text (SMPP 3.4, appendix B) and TLVs, from recipient to sender."""
    stamp = time.strftime("%y%m%d%H%M", time.gmtime())
    delivered = "001" if scenario.state == DELIVERED else "000"
    text = (
        f"id:{remote_id} sub:001 dlvrd:{delivered} submit date:{stamp} done date:{stamp} "
        f"stat:{scenario.stat} err:{scenario.error} text:"
    )
    return pdu.encode_short_message(
        pdu.encode_address(message.dest),
        pdu.encode_address(message.source),
        text.encode("ascii"),
        esm_class=pdu.RECEIPT,
        tlvs=[
            (pdu.TAG_RECEIPTED_MESSAGE_ID, pdu.c_string(remote_id)),
            (pdu.TAG_MESSAGE_STATE, bytes((scenario.state,))),
        ],
    )

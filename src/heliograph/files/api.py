"""HTTP shape of the upload (endpoint 168)."""

import asyncio
import binascii
import io
import re
from typing import Annotated

import msgspec
from python_multipart.multipart import Field, File, create_form_parser

from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, TooManyRequests
from heliograph.files import store as files
from heliograph.files.convert import Busy, Converted
from heliograph.files.task import TARGETS, Refused
from heliograph.http.fields import UnixTime, about
from heliograph.http.request import Reply, Request


class Upload(msgspec.Struct):
    """Body of an upload. `convert` may stand in the query as well."""

    content: Annotated[
        str, about("The file in Base64, also as a data URI.", "R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")
    ]
    convert: Annotated[str, about("What it is for: fax, mms, csv, post or postcard.", "fax")] = ""


class Uploaded(msgspec.Struct):
    """`data` of an upload."""

    upload_id: int
    file_name: Annotated[str, about("Its id and what it has become.", "161BFA93-3660-4B03-9BCB-7629166F2E91.pdf")]
    date_added: UnixTime
    date_delete: Annotated[int, about("Unix time at which it is removed, unless a message needs it.", 1792141200)]
    user_id: int
    url: Annotated[str, about("Where it can be downloaded, without credentials.")] = msgspec.field(name="_url")


class Given(msgspec.Struct, frozen=True):
    """What came in, in either way."""

    data: bytes
    name: str
    target: str


async def upload(req: Request) -> Reply:
    """168. Upload a file. It is converted for its purpose and kept for a while."""
    given = await asyncio.to_thread(_given, req)
    try:
        made = await req.services.converter.convert(given.data, given.name, given.target)
    except Refused as refused:
        raise BadRequest({"content": str(refused)}, str(refused)) from None
    except Busy:
        raise TooManyRequests("Too many files are being converted.", headers={"Retry-After": "10"}) from None
    return Reply(await _stored(req, given.target, made))


async def _stored(req: Request, target: str, made: Converted) -> Uploaded:
    user_id, database = req.who.user_id, req.services.database
    life = req.services.settings.upload_life

    def record(tx: Tx) -> tuple[str, int, int]:
        file_id = files.create(tx, user_id, made.name, made.content_type, life)
        return file_id, files.upload(tx, user_id, file_id, target), tx.now

    file_id, upload_id, now = await database.write(record)
    await asyncio.to_thread(req.services.files.put, file_id, io.BytesIO(made.data))
    await database.write(lambda tx: files.finish(tx, file_id, len(made.data)))
    name = f"{file_id}.{made.extension}"
    return Uploaded(upload_id, name, now, now + life, user_id, f"{req.base_url}/files/{name}")


def _given(req: Request) -> Given:
    """The file and what shall become of it. Raises BadRequest."""
    query = req.query.get("convert", "")
    if req.header("content-type").lower().startswith("multipart/form-data"):
        data, name, convert = _form(req)
    else:
        body = req.decode(Upload)
        data, name, convert = _decoded(body.content), "", body.convert
    target = (query or convert).strip().lower()
    faults = {}
    if target not in TARGETS:
        faults["convert"] = f"Convert must be one of {', '.join(TARGETS)}."
    if not data:
        faults["content"] = "Content field is required."
    if faults:
        raise BadRequest(faults)
    return Given(data, files.safe_name(name, "upload"), target)


def _decoded(text: str) -> bytes:
    """Base64, in one line or in many, and as a data URI as well. Raises BadRequest."""
    text = re.sub(r"^data:[\w/+.;=-]*,", "", text[:200]) + text[200:]
    try:
        return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadRequest({"content": "Content must be Base64."}) from None


def _form(req: Request) -> tuple[bytes, str, str]:
    """(file, its name, `convert`) of a form (RFC 7578); the field's name does not matter. Raises BadRequest."""
    fields: dict[str, bytes] = {}
    found: list[tuple[bytes, str]] = []

    def on_field(field: Field) -> None:
        fields[(field.field_name or b"").decode("utf-8", "replace")] = field.value or b""

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        found.append((file.file_object.read(), (file.file_name or b"").decode("utf-8", "replace")))
        file.close()

    headers = {"Content-Type": req.headers[b"content-type"]}
    try:
        parser = create_form_parser(headers, on_field, on_file, {"MAX_MEMORY_FILE_SIZE": len(req.body) + 1})
        parser.write(req.body)
        parser.finalize()
    except ValueError:  # every error of the parser is one
        raise BadRequest({"content": "The form cannot be read."}) from None
    if len(found) > 1:
        raise BadRequest({"content": "Send one file at a time."})
    data, name = found[0] if found else (fields.get("content", b""), "")
    return data, name, fields.get("convert", b"").decode("utf-8", "replace")

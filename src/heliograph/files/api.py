"""HTTP shape of the upload (endpoint 168)."""

import asyncio
import binascii
import re
from typing import Annotated

import msgspec
from python_multipart.multipart import Field, File, create_form_parser

from heliograph.errors import BadRequest, TooManyRequests, required
from heliograph.fields import UnixTime, about
from heliograph.files import store as files
from heliograph.files.convert import Busy
from heliograph.files.task import TARGETS, Refused
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Query

CONVERT = Query("convert", "What the file is for: fax, mms, csv, post or postcard.", {"type": "string"})


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


class SentFile(msgspec.Struct, frozen=True):
    """A file as it came in, as JSON or in a form."""

    data: bytes
    name: str
    target: str


@endpoint("Your file has been uploaded.", Uploaded, body=Upload, query=(CONVERT,), uploads=True)
async def upload(req: Request) -> Reply:
    """Upload a file. It is converted for its purpose and kept for a while."""
    file = await asyncio.to_thread(_sent_file, req)
    try:
        stored = await req.services.attachments.upload(req.who.user_id, file.data, file.name, file.target)
    except Refused as refused:
        raise BadRequest({"content": str(refused)}, str(refused)) from None
    except Busy:
        raise TooManyRequests("Too many files are being converted.", headers={"Retry-After": "10"}) from None
    url = f"{req.base_url}/files/{stored.file_name}"
    return Reply(
        Uploaded(stored.upload_id, stored.file_name, stored.created_at, stored.expires_at, req.who.user_id, url)
    )


def _sent_file(req: Request) -> SentFile:
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
        faults["content"] = required("content")
    if faults:
        raise BadRequest(faults)
    return SentFile(data, files.safe_name(name, "upload"), target)


def _decoded(text: str) -> bytes:
    """Base64 in either alphabet (RFC 4648, 4 and 5), padded or not, in one line or in many, also as a data URI.

    Raises BadRequest.
    """
    text = "".join(text.split())
    text = re.sub(r"^data:[\w/+.;=-]*,", "", text[:200]) + text[200:]
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64((plain + "=" * (-len(plain) % 4)).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadRequest({"content": "Content must be Base64."}) from None


def _form(req: Request) -> tuple[bytes, str, str]:
    """(file, its name, `convert`) of a form (RFC 7578); the field's name does not matter. Raises BadRequest."""
    fields: dict[str, bytes] = {}
    sent: list[tuple[bytes, str]] = []

    def on_field(field: Field) -> None:
        fields[(field.field_name or b"").decode("utf-8", "replace")] = field.value or b""

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        sent.append((file.file_object.read(), (file.file_name or b"").decode("utf-8", "replace")))
        file.close()

    headers = {"Content-Type": req.headers[b"content-type"]}
    try:
        parser = create_form_parser(headers, on_field, on_file, {"MAX_MEMORY_FILE_SIZE": len(req.body) + 1})
        parser.write(req.body)
        parser.finalize()
    except ValueError:  # every error of the parser is one
        raise BadRequest({"content": "The form cannot be read."}) from None
    if len(sent) > 1:
        raise BadRequest({"content": "Send one file at a time."})
    data, name = sent[0] if sent else (fields.get("content", b""), "")
    return data, name, fields.get("convert", b"").decode("utf-8", "replace")

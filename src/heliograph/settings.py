"""Every option, once: type, default, one sentence. The only reader of the environment and of heliograph.toml."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class SettingsError(Exception):
    """A wrong option: the text says where it stands and what is wrong with it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a process. Each is read from HELIOGRAPH_<NAME IN CAPITALS>; a command-line flag wins over it."""

    data: Annotated[Path, Meta(description="Folder of the database, the files, the keys and heliograph.toml.")] = Path(
        "heliograph-data"
    )
    mode: Annotated[
        Literal["sandbox", "production"],
        Meta(
            description="sandbox: demo account, built-in carriers, private webhook targets. production: none of them."
        ),
    ] = "sandbox"
    database: Annotated[
        str, Meta(description="postgresql://… to use PostgreSQL; empty: SQLite in the data folder.")
    ] = ""
    host: Annotated[str, Meta(description="Address that the server listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port that the server listens on; 0 takes a free one.")] = (
        8310
    )
    role: Annotated[
        Literal["all", "api", "worker"],
        Meta(description="api: HTTP only. worker: delivery only. all: both in one process."),
    ] = "all"
    public_url: Annotated[
        str, Meta(description="Address that customers use, for links in answers; empty: taken from each request.")
    ] = ""
    secret: Annotated[
        str,
        Meta(
            description="Master secret for keys at rest; empty: made once and kept in the data folder (sandbox only)."
        ),
    ] = ""
    config: Annotated[str, Meta(description="Path of heliograph.toml; empty: the one in the data folder.")] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "pretty", "json"], Meta(description="auto: pretty on a terminal, JSON otherwise.")
    ] = "auto"
    max_body: Annotated[int, Meta(ge=1024, description="Largest request body, in bytes.")] = 8 * 1024 * 1024
    rate_limit: Annotated[
        str, Meta(description="Requests that one account may make to one endpoint, as '6000/minute'.")
    ] = "600000/minute"
    login_limit: Annotated[
        str, Meta(description="Failed logins from one address before it has to wait, as '30/minute'.")
    ] = "30/minute"
    rate_limit_store: Annotated[
        str, Meta(description="memory:// for one process, redis://… when several processes share the limits.")
    ] = "memory://"
    cors_origins: Annotated[
        str, Meta(description="Origins that browsers may call from, separated by commas; * for any.")
    ] = ""
    new_accounts: Annotated[
        Literal["active", "verify"],
        Meta(description="verify: a registered account sends nothing until it has verified a phone number."),
    ] = "active"
    countries: Annotated[
        Literal["all", "home"],
        Meta(description="Where an account may send SMS before it has selected countries; home: its default country."),
    ] = "all"
    trial_credit: Annotated[str, Meta(description="Credit of a newly registered account, in its currency.")] = "5.00"
    throttle_seconds: Annotated[
        int, Meta(ge=0, description="The same text to the same recipient within this time is THROTTLED; 0: never.")
    ] = 5
    validity_hours: Annotated[int, Meta(ge=1, description="Hours until a message without a receipt fails.")] = 72
    lease_seconds: Annotated[
        int, Meta(ge=1, description="Seconds after which the work of a lost process is taken up by another.")
    ] = 120
    shared_senders: Annotated[
        str, Meta(description="Numbers (E.164, by commas) that messages without a sender go out from.")
    ] = "+61481074190,+447480737373,+12025550142"
    import_limit: Annotated[int, Meta(ge=1024, description="Largest file to import contacts from, in bytes.")] = (
        256 * 1024 * 1024
    )
    webhook_attempts: Annotated[int, Meta(ge=1, description="Tries to push an event to a URL.")] = 10
    webhook_interval: Annotated[int, Meta(ge=0, description="Seconds between two tries of a webhook.")] = 600
    webhook_timeout: Annotated[int, Meta(ge=1, description="Seconds that a webhook's answer may take.")] = 30
    webhook_private: Annotated[
        Literal["auto", "allow", "refuse"],
        Meta(description="Whether URLs may point at private addresses; auto: only in sandbox mode."),
    ] = "auto"
    mail_from: Annotated[str, Meta(description="Sender address of mails that the server writes.")] = (
        "heliograph@localhost.localdomain"
    )
    reply_domain: Annotated[
        str, Meta(description="Domain of the addresses that replies by mail come from: <number>@domain.")
    ] = "sms.heliograph.localdomain"
    max_upload: Annotated[int, Meta(ge=1024, description="Largest body of an upload, in bytes.")] = 16 * 1024 * 1024
    upload_life: Annotated[
        int, Meta(ge=1, description="Seconds that an uploaded file lives, unless a message needs it longer.")
    ] = 600
    soffice: Annotated[
        str, Meta(description="LibreOffice's program, for doc, docx, rtf and txt: a name on the PATH, or a path.")
    ] = "soffice"
    conversions: Annotated[int, Meta(ge=1, description="Files that are converted at the same time.")] = 2
    convert_seconds: Annotated[int, Meta(ge=1, description="Seconds that the conversion of a file may take.")] = 60
    convert_memory: Annotated[
        int, Meta(ge=256, description="Address space of a process that converts a file, in megabytes.")
    ] = 2048
    export_rows: Annotated[int, Meta(ge=1, description="Most rows of an export; a longer one is refused.")] = 1_000_000
    export_at_once: Annotated[
        int, Meta(ge=0, description="Rows up to which an export is written within the request; more make a job.")
    ] = 5000
    file_store: Annotated[
        str, Meta(description="s3://bucket/prefix to keep files in an S3-compatible store; empty: the data folder.")
    ] = ""
    s3_endpoint: Annotated[str, Meta(description="URL of the S3-compatible store; empty: Amazon's.")] = ""
    s3_region: Annotated[str, Meta(description="Region of the bucket.")] = ""
    s3_key_id: Annotated[str, Meta(description="Access key; empty: what the machine provides.")] = ""
    s3_secret: Annotated[str, Meta(description="Secret of the access key.")] = ""
    key_overlap: Annotated[
        int, Meta(ge=0, description="Seconds that a replaced API key works beside the new one; 0: it dies at once.")
    ] = 0
    referral_percent: Annotated[
        int,
        Meta(ge=0, le=100, description="Percent of a referred account's spending on messages that its referrer earns."),
    ] = 5
    payment_gateway: Annotated[
        Literal["manual", "stripe"],
        Meta(description="Who charges cards. manual: test cards in sandbox mode, none in production mode."),
    ] = "manual"
    stripe_key: Annotated[str, Meta(description="Secret key of the Stripe account.")] = ""
    stripe_webhook_secret: Annotated[str, Meta(description="Signing secret of Stripe's webhooks.")] = ""
    stripe_address: Annotated[str, Meta(description="Address of Stripe's API; empty: the real one.")] = ""
    invoice_issuer: Annotated[
        str, Meta(description="Name, address and tax number on invoices, lines separated by semicolons.")
    ] = "Heliograph"
    invoice_font: Annotated[
        str,
        Meta(description="TrueType file for invoices, for names that are not in Latin letters; empty: a built-in one."),
    ] = ""
    number_grace_days: Annotated[
        int, Meta(ge=0, description="Days that a dedicated number is kept when its month cannot be paid.")
    ] = 7

    @property
    def private_webhooks(self) -> bool:
        """Whether a webhook may go to a private address."""
        return self.webhook_private == "allow" or (self.webhook_private == "auto" and self.mode == "sandbox")


class SmppOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="smpp", tag_field="kind"):
    """[transports.NAME] kind = "smpp": a carrier reached as an SMPP 3.4 client (ESME)."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 2775
    system_id: str = ""
    password: str = ""
    system_type: str = ""
    tls: Annotated[bool, Meta(description="Wrap the connection in TLS.")] = False
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    binds: Annotated[int, Meta(ge=1, le=64, description="Transceiver binds to keep open.")] = 1
    window: Annotated[int, Meta(ge=1, le=10000, description="Unanswered submit_sm a bind may have.")] = 100
    rate: Annotated[float, Meta(ge=0, description="Messages a second over all binds; 0: as fast as it goes.")] = 0.0
    enquire_link: Annotated[float, Meta(gt=0, description="Seconds of silence before enquire_link.")] = 30.0
    response_timeout: Annotated[float, Meta(gt=0, description="Seconds to wait for a response.")] = 10.0
    reconnect_max: Annotated[float, Meta(gt=0, description="Longest pause between two attempts to bind.")] = 30.0
    long_messages: Annotated[
        Literal["udh", "payload"], Meta(description="udh: segments with a header. payload: one message_payload TLV.")
    ] = "udh"
    alphabet: Annotated[
        Literal["gsm", "latin1", "utf8"], Meta(description="What the carrier takes data_coding 0 for.")
    ] = "gsm"
    receipt_ids: Annotated[
        Literal["same", "hex-to-decimal", "decimal-to-hex"],
        Meta(description="How the id in a receipt differs from the id in the submit response."),
    ] = "same"
    source_ton: Annotated[int, Meta(ge=-1, le=7, description="TON of the sender; -1: by its form.")] = -1
    dest_ton: Annotated[int, Meta(ge=0, le=7)] = 1
    dest_npi: Annotated[int, Meta(ge=0, le=18)] = 1


class SmtpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="smtp", tag_field="kind"):
    """[transports.NAME] kind = "smtp": a mail relay."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 25
    username: str = ""
    password: str = ""
    tls: Annotated[Literal["none", "starttls", "implicit"], Meta(description="How the connection is protected.")] = (
        "none"
    )
    timeout: Annotated[float, Meta(gt=0)] = 30.0
    connections: Annotated[int, Meta(ge=1, le=100, description="Connections kept open to the relay.")] = 2


class SandboxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sandbox", tag_field="kind"):
    """[transports.NAME] kind = "sandbox": the built-in carrier of a channel."""

    channel: Literal["sms", "email"] = "sms"


TransportOptions = SmppOptions | SmtpOptions | SandboxOptions


class RouteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[routes]]: which messages go to which transport. What is left empty matches everything."""

    transport: str
    channel: Literal["sms", "email"] = "sms"
    country: Annotated[str, Meta(description="ISO code of the recipient's country.")] = ""
    prefix: Annotated[str, Meta(description="Beginning of the recipient's number in E.164.")] = ""
    sender: Annotated[str, Meta(description="Exact sender ID.")] = ""
    account: Annotated[str, Meta(description="Username of the account.")] = ""
    priority: Annotated[int, Meta(ge=0, description="Lower is tried first; higher ones are the failover.")] = 10
    weight: Annotated[int, Meta(ge=1, description="Share among routes of the same priority.")] = 1


class Carriers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of heliograph.toml."""

    transports: dict[str, TransportOptions] = {}
    routes: list[RouteOptions] = []


SANDBOX = Carriers(
    transports={"sandbox-sms": SandboxOptions(channel="sms"), "sandbox-email": SandboxOptions(channel="email")},
    routes=[
        RouteOptions(transport="sandbox-sms", channel="sms", priority=1000),
        RouteOptions(transport="sandbox-email", channel="email", priority=1000),
    ],
)


def load(**given: Any) -> Settings:
    """Settings from the environment; what is given by name (and is not None) wins. Raises SettingsError."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        raw = os.environ.get("HELIOGRAPH_" + field.name.upper())
        if raw is not None and raw != "":
            values[field.name] = _convert("HELIOGRAPH_" + field.name.upper(), raw, field.type)
        if given.get(field.name) is not None:
            values[field.name] = _convert("--" + field.name.replace("_", "-"), given[field.name], field.type)
    settings = Settings(**values)
    if settings.mode == "production" and len(settings.secret) < 32:
        raise SettingsError("HELIOGRAPH_SECRET: production mode needs a secret of at least 32 characters.")
    if settings.payment_gateway == "stripe" and not settings.stripe_key:
        raise SettingsError("HELIOGRAPH_STRIPE_KEY: the gateway stripe needs a secret key.")
    if settings.invoice_font and not Path(settings.invoice_font).is_file():
        raise SettingsError(f"HELIOGRAPH_INVOICE_FONT={settings.invoice_font!r}: no such file.")
    return settings


def _convert(name: str, raw: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(raw, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError as problem:
        raise SettingsError(f"{name}={raw!r}: {problem}") from None


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


def carriers(settings: Settings) -> Carriers:
    """The transports and routes of heliograph.toml; without one, the built-in carriers (sandbox mode only).

    Raises SettingsError with the file, the line and the reason.
    """
    path = Path(settings.config) if settings.config else settings.data / "heliograph.toml"
    if not path.exists():
        if settings.config:
            raise SettingsError(f"{path}: no such file.")
        return SANDBOX if settings.mode == "sandbox" else Carriers()
    text = path.read_text(encoding="utf-8")
    try:
        found = msgspec.convert(tomllib.loads(text), Carriers)
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(f"{path}: {problem}") from None
    except msgspec.ValidationError as problem:
        raise SettingsError(f"{path}{_line_of(text, str(problem))}: {problem}") from None
    for number, route in enumerate(found.routes, 1):
        if route.transport not in found.transports:
            known = ", ".join(sorted(found.transports)) or "none"
            raise SettingsError(f"{path}: route {number} names the transport {route.transport!r}; there are: {known}.")
    if settings.mode == "sandbox":
        used = {route.channel for route in found.routes}
        missing = [route for route in SANDBOX.routes if route.channel not in used]
        extra = {route.transport: SANDBOX.transports[route.transport] for route in missing}
        return Carriers(transports=extra | found.transports, routes=found.routes + missing)
    return found


def _line_of(text: str, problem: str) -> str:
    """`, line N` of the table or key that a validation error speaks of, or nothing when it cannot be told."""
    unknown = re.search(r"unknown field `(\w+)`", problem)
    at = re.search(r"at `\$\.?(.*?)`", problem)
    path = re.findall(r"[\w-]+|\[\d+\]|\[\.\.\.\]", at.group(1)) if at else []
    names = [part for part in path if not part.startswith("[")] + ([unknown.group(1)] if unknown else [])
    for name in reversed(names):
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(rf"\s*(\[+\s*)?([\w-]+\.)*{re.escape(name)}\b", line):
                return f", line {number}"
    return ""

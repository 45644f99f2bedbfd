"""Every option, once: type, default, one sentence. The only reader of the environment and of heliograph.toml."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta


class SettingsError(Exception):
    """A wrong option: the text says where it stands and what is wrong with it."""


_LIMIT = r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$"


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
        str,
        Meta(
            pattern=r"^(postgresql://.*|sqlite:///.+)?$",
            description="postgresql://… to use PostgreSQL; empty: SQLite in the data folder.",
        ),
    ] = ""
    host: Annotated[str, Meta(description="Address that the server listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port that the server listens on; 0: a free one.")] = 8310
    role: Annotated[
        Literal["all", "api", "worker"],
        Meta(description="api: HTTP only. worker: delivery only. all: both in one process."),
    ] = "all"
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/].*)?$",
            description="Address that customers use, for links in answers; empty: taken from each request.",
        ),
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
        str,
        Meta(pattern=_LIMIT, description="Requests that one account may make to one endpoint, as '6000/minute'."),
    ] = "600000/minute"
    login_limit: Annotated[
        str,
        Meta(pattern=_LIMIT, description="Failed logins from one address before it has to wait, as '30/minute'."),
    ] = "30/minute"
    rate_limit_store: Annotated[
        str,
        Meta(
            pattern=r"^(memory://$|rediss?://.)",
            description="memory:// for one process, redis://… when several processes share the limits.",
        ),
    ] = "memory://"
    cors_origins: Annotated[str, Meta(description="Origins that browsers may call from, by commas; * for any.")] = ""
    new_accounts: Annotated[
        Literal["active", "verify"],
        Meta(description="verify: a registered account sends nothing until it has verified a phone number."),
    ] = "active"
    countries: Annotated[
        Literal["all", "home"],
        Meta(description="Where an account may send SMS before it has selected countries; home: its default country."),
    ] = "all"
    unicode_sms: Annotated[
        Literal["always", "account"],
        Meta(
            description="account: without setting_unicode_sms, what GSM 03.38 lacks is replaced and no SMS is Unicode."
        ),
    ] = "always"
    trial_credit: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$",
            description="Credit of a newly registered account, in its currency.",
        ),
    ] = "5.00"
    throttle_seconds: Annotated[
        int, Meta(ge=0, description="The same text to the same recipient within this time is THROTTLED; 0: never.")
    ] = 5
    validity_hours: Annotated[int, Meta(ge=1, description="Hours until a message without a receipt fails.")] = 72
    lease_seconds: Annotated[
        int, Meta(ge=1, description="Seconds after which the work of a lost process is taken up by another.")
    ] = 120
    shared_senders: Annotated[
        str,
        Meta(
            pattern=r"^\s*\+[0-9]{6,15}\s*(,\s*\+[0-9]{6,15}\s*)*$",
            description="Numbers (E.164, by commas) that messages without a sender go out from.",
        ),
    ] = "+61481074190,+447480737373,+12025550142"
    import_limit: Annotated[int, Meta(ge=1024, description="Largest file to import contacts from, in bytes.")] = (
        256 * 1024 * 1024
    )
    webhook_attempts: Annotated[int, Meta(ge=1, description="Tries to push an event to a URL.")] = 10
    webhook_interval: Annotated[int, Meta(ge=0, description="Seconds between two tries of a webhook.")] = 600
    webhook_timeout: Annotated[int, Meta(ge=1, le=90, description="Seconds that a webhook's answer may take.")] = 30
    webhook_days: Annotated[
        int, Meta(ge=1, description="Days that pushed events and their attempts are kept, for a look or a replay.")
    ] = 30
    webhook_private: Annotated[
        Literal["auto", "allow", "refuse"],
        Meta(description="Whether URLs may point at private addresses; auto: only in sandbox mode."),
    ] = "auto"
    rule_replies: Annotated[
        int, Meta(ge=0, description="Automatic replies of one account to one number within an hour.")
    ] = 10
    rule_forwards: Annotated[
        int, Meta(ge=0, description="SMS that rules of one account forward to one number within an hour.")
    ] = 100
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

    host: Annotated[str, Meta(min_length=1, description="Name or address of the carrier's SMSC.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 2775
    system_id: Annotated[str, Meta(description="Name to bind with, from the carrier.")] = ""
    password: Annotated[str, Meta(description="Password to bind with, from the carrier.")] = ""
    system_type: Annotated[str, Meta(description="Only when the carrier asks for one.")] = ""
    tls: Annotated[bool, Meta(description="Wrap the connection in TLS.")] = False
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    binds: Annotated[int, Meta(ge=1, le=64, description="Transceiver binds to keep open.")] = 1
    window: Annotated[int, Meta(ge=1, le=10000, description="Unanswered submit_sm a bind may have.")] = 100
    rate: Annotated[
        float, Meta(ge=0, le=1000000, description="Messages a second over all binds; 0: as fast as it goes.")
    ] = 0.0
    enquire_link: Annotated[float, Meta(gt=0, le=3600, description="Seconds of silence before enquire_link.")] = 30.0
    response_timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds to wait for a response.")] = 10.0
    reconnect_max: Annotated[float, Meta(gt=0, le=3600, description="Longest pause between two attempts to bind.")] = (
        30.0
    )
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
    dest_ton: Annotated[int, Meta(ge=0, le=7, description="TON of the recipient; 1: international.")] = 1
    dest_npi: Annotated[int, Meta(ge=0, le=18, description="NPI of the recipient; 1: E.164.")] = 1


class SmtpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="smtp", tag_field="kind"):
    """[transports.NAME] kind = "smtp": a mail relay."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the relay.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 25
    username: Annotated[str, Meta(description="Name to log in with; empty: without a login.")] = ""
    password: Annotated[str, Meta(description="Password to log in with.")] = ""
    tls: Annotated[Literal["none", "starttls", "implicit"], Meta(description="How the connection is protected.")] = (
        "none"
    )
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    helo: Annotated[
        str, Meta(pattern="^[!-~]*$", description="Name given in EHLO; empty: this machine's, looked up in the DNS.")
    ] = ""
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds to wait for each answer of the relay.")] = 30.0
    connections: Annotated[int, Meta(ge=1, le=100, description="Connections kept open to the relay.")] = 2


class SandboxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sandbox", tag_field="kind"):
    """[transports.NAME] kind = "sandbox": the built-in carrier of a channel."""

    channel: Annotated[Literal["sms", "email"], Meta(description="The channel that it carries.")] = "sms"


TransportOptions = SmppOptions | SmtpOptions | SandboxOptions


class RouteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[routes]]: which messages go to which transport. What is left empty matches everything."""

    transport: Annotated[str, Meta(description="Name of the transport that carries the message.")]
    channel: Annotated[Literal["sms", "email"], Meta(description="Channel of the message.")] = "sms"
    country: Annotated[str, Meta(pattern="^([A-Za-z]{2})?$", description="ISO code of the recipient's country.")] = ""
    prefix: Annotated[
        str, Meta(pattern=r"^(\+[0-9]{1,15})?$", description="Beginning of the recipient's number in E.164.")
    ] = ""
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
        variable = "HELIOGRAPH_" + field.name.upper()
        raw = os.environ.get(variable)
        if given.get(field.name) is not None:
            values[field.name] = _convert("--" + field.name.replace("_", "-"), given[field.name], field.type)
        elif raw is not None and raw != "":
            values[field.name] = _convert(variable, raw, field.type)
    settings = Settings(**values)
    try:
        urlsplit(settings.database).port  # noqa: B018 - asking for it is the check
    except ValueError as problem:
        raise SettingsError(f"The URL of the database cannot be read: {problem}.") from None
    if settings.mode == "production" and len(settings.secret) < 32:
        raise SettingsError("HELIOGRAPH_SECRET: production mode needs a secret of at least 32 characters.")
    if settings.payment_gateway == "stripe" and not settings.stripe_key:
        raise SettingsError("HELIOGRAPH_STRIPE_KEY: the gateway stripe needs a secret key.")
    if settings.invoice_font and not Path(settings.invoice_font).is_file():
        raise SettingsError(f"HELIOGRAPH_INVOICE_FONT={settings.invoice_font!r}: no such file.")
    return settings


def sentence(name: str) -> str:
    """What an option of `Settings` means, for the help of the command line."""
    kind = next(field.type for field in msgspec.structs.fields(Settings) if field.name == name)
    return _meta(kind).description or ""


def _convert(name: str, raw: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(raw, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError:
        told = "" if "DATABASE" in name.upper() else f"={str(raw)!r}"  # a URL holds a password
        raise SettingsError(f"{name}{told}: {_expected(kind)}") from None


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


def _meta(kind: Any) -> Meta:
    found = [part for part in get_args(kind)[1:] if isinstance(part, Meta)] if get_origin(kind) is Annotated else []
    return found[0] if found else Meta()


_NAMES = {str: "a text", int: "an integer", float: "a number", bool: "true or false", Path: "a path"}


def _expected(kind: Any) -> str:
    """A sentence on the values that an option takes."""
    meta = _meta(kind)
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) is Literal:
        return f"it must be one of {', '.join(get_args(plain))}."
    if meta.pattern is not None:
        return f"it does not have the right form. {meta.description}"
    if meta.min_length is not None:
        return "it must be a text that is not empty."
    low = f" from {meta.ge}" if meta.ge is not None else f" above {meta.gt}" if meta.gt is not None else ""
    high = f" to {meta.le}" if meta.le is not None else ""
    return f"it must be {_NAMES.get(plain, 'a table')}{low}{high}."


def carriers_file(settings: Settings) -> Path:
    """Where heliograph.toml is, or would be."""
    return Path(settings.config) if settings.config else settings.data / "heliograph.toml"


def carriers(settings: Settings) -> Carriers:
    """The transports and routes of heliograph.toml; without one, the built-in carriers (sandbox mode only).

    Raises SettingsError with the file, the line and the reason.
    """
    path = carriers_file(settings)
    try:
        page = _Page(path, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if settings.config:
            raise SettingsError(f"{path}: no such file.") from None
        return SANDBOX if settings.mode == "sandbox" else Carriers()
    except OSError as problem:
        raise SettingsError(f"{path}: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: this is no text in UTF-8.") from None
    found = page.carriers()
    if settings.mode == "sandbox":
        return _with_sandbox(page, found)
    for name, transport in found.transports.items():
        if isinstance(transport, SandboxOptions):
            raise page.wrong("there are no built-in carriers in production mode.", "transports", name, key="kind")
    return found


def _with_sandbox(page: "_Page", found: Carriers) -> Carriers:
    """The built-in carriers for the channels that have no route."""
    used = {route.channel for route in found.routes}
    missing = [route for route in SANDBOX.routes if route.channel not in used]
    extra = {route.transport: SANDBOX.transports[route.transport] for route in missing}
    for name in extra.keys() & found.transports.keys():
        if found.transports[name] != extra[name]:
            raise page.wrong("this name belongs to the built-in carrier; take another.", "transports", name)
    return Carriers(transports=extra | found.transports, routes=found.routes + missing)


_KINDS: dict[str, Any] = {"smpp": SmppOptions, "smtp": SmtpOptions, "sandbox": SandboxOptions}


class _Page:
    """The text of heliograph.toml on its way to `Carriers`. Knows which line a mistake stands in.

    A place is the path of a table: ("transports", "acme"), ("routes",); `number` tells routes apart, from 0.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def carriers(self) -> Carriers:
        """What the file says. Raises SettingsError."""
        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as problem:
            why, _, place = str(problem).rpartition(" (at ")
            found = re.match(r"line (\d+)", place)
            line = found.group(1) if found else max(1, len(self._text.splitlines()))
            raise SettingsError(f"{self._path}, line {line}: {why}.") from None
        for name in document.keys() - {"transports", "routes"}:
            raise self.wrong("unknown; there are [transports.NAME] and [[routes]].", name)
        transports, routes = document.get("transports", {}), document.get("routes", [])
        if not isinstance(transports, dict):
            raise self.wrong("write it as [transports.NAME].", "transports")
        if not isinstance(routes, list):
            raise self.wrong("write it as [[routes]].", "routes")
        made = {name: self._transport(name, table) for name, table in transports.items()}
        return Carriers(made, [self._route(number, table, made) for number, table in enumerate(routes)])

    def _transport(self, name: str, table: Any) -> Any:
        kind = table.get("kind") if isinstance(table, dict) else None
        if not isinstance(kind, str) or kind not in _KINDS:
            raise self.wrong(f"it must be one of {', '.join(_KINDS)}.", "transports", name, key="kind")
        made = self._struct(table, _KINDS[kind], "transports", name)
        authority = getattr(made, "tls_ca", "")
        if authority and not Path(authority).is_file():
            raise self.wrong(f"there is no file {authority}.", "transports", name, key="tls_ca")
        return made

    def _route(self, number: int, table: Any, transports: dict[str, Any]) -> RouteOptions:
        route: RouteOptions = self._struct(table, RouteOptions, "routes", number=number)
        transport = transports.get(route.transport)
        if transport is None:
            known = ", ".join(sorted(transports)) or "none"
            why = f"there is no transport {route.transport!r}; there are: {known}."
            raise self.wrong(why, "routes", key="transport", number=number)
        carried = transport.channel if isinstance(transport, SandboxOptions) else _CARRIED[type(transport)]
        if route.channel != carried:
            why = f"{route.transport} carries {carried}, not {route.channel}."
            raise self.wrong(why, "routes", key="channel", number=number)
        return route

    def _struct(self, table: Any, kind: Any, *place: str, number: int = 0) -> Any:
        """A table as an options struct; each key by itself, so that a mistake has a name."""
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        if not isinstance(table, dict):
            raise self.wrong("it must be a table.", *place, number=number)
        for key, value in table.items():
            if key != kind.__struct_config__.tag_field:
                self._check(fields, key, value, place, number)
        for key, field in fields.items():
            if field.required and key not in table:
                raise self.wrong("it must be given.", *place, key=key, number=number)
        return msgspec.convert(table, kind)

    def _check(self, fields: dict[str, Any], key: str, value: Any, place: tuple[str, ...], number: int) -> None:
        if key not in fields:
            raise self.wrong(f"unknown; there are: {', '.join(fields)}.", *place, key=key, number=number)
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError:
            raise self.wrong(_expected(fields[key].type), *place, key=key, number=number) from None

    def wrong(self, why: str, *place: str, key: str = "", number: int = 0) -> SettingsError:
        """The error for a key of a table, or for a whole table."""
        table = f"route {number + 1}" if place == ("routes",) else ".".join(place)
        line = self._line(place, key, number)
        where = f"{self._path}, line {line}" if line else str(self._path)
        return SettingsError(": ".join(part for part in (where, table, key, why) if part))

    def _line(self, place: tuple[str, ...], key: str, number: int) -> int:
        """The line of a key, else of the head of its table; 0 when neither is found (inline tables)."""
        found, inside, seen = 0, False, 0
        dotted = re.escape(".".join((*place, *([key] if key else []))))
        for at, line in enumerate(self._text.splitlines(), 1):
            title = re.match(r"\s*\[\[?(.+?)\]", line)
            if title:
                same = tuple(part.strip("\"'") for part in _PART.findall(title.group(1))) == place
                inside = same and seen == number
                seen += same
                found = at if inside else found
            elif re.match(rf"\s*[\"']?{re.escape(key) if inside and key else dotted}[\"']?\s*[=.]", line):
                return at
        return found


_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s.\"']+")
_CARRIED: dict[type, str] = {SmppOptions: "sms", SmtpOptions: "email"}
"""The channel that a kind of transport carries."""

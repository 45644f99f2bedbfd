"""Every option, once: type, default, one sentence. The only reader of the environment."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from heliograph.option import SettingsError, convert, meta

_PORT = "[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
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
    body_memory: Annotated[
        int,
        Meta(
            ge=1024,
            description="Bytes of large bodies that are in memory at once, half of it for one account; what finds no "
            "room is answered with 503. At least two of the largest bodies have room.",
        ),
    ] = 64 * 1024 * 1024
    connections: Annotated[
        int, Meta(ge=16, description="Connections that are open at once; fewer when the system allows fewer files.")
    ] = 4096
    connections_per_address: Annotated[
        int,
        Meta(ge=8, description="Connections from one address (a /64 of IPv6), half of all at most; not of a proxy."),
    ] = 1024
    head_seconds: Annotated[
        int,
        Meta(
            ge=1,
            description="Seconds that a request's headers may take to arrive; the first ones, since the connection.",
        ),
    ] = 15
    body_seconds: Annotated[
        int, Meta(ge=1, description="Seconds that a body may take to arrive, and one more for each 64 kB of it.")
    ] = 60
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
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses or networks (by commas) of the proxies in front of the server: what they say of the "
            "client's address and scheme (X-Forwarded-For, X-Forwarded-Proto) is believed, nobody else's word is."
        ),
    ] = ""
    cors_origins: Annotated[str, Meta(description="Origins that browsers may call from, by commas; * for any.")] = ""
    registration: Annotated[
        Literal["auto", "closed", "open"],
        Meta(description="Whether strangers may make accounts by POST /account; auto: only in sandbox mode."),
    ] = "auto"
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
            pattern=r"^([0-9]{1,9}(\.[0-9]{1,6})?)?$",
            description="Credit of a newly registered account, in its currency; empty: 5.00 in sandbox mode, or none.",
        ),
    ] = ""
    codes_per_number: Annotated[
        int, Meta(ge=1, description="Verification codes that are sent to one phone number within a day.")
    ] = 10
    codes_per_address: Annotated[
        int, Meta(ge=1, description="Verification codes that are asked for from one address within a day.")
    ] = 100
    codes_per_day: Annotated[int, Meta(ge=1, description="Verification codes that the house sends within a day.")] = (
        1000
    )
    reminders_per_address: Annotated[
        int, Meta(ge=1, description="Forgotten usernames and passwords that one address asks for within a day.")
    ] = 100
    reminders_per_day: Annotated[
        int, Meta(ge=1, description="Mails for forgotten usernames and passwords that the house sends within a day.")
    ] = 1000
    verifications_per_day: Annotated[
        int, Meta(ge=1, description="Mails to prove sender addresses that the house sends within a day.")
    ] = 1000
    throttle_seconds: Annotated[
        int, Meta(ge=0, description="The same text to the same recipient within this time is THROTTLED; 0: never.")
    ] = 5
    validity_hours: Annotated[int, Meta(ge=1, description="Hours until a message without a receipt fails.")] = 72
    lease_seconds: Annotated[
        int, Meta(ge=2, description="Seconds after which the work of a lost process is taken up by another.")
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
    opt_out_words: Annotated[
        str,
        Meta(
            description="Words (by commas) that opt out when they are the whole text of a reply, in any case, with or "
            "without accents; -: none."
        ),
    ] = (
        "STOP,STOPALL,UNSUBSCRIBE,CANCEL,END,QUIT,REVOKE,OPTOUT,"
        "ARRET,DESABONNER,DESABONNEMENT,DESINSCRIRE,DESINSCRIPTION,ANNULER,ARRETER,FIN,"
        "STOPP,ABMELDEN,ABBESTELLEN,KÜNDIGEN,KUENDIGEN,BEENDEN,ENDE,"
        "ALTO,BAJA,PARAR,CANCELAR,DETENER,PARE,SAIR,REMOVER,DESCADASTRAR,FIM,"
        "AFMELDEN,UITSCHRIJVEN,OPZEGGEN,STOPPEN,EINDE,"
        "FERMA,FERMARE,BASTA,CANCELLA,CANCELLAMI,DISISCRIVI,DISISCRIVIMI,ANNULLA"
    )
    opt_in_words: Annotated[str, Meta(description="The same of the words that undo an opt-out; -: none.")] = (
        "START,UNSTOP"
    )
    opt_out_reply: Annotated[
        str,
        Meta(description="Text that confirms an opt-out, once a day and number, at the account's price; empty: none."),
    ] = ""
    opt_in_reply: Annotated[str, Meta(description="The same for who opts in again.")] = ""
    mail_from: Annotated[str, Meta(description="Sender address of mails that the server writes.")] = (
        "heliograph@localhost.localdomain"
    )
    reply_domain: Annotated[
        str, Meta(description="Domain of the addresses that replies by mail come from: <number>@domain.")
    ] = "sms.heliograph.localdomain"
    bounce_domain: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
            description="Domain of the envelope senders of mails, whose MX must lead to this server: bounces and "
            "unsubscribes come back there.",
        ),
    ] = "bounce.heliograph.localdomain"
    dns: Annotated[
        str,
        Meta(
            pattern=rf"^(\s*[0-9A-Fa-f.:]+(@({_PORT}))?\s*(,\s*[0-9A-Fa-f.:]+(@({_PORT}))?\s*)*)?$",
            description="Addresses (by commas) of the name servers to ask, with a port as 127.0.0.1@5353 if need be; "
            "empty: those of the system.",
        ),
    ] = ""
    link_domain: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?)?$",
            description="Host of short links (with a port if need be), which must lead to this server; empty: the host "
            "of the public URL, or in sandbox mode the address that the server listens on.",
        ),
    ] = ""
    link_code_length: Annotated[
        int, Meta(ge=6, le=16, description="Characters of the code of a short link; five could be guessed.")
    ] = 7
    country_file: Annotated[
        str,
        Meta(description="MaxMind DB file of the countries of addresses, for clicks; empty: the one that comes along."),
    ] = ""
    max_upload: Annotated[int, Meta(ge=1024, description="Largest body of an upload, in bytes.")] = 16 * 1024 * 1024
    upload_life: Annotated[
        int, Meta(ge=1, description="Seconds that an uploaded file lives, unless a message needs it longer.")
    ] = 600
    mms_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days that the picture of an MMS is kept after it was to be sent.")
    ] = 30
    email_recipients: Annotated[
        int, Meta(ge=1, le=1000, description="Recipients that one email may have, with its copies.")
    ] = 100
    email_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days that the files of an email are kept after it was to be sent.")
    ] = 30
    email_foreign: Annotated[
        Literal["auto", "via", "refuse", "keep"],
        Meta(
            description="Emails from a domain that the house has no key for. via: they come from the house's own "
            "address, in the sender's name. refuse: they are not taken. keep: they go out as they are, for a relay "
            "that signs them. auto: keep in sandbox mode, else via."
        ),
    ] = "auto"
    campaign_judged_from: Annotated[
        int, Meta(ge=1, description="Mails of a campaign from which on its complaints and bounces are judged.")
    ] = 500
    campaign_complaints: Annotated[
        float,
        Meta(ge=0, le=100, description="A campaign with more complaints than this (percent of its mails) is paused."),
    ] = 0.3
    campaign_bounces: Annotated[
        float,
        Meta(ge=0, le=100, description="A campaign with more hard bounces than this (percent of its mails) is paused."),
    ] = 10.0
    email_forbidden: Annotated[
        str, Meta(description="Endings (by commas) of files that no email may have; -: none.")
    ] = "ade,adp,apk,bat,chm,cmd,com,cpl,dll,exe,hta,ins,iso,jar,js,jse,lnk,msc,msi,msp,ps1,reg,scr,vb,vbe,vbs,wsf,wsh"
    email_tracking: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Whether openings and clicks of email campaigns are counted for accounts that have not chosen; "
            "auto: in sandbox mode only, as the law asks for the reader's consent in many countries."
        ),
    ] = "auto"
    storage_quota: Annotated[
        int, Meta(ge=0, description="Bytes that the files of one account may have together; 0: no limit.")
    ] = 1024 * 1024 * 1024
    soffice: Annotated[
        str, Meta(description="LibreOffice's program, for doc, docx, rtf and txt: a name on the PATH, or a path.")
    ] = "soffice"
    conversions: Annotated[int, Meta(ge=1, description="Files that are converted at the same time.")] = 2
    convert_seconds: Annotated[int, Meta(ge=1, description="Seconds that the conversion of a file may take.")] = 60
    convert_memory: Annotated[
        int, Meta(ge=256, description="Address space of a process that converts a file, in megabytes.")
    ] = 2048
    convert_reads: Annotated[
        str,
        Meta(description="Further files and folders (by commas) that a conversion may read: fonts, a LibreOffice."),
    ] = ""
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
        Meta(description="TrueType file for what is not in Latin letters on invoices; empty: DejaVu Sans, if there."),
    ] = ""
    voice_engine: Annotated[
        str,
        Meta(
            description="Program that speaks: an espeak-ng on the PATH, or a path; empty: the eSpeak NG of the package."
        ),
    ] = ""
    piper_voices: Annotated[
        str,
        Meta(description="Folder of Piper's models, en-us.onnx or en-us-male.onnx; what has none is spoken as before."),
    ] = ""
    voice_validity_hours: Annotated[int, Meta(ge=1, description="Hours until a call that nobody answered fails.")] = 4
    voice_premium: Annotated[
        Literal["refuse", "allow"],
        Meta(description="Whether numbers may be called that cost their caller more: premium rate, shared cost."),
    ] = "refuse"
    speech_kept: Annotated[
        int, Meta(ge=0, description="Megabytes of speech that are kept, so that no text is spoken twice.")
    ] = 256
    number_grace_days: Annotated[
        int, Meta(ge=0, description="Days that a dedicated number is kept when its month cannot be paid.")
    ] = 7
    smpp_host: Annotated[str, Meta(description="Address that the SMPP server for customers listens on.")] = "127.0.0.1"
    smpp_port: Annotated[
        str,
        Meta(
            pattern=f"^(auto|off|{_PORT})$",
            description="Its port, 0: a free one. auto: 2780 in sandbox mode (a free one if it is taken), else off.",
        ),
    ] = "auto"
    smpp_tls_port: Annotated[
        str, Meta(pattern=f"^(off|{_PORT})$", description="Its port with TLS (2776, as a rule); 0: a free one.")
    ] = "off"
    smpp_tls_cert: Annotated[str, Meta(description="PEM file of its certificate, with the chain.")] = ""
    smpp_tls_key: Annotated[str, Meta(description="PEM file of the key; empty: it is in the same file.")] = ""
    smtp_host: Annotated[str, Meta(description="Address that the mail server listens on.")] = "127.0.0.1"
    smtp_port: Annotated[
        str,
        Meta(
            pattern=f"^(auto|off|{_PORT})$",
            description="Its port, 0: a free one. auto: 2725 in sandbox mode (a free one if it is taken), else off.",
        ),
    ] = "auto"
    smtp_name: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9.-]*$", description="The name that it greets with; empty: the reply domain.")
    ] = ""
    smtp_tls_cert: Annotated[
        str, Meta(description="PEM file of its certificate, with the chain; empty: no STARTTLS.")
    ] = ""
    smtp_tls_key: Annotated[str, Meta(description="PEM file of the key; empty: it is in the same file.")] = ""
    smtp_authentic: Annotated[
        Literal["auto", "require", "off"],
        Meta(
            description="Whether a mail must prove its From address, by DKIM, SPF, a login or a trusted network; auto: "
            "only in production mode."
        ),
    ] = "auto"
    smtp_trusted: Annotated[
        str,
        Meta(description="Addresses or networks (by commas) of your own mail servers: their From addresses are true."),
    ] = ""
    smtp_per_hour: Annotated[
        int, Meta(ge=1, description="Messages that the mails of one address may become within an hour.")
    ] = 100
    smtp_max_size: Annotated[int, Meta(ge=1024, description="Largest mail that is taken, in bytes.")] = 10 * 1024 * 1024
    smtp_recipients: Annotated[int, Meta(ge=1, description="Most recipients of one mail; the rest is sent again.")] = 50
    smtp_connections: Annotated[int, Meta(ge=1, description="Connections of mail servers that are open at once.")] = 200

    @property
    def strict(self) -> bool:
        """Whether passwords must be good ones."""
        return self.mode == "production"

    @property
    def registers(self) -> bool:
        """Whether strangers may make accounts."""
        return self.registration == "open" or (self.registration == "auto" and self.mode == "sandbox")

    @property
    def first_credit(self) -> str:
        """Credit of a newly registered account."""
        return self.trial_credit or ("5.00" if self.mode == "sandbox" else "0")

    @property
    def links_at(self) -> str:
        """Host of short links, with its port if it has one; "" when production mode was not told."""
        known = self.link_domain or urlsplit(self.public_url).netloc.rpartition("@")[2]
        return known if known or self.mode == "production" else f"{reached(self.host)}:{self.port}"

    @property
    def foreign_emails(self) -> str:
        """What becomes of emails from a domain that the house has no key for: via, refuse or keep."""
        usual = "keep" if self.mode == "sandbox" else "via"
        return usual if self.email_foreign == "auto" else self.email_foreign

    @property
    def proves_mail(self) -> bool:
        """Whether a mail must prove its From address."""
        return self.smtp_authentic == "require" or (self.smtp_authentic == "auto" and self.mode == "production")

    @property
    def mail_domains(self) -> frozenset[str]:
        """Domains of the house's own addresses, in small letters: mail for them goes to its mail server."""
        return frozenset({self.reply_domain.lower(), self.bounce_domain.lower()})

    @property
    def smtp_address(self) -> Path:
        """The file that says where the mail server listens, while it does: host and port."""
        return self.data / "smtp.address"

    @property
    def tracks_emails(self) -> bool:
        """Whether openings and clicks of email campaigns are counted for accounts that have not chosen."""
        return self.email_tracking == "on" or (self.email_tracking == "auto" and self.mode == "sandbox")

    @property
    def private_webhooks(self) -> bool:
        """Whether a webhook may go to a private address."""
        return self.webhook_private == "allow" or (self.webhook_private == "auto" and self.mode == "sandbox")


def own_url(settings: Settings) -> str:
    """The address of the server, without a slash at its end: the public one, or else what reaches it from here."""
    return settings.public_url.rstrip("/") or f"http://{reached(settings.host)}:{settings.port}"


def reached(host: str) -> str:
    """The host, as URLs have it, of a server that listens on `host`, seen from this machine."""
    everywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host)  # noqa: S104
    return everywhere or (f"[{host}]" if ":" in host else host)


def load(**given: Any) -> Settings:
    """Settings from the environment; what is given by name (and is not None) wins. Raises SettingsError."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        variable = "HELIOGRAPH_" + field.name.upper()
        if given.get(field.name) is not None:
            values[field.name] = convert("--" + field.name.replace("_", "-"), given[field.name], field.type)
        elif raw := os.environ.get(variable):
            values[field.name] = convert(variable, raw, field.type)
    settings = Settings(**values)
    for name in ("database", "rate_limit_store"):
        try:
            urlsplit(getattr(settings, name)).port  # noqa: B018 - asking for it is the check
        except ValueError:  # its words may quote the password
            raise SettingsError(f"HELIOGRAPH_{name.upper()}: the URL cannot be read.") from None
    for name in ("trusted_proxies", "smtp_trusted"):
        for one in filter(None, map(str.strip, getattr(settings, name).split(","))):
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise SettingsError(f"HELIOGRAPH_{name.upper()}: {one!r} is no address or network.") from None
    if settings.mode == "production" and len(settings.secret) < 32:
        raise SettingsError("HELIOGRAPH_SECRET: production mode needs a secret of at least 32 characters.")
    if settings.payment_gateway == "stripe" and not settings.stripe_key:
        raise SettingsError("HELIOGRAPH_STRIPE_KEY: the gateway stripe needs a secret key.")
    for name in ("invoice_font", "country_file"):
        if (file := getattr(settings, name)) and not Path(file).is_file():
            raise SettingsError(f"HELIOGRAPH_{name.upper()}={file!r}: no such file.")
    return settings


def sentence(name: str) -> str:
    """What an option of `Settings` means, for the help of the command line."""
    return meta(Settings.__annotations__[name]).description or ""

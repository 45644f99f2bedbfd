"""Options: from the environment, from the command line, and out of heliograph.toml with the line of every mistake."""

from pathlib import Path
from typing import Any

import pytest

import heliograph
from heliograph import carriers, settings
from heliograph.option import SettingsError
from heliograph.transports.options import (
    Carriers,
    HttpOptions,
    Mm7Options,
    SandboxOptions,
    SmppOptions,
    SmtpOptions,
)
from heliograph.transports.sip.options import SipOptions

SECRET = "a secret of 32 characters or more"
SMPP = '[transports.acme]\nkind = "smpp"\nhost = "smpp.example"\n'
SMTP = '[transports.relay]\nkind = "smtp"\nhost = "mail.example"\n'
SMS_ROUTE = '[[routes]]\ntransport = "acme"\n'
MAIL_ROUTE = '[[routes]]\ntransport = "relay"\nchannel = "email"\n'


def written(folder: Path, text: str | bytes, **options: Any) -> Carriers:
    (folder / "heliograph.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return carriers.read(settings.load(data=folder, **options))


def test_flags_win_over_the_environment_and_it_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().port == 8310
    monkeypatch.setenv("HELIOGRAPH_PORT", "9000")
    monkeypatch.setenv("HELIOGRAPH_DATA", "elsewhere")
    monkeypatch.setenv("HELIOGRAPH_HOST", "")
    found = settings.load()
    assert (found.port, found.data, found.host) == (9000, Path("elsewhere"), "127.0.0.1")
    assert settings.load(port=1, data=None).port == 1
    monkeypatch.setenv("HELIOGRAPH_PORT", "no port")
    assert settings.load(port=1).port == 1


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("PORT", "99999", "HELIOGRAPH_PORT='99999': it must be an integer from 0 to 65535."),
        ("PORT", "tcp://10.0.0.1:80", "HELIOGRAPH_PORT='tcp://10.0.0.1:80': it must be an integer from 0 to 65535."),
        ("MODE", "prod", "HELIOGRAPH_MODE='prod': it must be one of sandbox, production."),
        ("ROLE", "boss", "HELIOGRAPH_ROLE='boss': it must be one of all, api, worker."),
        ("LOG_LEVEL", "loud", "HELIOGRAPH_LOG_LEVEL='loud': it must be one of debug, info, warning, error."),
        ("MAX_BODY", "10", "HELIOGRAPH_MAX_BODY='10': it must be an integer from 1024."),
        ("RATE_LIMIT", "many", "as '6000/minute'."),
        ("RATE_LIMIT", "0/minute", "as '6000/minute'."),
        ("LOGIN_LIMIT", "30/fortnight", "as '30/minute'."),
        ("RATE_LIMIT_STORE", "mysql://x", "memory:// for one process"),
        ("PUBLIC_URL", "example.com", "HELIOGRAPH_PUBLIC_URL='example.com': it does not have the right form."),
        ("SHARED_SENDERS", "0411 111 111", "Numbers (E.164, by commas)"),
        ("TRIAL_CREDIT", "much", "Credit of a newly registered account"),
    ],
)
def test_a_wrong_option_is_named(monkeypatch: pytest.MonkeyPatch, option: str, value: str, why: str) -> None:
    monkeypatch.setenv(f"HELIOGRAPH_{option}", value)
    with pytest.raises(SettingsError) as problem:
        settings.load()
    assert f"HELIOGRAPH_{option}='{value}'" in str(problem.value)
    assert why in str(problem.value)


@pytest.mark.parametrize("url", ["mysql://user:hunter2@host/x", "hunter2", "postgresql://user:hunter2@host:port/x"])
def test_a_wrong_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as problem:
        settings.load(database=url)
    assert "hunter2" not in str(problem.value)


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_production_needs_a_secret(secret: str) -> None:
    with pytest.raises(SettingsError, match="at least 32 characters") as problem:
        settings.load(mode="production", secret=secret)
    assert not secret or secret not in str(problem.value)
    assert settings.load(mode="production", secret=SECRET).private_webhooks is False


def test_without_a_file_the_carriers_are_built_in_but_not_in_production(tmp_path: Path) -> None:
    assert carriers.read(settings.load(data=tmp_path)) == carriers.SANDBOX
    found = carriers.read(settings.load(data=tmp_path, mode="production", secret=SECRET))
    assert (found.transports, found.routes) == ({}, [])


def test_a_channel_without_a_route_keeps_its_built_in_carrier(tmp_path: Path) -> None:
    found = written(tmp_path, SMPP + SMS_ROUTE)
    assert found.transports["acme"] == SmppOptions(host="smpp.example")
    assert [(route.medium, route.transport) for route in found.routes] == [
        ("sms", "acme"),
        ("email", "sandbox-email"),
        ("mms", "sandbox-mms"),
        ("voice", "sandbox-voice"),
    ]
    found = written(tmp_path, SMPP + SMTP + SMS_ROUTE + MAIL_ROUTE)
    assert found.transports == {
        "acme": SmppOptions(host="smpp.example"),
        "relay": SmtpOptions(host="mail.example"),
        "sandbox-mms": SandboxOptions("mms"),
        "sandbox-voice": SandboxOptions("voice"),
    }
    found = written(tmp_path, SMPP + SMS_ROUTE, mode="production", secret=SECRET)
    assert list(found.transports) == ["acme"]


def test_a_built_in_carrier_may_be_named_and_routed(tmp_path: Path) -> None:
    found = written(tmp_path, '[transports.mine]\nkind = "sandbox"\n[[routes]]\ntransport = "mine"\npriority = 5')
    assert found.transports["mine"] == SandboxOptions(medium="sms")
    assert "sandbox-sms" not in found.transports


def test_the_file_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "carriers.toml"
    elsewhere.write_text(SMPP + SMS_ROUTE)
    options = settings.load(data=tmp_path / "data", config=str(elsewhere))
    assert "acme" in carriers.read(options).transports
    elsewhere.unlink()
    with pytest.raises(SettingsError, match=r"carriers.toml: no such file\.$"):
        carriers.read(options)


HTTP = '[transports.api]\nkind = "http"\nurl = "https://api.example/"\n'

WRONG = [
    ("x", ": Expected '=' after a key in a key/value pair.", "line 1"),
    ('[transports.a]\nkind = "smpp', ": Unterminated string.", "line 2"),
    ("[a]\n[a]", ": Cannot declare ('a',) twice.", "line 2"),
    ("listen = 1", ": listen: unknown; there are [transports.NAME] and [[routes]].", "line 1"),
    ("\n[servers]\n", ": servers: unknown", "line 2"),
    ("transports = 3", ": transports: write it as [transports.NAME].", "line 1"),
    ("routes = 3", ": route 1: write it as [[routes]].", "line 1"),
    (
        "[transports.a]\n\nkind = 'smp'",
        ": transports.a: kind: it must be one of smpp, smtp, mm7, http, sip, sandbox.",
        "line 3",
    ),
    ("[transports.a]\nhost = 'x'", ": transports.a: kind: it must be one of", "line 1"),
    ("[transports]\na = 1", ": transports.a: kind: it must be one of", ""),
    (SMPP + SMTP + "port = '25'", ": transports.relay: port: it must be an integer from 1 to 65535.", "line 7"),
    (SMPP + "port = 99999\n" + SMTP + "port = 1", ": transports.acme: port: it must be", "line 4"),
    (SMPP + "prot = 1", ": transports.acme: prot: unknown; there are: host, port, system_id,", "line 4"),
    (SMPP + "rate = nan", ": transports.acme: rate: it must be a number from 0", "line 4"),
    (SMPP + "rate = inf", ": transports.acme: rate: it must be a number from 0", "line 4"),
    (SMPP + "enquire_link = 0", ": transports.acme: enquire_link: it must be a number above 0", "line 4"),
    (SMPP + "tls = 1", ": transports.acme: tls: it must be true or false.", "line 4"),
    (SMPP + "alphabet = 'ebcdic'", ": transports.acme: alphabet: it must be one of gsm, latin1, utf8.", "line 4"),
    (SMPP + "tls_ca = '/no/such/file'", ": transports.acme: tls_ca: there is no file /no/such/file.", "line 4"),
    (
        '[transports.a]\nkind = "smpp"\nhost = ""',
        ": transports.a: host: it must be a text that is not empty.",
        "line 3",
    ),
    ('[transports.a]\nkind = "smpp"', ": transports.a: host: it must be given.", "line 1"),
    ('[transports."b.c"]\nkind = "smpp"\nhost = 5', ": transports.b.c: host: ", "line 3"),
    ("transports.b.kind = 'smpp'\ntransports.b.host = 5", ": transports.b: host: ", "line 2"),
    (SMPP + SMS_ROUTE + "[[routes]]\nchannel = 'sms'", ": route 2: transport: it must be given.", "line 6"),
    (SMPP + SMS_ROUTE + MAIL_ROUTE, ": route 2: transport: there is no transport 'relay'; there are: acme.", "line 7"),
    (SMPP + SMS_ROUTE + "channel = 'email'", ": route 1: channel: acme carries sms, not email.", "line 6"),
    (
        SMPP + SMS_ROUTE + "channel = 'pigeon'",
        ": route 1: channel: it must be one of sms, mms, voice, fax, post, email.",
        "line 6",
    ),
    (SMPP + SMS_ROUTE + "country = 'AUS'", ": route 1: country: it does not have the right form.", "line 6"),
    (SMPP + SMS_ROUTE + "prefix = '61'", ": route 1: prefix: it does not have the right form.", "line 6"),
    (SMPP + SMS_ROUTE + "weight = 0", ": route 1: weight: it must be an integer from 1.", "line 6"),
    (SMPP + SMS_ROUTE + "kind = 'x'", ": route 1: kind: unknown", "line 6"),
    ("routes = [1]", ": route 1: it must be a table.", "line 1"),
    (SMTP.replace("relay", "sandbox-sms"), ": transports.sandbox-sms: this name belongs to the built-in", "line 1"),
    (HTTP + "json = { a = '{nobody}' }", ": transports.api: json: there is no placeholder {nobody};", "line 4"),
    (HTTP + "form = { a = 1 }", ": transports.api: form: it must be a table.", "line 4"),
    (HTTP + "carries = ['fax']", ": transports.api: carries: it must be a list of sms, mms.", "line 4"),
    (b"# \xff", ": this is no text in UTF-8.", ""),
]


@pytest.mark.parametrize(("text", "why", "line"), WRONG)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str | bytes, why: str, line: str) -> None:
    with pytest.raises(SettingsError) as problem:
        written(tmp_path, text)
    told = str(problem.value)
    assert told.startswith(str(tmp_path / "heliograph.toml"))
    assert why in told
    assert line in told
    assert "\n" not in told


def test_production_has_no_built_in_carriers(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"line 2: transports\.a: kind: there are no built-in carriers in production"
    ):
        written(tmp_path, "[transports.a]\nkind = 'sandbox'\n", mode="production", secret=SECRET)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").mkdir()
    with pytest.raises(SettingsError, match=r"heliograph.toml: Is a directory\.$"):
        carriers.read(settings.load(data=tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"heliograph.toml: Not a directory\.$"):
        carriers.read(settings.load(data=tmp_path / "file"))


def test_the_example_is_valid_as_it_is_and_with_its_comments_taken_away(tmp_path: Path) -> None:
    example = (Path(heliograph.__file__).parent / "example.toml").read_text()
    assert written(tmp_path, example) == carriers.SANDBOX
    lines = [line.removeprefix("#").removeprefix(" ") for line in example.splitlines()]
    shown = [line for line in lines if line.startswith("[") or " = " in line]
    found = written(tmp_path, "\n".join(shown))
    assert {type(transport) for transport in found.transports.values()} == {
        SmppOptions,
        SmtpOptions,
        Mm7Options,
        HttpOptions,
        SipOptions,
    }
    assert {route.medium for route in found.routes} == {"sms", "email", "mms", "voice"}

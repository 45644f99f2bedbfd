"""The SMTP transport and the protection of its connection: TLS, certificates, logins."""

import ssl
from pathlib import Path

import pytest

from heliograph.transports.base import Retry, Sent
from support.certificates import self_signed
from transports.relay import Relay, a_mail, one, run, serving, transport


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


LOGIN = {"username": "relay-user", "password": "relay-password"}


def test_starttls_then_login(tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        relay = Relay()
        how = {"tls_context": tls, "require_starttls": True, "auth_required": True}
        async with serving(relay, **how) as port, transport(port, tls="starttls", **LOGIN) as out:
            assert isinstance(await one(out, a_mail()), Sent)
        assert relay.sessions[0].session is not None
        assert relay.sessions[0].session.ssl is not None
        assert relay.commands[0] == "AUTH"

    run(scenario())


def test_implicit_tls_then_login(tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        relay = Relay()
        how = {"auth_require_tls": False, "auth_exclude_mechanism": ["LOGIN"]}
        async with serving(relay, tls=tls, **how) as port, transport(port, tls="implicit", **LOGIN) as out:
            assert isinstance(await one(out, a_mail()), Sent)
        assert relay.commands[0] == "AUTH"

    run(scenario())


def test_a_wrong_password_fails_no_mail_for_good() -> None:
    async def scenario() -> None:
        relay = Relay()
        how = {"auth_require_tls": False, "auth_exclude_mechanism": ["LOGIN"]}
        wrong = {**LOGIN, "password": "wrong"}
        async with serving(relay, **how) as port, transport(port, **wrong) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert not outcome.maybe_sent
            assert not out.ready
        assert "MAIL" not in relay.commands

    run(scenario())


@pytest.mark.parametrize("how", ["starttls", "implicit"])
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(how: str, certificate: Path) -> None:
    async def scenario() -> None:
        relay = Relay()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        offered = {"tls": context} if how == "implicit" else {"tls_context": context}
        async with serving(relay, **offered) as port, transport(port, tls=how, **LOGIN) as out:
            assert isinstance(await one(out, a_mail()), Retry)
        assert not relay.commands

    run(scenario())


def test_without_starttls_nothing_goes_out_in_the_clear() -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay, auth_require_tls=False) as port, transport(port, tls="starttls", **LOGIN) as out:
            assert isinstance(await one(out, a_mail()), Retry)
        assert "AUTH" not in relay.commands
        assert "MAIL" not in relay.commands

    run(scenario())

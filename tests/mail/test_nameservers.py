"""Questions to name servers, asked of a real one on loopback."""

import pytest

from heliograph.mail.nameservers import NameServers, Unanswered
from support.nameserver import name_server


def test_records_are_told_as_texts() -> None:
    known = {
        ("example.org", "TXT"): ['"v=spf1 " "-all"', '"other"'],
        ("example.org", "MX"): ["10 mx.example.org."],
        ("www.example.org", "CNAME"): ["example.org."],
        ("only-a.example.org", "A"): ["192.0.2.1"],
    }
    with name_server(known) as address:
        servers = NameServers(address)
        assert sorted(servers.records("example.org", "TXT")) == ["other", "v=spf1 -all"]
        assert servers.records("EXAMPLE.org", "MX") == ["10 mx.example.org"]
        assert servers.records("www.example.org", "CNAME") == ["example.org"]
        assert servers.records("only-a.example.org", "TXT") == []
        assert servers.records("nobody.example.org", "TXT") == []


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".org", "\ud800.org", ".".join(["long"] * 80)])
def test_what_is_no_name_has_no_records(name: str) -> None:
    with name_server({}) as address:
        assert NameServers(address).records(name, "TXT") == []


def test_a_server_that_fails_says_nothing_about_a_name() -> None:
    with name_server({}, broken=["lame.example.org"]) as address, pytest.raises(Unanswered, match="lame"):
        NameServers(address).records("lame.example.org", "TXT")

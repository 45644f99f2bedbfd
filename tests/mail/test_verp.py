import pytest

from heliograph.accounts.vault import Vault
from heliograph.ids import new_ids
from heliograph.mail.verp import BOUNCE, UNSUBSCRIBE, Verp

VAULT = Vault(b"a secret of this test")
BOUNCES = Verp(VAULT, "Bounce.Example.org")
MESSAGE_ID = "01A0C450-6C00-7115-92F8-F429B49986AC"
ADDRESS = BOUNCES.address(MESSAGE_ID)


def test_address_leads_back_to_its_message_in_any_case() -> None:
    assert ADDRESS == ADDRESS.lower() == BOUNCES.address(MESSAGE_ID)
    assert ADDRESS.endswith("@bounce.example.org")
    assert len(ADDRESS.partition("@")[0]) <= 64
    for come_back in (ADDRESS, ADDRESS.upper(), ADDRESS.title()):
        assert BOUNCES.message_id(come_back) == MESSAGE_ID


def test_each_message_has_an_address_of_its_own() -> None:
    ids = new_ids(1000, 1_790_000_000.0)
    assert len({BOUNCES.address(one) for one in ids}) == 1000
    hashes = {BOUNCES.address(one).partition("@")[0].rpartition("-")[2] for one in ids}
    assert len(hashes) == 1000


def test_only_the_house_can_make_one() -> None:
    elsewhere = Verp(Vault(b"another secret"), "bounce.example.org")
    assert elsewhere.message_id(ADDRESS) is None
    assert BOUNCES.message_id(elsewhere.address(MESSAGE_ID)) is None


def test_address_of_one_purpose_is_no_good_for_another() -> None:
    unsubscribes = Verp(VAULT, "bounce.example.org", UNSUBSCRIBE)
    assert unsubscribes.address(MESSAGE_ID).startswith("u+")
    assert unsubscribes.message_id(unsubscribes.address(MESSAGE_ID)) == MESSAGE_ID
    assert unsubscribes.message_id(ADDRESS) is None
    assert unsubscribes.message_id("u" + ADDRESS[1:]) is None
    assert BOUNCES.message_id(BOUNCE + unsubscribes.address(MESSAGE_ID)[1:]) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "postmaster@bounce.example.org",
        ADDRESS.replace("@", "@other."),
        ADDRESS.partition("@")[0],
        ADDRESS + ".",
        ADDRESS + "\n",
        "x" + ADDRESS,
        ADDRESS.replace("b+", "b-", 1),
        ADDRESS.replace("@", "0@"),
        f"b+{MESSAGE_ID.lower()}@bounce.example.org",
        f"b+{MESSAGE_ID.lower()}-0000000000@bounce.example.org",
        "b+" + "-" * 100_000 + "@bounce.example.org",
        "b+\ud800-0000000000@bounce.example.org",
        "b+\u212a-0000000000@bounce.example.org",
    ],
)
def test_what_is_not_ours_or_was_changed_is_nobodys(address: str) -> None:
    assert BOUNCES.message_id(address) is None


@pytest.mark.parametrize("place", range(2, len(ADDRESS.partition("@")[0])))
def test_no_character_of_it_can_be_changed(place: int) -> None:
    changed = "1" if ADDRESS[place] == "0" else "0"
    assert BOUNCES.message_id(ADDRESS[:place] + changed + ADDRESS[place + 1 :]) is None

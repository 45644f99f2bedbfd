"""Signatures of events, against figures that this code did not make."""

import base64

import pytest

from heliograph.webhooks import signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_signature_is_the_one_that_openssl_computes() -> None:
    # printf '%s' 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC \
    #   -macopt hexkey:31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0 -binary | base64
    assert signature.headers(SECRET, EVENT, 1614265330, b'{"test": 2432232314}') == {
        "webhook-id": EVENT,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_bodies_are_signed_as_bytes() -> None:
    # the same command over the bytes of 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.' and then ff 00 0a
    signed = signature.headers(SECRET, EVENT, 1614265330, b"\xff\x00\n")
    assert signed["webhook-signature"] == "v1,Ce8OR5b7Hub64N7RqNE7qVtEFMA+EWr25LQ9szwntNQ="


def test_every_part_is_covered() -> None:
    whole = signature.headers(SECRET, "evt_1", 1000, b"body")["webhook-signature"]
    others = [
        signature.headers(SECRET, "evt_2", 1000, b"body"),
        signature.headers(SECRET, "evt_1", 1001, b"body"),
        signature.headers(SECRET, "evt_1", 1000, b"bodz"),
        signature.headers(signature.new_secret(), "evt_1", 1000, b"body"),
    ]
    assert whole not in [other["webhook-signature"] for other in others]


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9*8G", "whsec_MfKQ9"])
def test_a_malformed_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|base64|padding"):
        signature.headers(secret, EVENT, 0, b"")


def test_new_secrets_differ_and_have_the_length_that_the_specification_asks_for() -> None:
    one, other = signature.new_secret(), signature.new_secret()
    assert one != other
    assert 24 <= len(base64.b64decode(one.removeprefix("whsec_"))) <= 64
    assert signature.headers(one, EVENT, 0, b"")["webhook-signature"].startswith("v1,")

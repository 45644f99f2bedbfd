"""The options of a SIP trunk."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class SipOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sip", tag_field="kind"):
    """[transports.NAME] kind = "sip": a SIP trunk that voice messages are called through."""

    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\[\]-]+$", description="Name or address of the trunk.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 5060
    protocol: Annotated[
        Literal["udp", "tcp"], Meta(description="How SIP goes there. For TLS, put a proxy between (docs/voice.md).")
    ] = "udp"
    username: Annotated[
        str,
        Meta(pattern=r'^[^;<>"\\\s]*$', description="Name of the login (digest); empty: the trunk knows our address."),
    ] = ""
    password: Annotated[str, Meta(pattern=r'^[^"\\]*$', description="Password of the login.")] = ""
    caller_id: Annotated[
        str, Meta(pattern=r"^(\+?[0-9]{3,15})?$", description="Number that is shown when a message names none.")
    ] = ""
    asserted: Annotated[bool, Meta(description="Name the caller in P-Asserted-Identity as well (RFC 3325).")] = False
    plus: Annotated[bool, Meta(description="Whether numbers have their plus sign.")] = True
    codecs: Annotated[
        str,
        Meta(pattern="^(pcmu|pcma)(,(pcmu|pcma))?$", description="Codecs that are offered, the preferred one first."),
    ] = "pcmu,pcma"
    interface: Annotated[
        str, Meta(pattern=r"^[!-~]*$", description="Address or interface of this machine that calls go out from.")
    ] = ""
    calls: Annotated[int, Meta(ge=1, le=500, description="Calls at once.")] = 10
    rate: Annotated[float, Meta(ge=0, le=1000, description="Calls that begin in a second; 0: as fast as it goes.")] = (
        0.0
    )
    ring: Annotated[float, Meta(ge=1, le=300, description="Seconds that a phone rings.")] = 30.0
    longest: Annotated[float, Meta(ge=1, le=7200, description="Seconds after which a call is ended.")] = 600.0
    tries: Annotated[int, Meta(ge=1, le=50, description="Calls of a message that nobody answers.")] = 3
    pause: Annotated[float, Meta(ge=1, le=86400, description="Seconds until the next of them.")] = 300.0
    rtp_timeout: Annotated[
        int, Meta(ge=1, le=600, description="Seconds without any sound (RTP) after which a call is lost.")
    ] = 10
    ping: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds between two OPTIONS to see whether the trunk is there; 0: none."),
    ] = 30.0
    key_wait: Annotated[float, Meta(ge=0, le=60, description="Seconds that the first key is waited for.")] = 5.0
    key_silence: Annotated[float, Meta(ge=0.1, le=60, description="Seconds without a key that end the input.")] = 2.5
    key_repeats: Annotated[int, Meta(ge=0, le=9, description="How often the text is said again when no key comes.")] = 1
    machine_initial_silence: Annotated[
        float, Meta(gt=0, le=60, description="Silence of so many seconds after the answer is a human.")
    ] = 2.5
    machine_greeting: Annotated[float, Meta(gt=0, le=60, description="A longer greeting (seconds) is a machine's.")] = (
        1.5
    )
    machine_after_greeting: Annotated[
        float, Meta(gt=0, le=60, description="Silence of so many seconds after a greeting is a human who listens.")
    ] = 0.8
    machine_words: Annotated[int, Meta(ge=0, le=100, description="A greeting of more words is a machine's.")] = 3
    machine_word: Annotated[float, Meta(gt=0, le=5, description="Shorter sounds (seconds) are no words.")] = 0.1
    machine_between_words: Annotated[float, Meta(gt=0, le=5, description="Silence that ends a word, in seconds.")] = (
        0.05
    )
    machine_total: Annotated[
        float, Meta(gt=0, le=60, description="Seconds after which it stays unknown, and counts as a human.")
    ] = 5.0
    machine_threshold: Annotated[
        int, Meta(ge=1, le=32767, description="Mean level of a sample below which it is silent.")
    ] = 256
    machine_end: Annotated[
        float, Meta(gt=0, le=60, description="Silence that ends a machine's greeting, in seconds.")
    ] = 1.0
    machine_longest: Annotated[
        float, Meta(ge=0, le=300, description="Seconds after which a greeting is talked over.")
    ] = 45.0

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the trunk."""
        return self.host, self.port

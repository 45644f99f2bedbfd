"""Telephones that nobody here wrote: Debian's baresip, which answers and records, and SIPp, which follows a script."""

import asyncio
import json
import os
import socket
import subprocess
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transports.ports import free_port

NUMBER = "+61491570006"
PCAPS = Path("/usr/share/sip-tester")

CONFIG = """
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
module_path {modules}
audio_source aufile,{folder}/says.wav
audio_player aufile,{folder}/out.wav
module g711.so
module aufile.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}
"""


class Baresip:
    """Debian's baresip: it takes calls to NUMBER, says what `says` has, and records what it hears."""

    def __init__(self, program: str, folder: Path, says: bytes = bytes(16000 * 60)) -> None:
        self.port, self._control = free_port(), free_port()
        self._folder = folder
        with wave.open(str(folder / "says.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(says)
        modules = next(path for path in Path("/usr/lib").glob("**/baresip/modules") if path.is_dir())
        config = CONFIG.format(port=self.port, control=self._control, folder=folder, modules=modules)
        (folder / "config").write_text(config)
        (folder / "accounts").write_text(f"<sip:{NUMBER}@127.0.0.1:{self.port}>;regint=0;answermode=auto\n")
        (folder / "contacts").touch()
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", str(folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def press(self, key: str) -> None:
        """Press a key, by its control socket."""
        order = json.dumps({"command": "sndcode", "params": key}).encode()
        with socket.create_connection(("127.0.0.1", self._control), 10) as control:
            control.sendall(str(len(order)).encode() + b":" + order + b",")
            control.settimeout(10)
            control.recv(1000)

    @property
    def talking(self) -> bool:
        """Whether a call is established."""
        return b"Call established" in (self._folder / "log").read_bytes()

    def heard(self) -> tuple[float, bytes]:
        """(seconds, samples) of the newest call."""
        path = sorted(self._folder.glob("dump-*-dec.wav"))[-1]
        with wave.open(str(path)) as file:
            samples = file.readframes(file.getnframes())
            return len(samples) / 2 / file.getframerate(), samples

    def end(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(20)


@contextmanager
def baresip(program: str, folder: Path, says: bytes = bytes(16000 * 60)) -> Iterator[Baresip]:
    """A running baresip."""
    phone = Baresip(program, folder, says)
    try:
        yield phone
    finally:
        phone.end()


_COMMON = """[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPp[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>"""

_SDP = """v=0
o=sipp 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15"""


def _send(start: str, more: Sequence[str] = (), body: str = "", attributes: str = "") -> str:
    lines = [start, _COMMON, *more, "Content-Length: [len]", "", body]
    return f"<send {attributes}><![CDATA[\n" + "\n".join(lines) + "\n]]></send>"


def refusing(status: int, reason: str, *, rings: bool = False) -> str:
    """A script that refuses a call; status 0: it rings until the caller gives up."""
    steps = ['<recv request="INVITE"/>', _send("SIP/2.0 100 Trying")]
    if rings or not status:
        steps.append(_send("SIP/2.0 180 Ringing"))
    if not status:
        steps += ['<recv request="CANCEL"/>', _send("SIP/2.0 200 OK")]
        status, reason = 487, "Request Terminated"
        steps.append(_send(f"SIP/2.0 {status} {reason}").replace("[last_CSeq:]", "CSeq: [$1] INVITE"))
        steps[0] = (
            '<recv request="INVITE"><action><ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="1"/>'
            "</action></recv>"
        )
    else:
        steps.append(_send(f"SIP/2.0 {status} {reason}"))
    return _scenario([*steps, '<recv request="ACK"/>'])


def pressing() -> str:
    """A script that answers, and presses the key that is the last digit of the number."""
    steps = [
        '<recv request="INVITE"><action>'
        '<ereg regexp="([0-9])@" search_in="hdr" header="To:" check_it="true" assign_to="1,2"/></action></recv>',
        _send("SIP/2.0 180 Ringing"),
        _send("SIP/2.0 200 OK", ["Content-Type: application/sdp"], _SDP, 'retrans="500"'),
        '<recv request="ACK"/>',
        '<pause milliseconds="300"/>',
    ]
    for digit in range(10):
        steps.append(
            f'<nop><action><strcmp assign_to="3" variable="2" value="{digit}"/>'
            '<test assign_to="4" variable="3" compare="equal" value="0"/></action></nop>'
            f'<nop next="{digit + 1}" test="4"/>'
        )
    for digit in range(10):
        play = f'<nop><action><exec play_pcap_audio="{PCAPS}/dtmf_2833_{digit}.pcap"/></action></nop>'
        steps.append(f'<label id="{digit + 1}"/>{play}<nop next="20"/>')
    steps += ['<label id="20"/><recv request="BYE"/>', _send("SIP/2.0 200 OK")]
    return _scenario(steps, "1")


def asking(username: str, password: str) -> str:
    """A script that wants a digest login, and takes the right one only."""
    challenge = 'WWW-Authenticate: Digest realm="test", nonce="47ebe028cda119c35d4877b383027d28da013815", algorithm=MD5'
    verify = f'<verifyauth assign_to="1" username="{username}" password="{password}"/>'
    steps = [
        '<recv request="INVITE"/>',
        _send("SIP/2.0 401 Unauthorized", [challenge]),
        '<recv request="ACK"/>',
        f'<recv request="INVITE"><action>{verify}</action></recv>',
        '<nop hide="true" test="1" next="1"/>',
        _send("SIP/2.0 403 Forbidden"),
        '<recv request="ACK" next="2"/>',
        '<label id="1"/>' + _send("SIP/2.0 603 Decline"),
        '<recv request="ACK"/>',
        '<label id="2"/>',
    ]
    return _scenario(steps)


def _scenario(steps: Sequence[str], unused: str = "") -> str:
    reference = f'<Reference variables="{unused}"/>' if unused else ""
    return f'<?xml version="1.0"?><scenario name="called">{"".join(steps)}{reference}</scenario>'


class Sipp:
    """SIPp as the one who is called."""

    def __init__(self, program: str, folder: Path, script: str) -> None:
        self.port = free_port()
        media = free_port() // 4 * 4
        folder.mkdir(exist_ok=True)
        (folder / "script.xml").write_text(script)
        command = [program, "-sf", "script.xml", "-i", "127.0.0.1", "-p", str(self.port), "-mp", str(media)]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*command, "-nostdin"], cwd=folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait(20)
        self._log.close()


@contextmanager
def sipp(program: str, folder: Path, script: str) -> Iterator[Sipp]:
    """A running SIPp."""
    phone = Sipp(program, folder, script)
    try:
        yield phone
    finally:
        phone.end()


async def listening(port: int) -> None:
    """Return when something has a UDP port: it cannot be bound any more."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                return
        await asyncio.sleep(0.05)


def may_send_raw() -> bool:
    """Whether SIPp may play packets: it sends them by a raw socket."""
    return os.geteuid() == 0

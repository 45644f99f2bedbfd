"""A name server on loopback (DNS over UDP) that knows what a test tells it."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Records = Mapping[tuple[str, str], Sequence[str]]
"""(name, type) -> records as zone files have them: `"v=spf1 -all"` in quotes for a TXT, `10 mx.example.` for an MX."""


@contextmanager
def name_server(records: Records, *, broken: Sequence[str] = ()) -> Iterator[str]:
    """What HELIOGRAPH_DNS is set to, to ask this server. `records` may change meanwhile; `broken` names fail."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(sock, records, broken), daemon=True)
        thread.start()
        port = sock.getsockname()[1]
        try:
            yield f"127.0.0.1@{port}"
        finally:
            sock.sendto(b"", ("127.0.0.1", port))
            thread.join()


def _serve(sock: socket.socket, records: Records, broken: Sequence[str]) -> None:
    while True:
        octets, peer = sock.recvfrom(4096)
        if not octets:
            return
        sock.sendto(_answer(dns.message.from_wire(octets), records, broken).to_wire(), peer)


def _answer(asked: dns.message.Message, records: Records, broken: Sequence[str]) -> dns.message.Message:
    answer = dns.message.make_response(asked)
    answer.flags |= dns.flags.RA
    (question,) = asked.question
    name = question.name.to_text(omit_final_dot=True).lower()
    if name in broken:
        answer.set_rcode(dns.rcode.SERVFAIL)
        return answer
    found = records.get((name, dns.rdatatype.to_text(question.rdtype)))
    if found:
        answer.answer.append(
            dns.rrset.from_text(question.name, 60, "IN", dns.rdatatype.to_text(question.rdtype), *found)
        )
    elif not any(known == name for known, _ in records):
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer

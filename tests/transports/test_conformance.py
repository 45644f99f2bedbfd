"""Whoever adds a transport has it pass the suite."""

import importlib
import inspect
import pkgutil
from pathlib import Path

from heliograph import transports
from heliograph.transports.base import Transport
from heliograph.transports.late import LateTransport
from transports import (
    test_http,
    test_mm7_conformance,
    test_sandbox_email,
    test_sandbox_sms,
    test_sandbox_voice,
    test_sip,
    test_smpp_transport,
    test_smtp,
)

MEMBERS = {"ready", "capacity", "open", "send", "close"}


def is_transport(found: object) -> bool:
    """Whether this is a transport of its own, and not one that stands for another (tests/transports/test_late.py)."""
    if not inspect.isclass(found) or inspect.isabstract(found) or found in (Transport, LateTransport):
        return False
    return set(dir(found)) >= MEMBERS


def test_every_transport_runs_the_suite(tmp_path: Path) -> None:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(transports.__path__, transports.__name__ + ".")
    ]
    there = {found for module in modules for found in vars(module).values() if is_transport(found)}
    peers = (
        test_smpp_transport.SmscPeer(),
        test_smtp.RelayPeer(),
        test_sandbox_sms.SandboxPeer(),
        test_sandbox_email.SandboxPeer(tmp_path),
        test_http.Carrier(),
        test_mm7_conformance.MmscPeer(tmp_path),
        test_mm7_conformance.SandboxPeer(tmp_path),
        test_sip.PhonePeer(),
        test_sandbox_voice.SandboxPeer(tmp_path),
    )
    assert there == {type(peer.transport()) for peer in peers}

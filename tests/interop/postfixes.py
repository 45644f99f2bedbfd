"""Debian's Postfix as a relay on ports of its own: `postfix -c DIR start`, without systemd, beside any other one."""

import os
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.program import until
from transports.ports import free_port

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.com
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
maximal_queue_lifetime = 30s
bounce_queue_lifetime = 60s
minimal_backoff_time = 5s
maximal_backoff_time = 5s
queue_run_delay = 5s
delay_warning_time = 0
smtp_destination_concurrency_failed_cohort_limit = 100
"""
"""The relay hands everything to `sink`, bounces as well, and gives up after half a minute."""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup     unix n - n 60    1 pickup
cleanup    unix n - n -     0 cleanup
qmgr       unix n - n 300   1 qmgr
rewrite    unix - - n -     - trivial-rewrite
bounce     unix - - n -     0 bounce
defer      unix - - n -     0 bounce
trace      unix - - n -     0 bounce
verify     unix - - n -     1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n -     - proxymap
proxywrite unix - - n -     1 proxymap
smtp       unix - - n -     - smtp
relay      unix - - n -     - smtp
showq      unix n - n -     - showq
error      unix - - n -     - error
retry      unix - - n -     - error
discard    unix - - n -     - discard
anvil      unix - - n -     1 anvil
scache     unix - - n -     1 scache
postlog    unix-dgram n - n - 1 postlogd
"""

SUPERUSER_ONLY = "Postfix starts for the superuser only"


class Postfix:
    """A relay that runs: its port, and what it has logged."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self._log = folder / "mail.log"

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text() if self._log.exists() else ""


@contextmanager
def postfix(program: str, sink: int, **settings: str) -> Iterator[Postfix]:
    """A Postfix whose mails all go to a port of this machine; `settings` are further ones of main.cf.

    Its folder is one that its own user can enter, which pytest's are not.
    """
    folder = Path(tempfile.mkdtemp(prefix="heliograph-postfix-"))
    folder.chmod(0o755)
    try:
        relay = Postfix(free_port(), folder)
        _configure(folder, relay.port, sink, settings)
        control(program, folder, "start")
        try:
            until(lambda: "daemon started" in relay.log, failure=relay.log)
            yield relay
        finally:
            control(program, folder, "stop")
    finally:
        shutil.rmtree(folder)


def _configure(folder: Path, port: int, sink: int, settings: dict[str, str]) -> None:
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir(mode=0o755)
    shutil.chown(folder / "data", "postfix")
    more = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "etc" / "main.cf").write_text(MAIN.format(folder=folder, sink=sink).lstrip() + more)
    (folder / "etc" / "master.cf").write_text(MASTER.format(port=port).lstrip())


def control(program: str, folder: Path, word: str) -> None:
    """Run `postfix -c DIR WORD`."""
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    done = subprocess.run(
        [program, "-c", str(folder / "etc"), word], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, textwrap.shorten(done.stdout + done.stderr, 2000)

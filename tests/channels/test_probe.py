"""A channel that no product has does what every channel does, by one entry; and what SMS has no use for."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import heliograph
from channels.conformance import TO, Conformance
from files.fetching import fetch
from heliograph.channels import table
from heliograph.channels.email.channel import Email
from heliograph.channels.mms.channel import MmsChannel
from heliograph.channels.sms.channel import Sms
from heliograph.channels.voice.channel import Voice
from heliograph.transports.base import Mail, Outgoing
from support import postgres, probe, server
from support.carrier import Carrier
from support.probe import Probe


class TestProbe(Conformance):
    channel = "probe"
    price = "price"

    def carried(self, outgoing: Outgoing, body: str) -> None:
        assert outgoing.content == Mail(f"{body}\r\n\r\n".encode(), "")

    def test_its_price_is_the_sum_of_its_charges(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        two, five = (float(self.send(api, pages=pages)["price"]) for pages in (2, 5))
        one = float(self.send(api, pages=1)["price"])
        assert one < two
        assert five - one == pytest.approx((two - one) * 4)

    def test_its_content_is_made_of_a_file_at_the_hand_over(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        carrier.server.house.files.put("AAPROBE", io.BytesIO(b"the text of the file"))
        self.send(api, body="Hello", file="AAPROBE")
        assert carrier.next(api).content == Mail(b"Hello\r\n\r\nthe text of the file", "")
        key = self.send(api, file="BBGONE")["message_id"]
        assert self.becomes(api, key, "Failed")["status_text"] == "Failed: The file is gone."
        assert float(self.balance(api)) < 100

    def test_a_call_after_an_sms_of_the_same_text_is_no_repetition(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        assert api.send(TO, "The same text")["status"] == "SUCCESS"
        assert self.send(api, body="The same text")["status"] == "SUCCESS"
        assert api.send(TO, "The same text")["status"] == "THROTTLED"
        assert self.send(api, body="The same text")["status"] == "THROTTLED"


def test_registering_is_one_entry(carrier: Carrier) -> None:
    """The channel is reached by its name wherever channels are; nothing else of the house was changed."""
    assert [type(channel) for channel in carrier.server.house.channels.values()] == [
        *(Sms, MmsChannel, Voice, Email, Probe)
    ]
    assert Probe not in table.CHANNELS, "servers that start meanwhile have it too"


WORKER = """
import sys
from support import probe
probe.register()
from heliograph.cli import main
sys.argv = ["heliograph", "worker", "--data", sys.argv[1], "--database", sys.argv[2]]
main()
"""


def test_a_worker_process_writes_an_export(tmp_path: Path, postgres_url: str) -> None:
    """It serves no route, so nothing that a route knows may be needed."""
    with pytest.MonkeyPatch.context() as patch, postgres.database(postgres_url) as database:
        probe.register(patch.setattr)
        patch.setattr(server, "DOCUMENT", server.Document())
        running = server.Running(tmp_path, database, role="api", export_at_once=0)
        api = running.account()
        given = {"messages": [{"to": TO, "body": "Hello", "file": "A"}]}
        (sent,) = api.post("/probe/send", given)["messages"]
        url = api.get("/probe/history/export")["url"]
        assert fetch(url).status == 503
        path = os.pathsep.join([str(Path(heliograph.__file__).parent.parent), str(Path(__file__).parent.parent)])
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), database],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            got = api.until(lambda: [one for one in [fetch(url)] if one.status == 200])[0]
        finally:
            worker.terminate()
            worker.wait(60)
            running.close_clients()
            running.stop()
    assert sent["message_id"] in got.raw.decode()

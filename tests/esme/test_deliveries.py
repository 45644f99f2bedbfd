"""What waits for a bind: kept, in order, again after a refusal, and sent to who can take it."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from esme.peer import RECEIVING, Esme, add_login, bound, id_of
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.esme import deliveries, login, outbox
from heliograph.messaging import rows
from heliograph.transports.smpp import parts, pdu
from heliograph.transports.smpp.session import Session
from support import steps
from support.certificates import self_signed
from support.server import ONE_DATABASE, Api, Running
from transports.conformance import run
from transports.wire import Pdu, Wire

CUSTOMER, OURS = "+61491570156", "+61481074190"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAUSE", 0.05)


def arrive(server: Running, api: Api, text: str, system_id: str = "") -> str:
    """What the rule action does with an arriving message."""
    arrived = rows.Inbound(
        user_id=api.user_id,
        subaccount_id=0,
        channel="sms",
        message_id=f"{text[:20]} {time.monotonic_ns()}",
        timestamp=int(time.time()),
        sender=CUSTOMER,
        recipient=OURS,
        body=text,
        original_message_id="",
        original_body="",
        custom_string="",
    )
    told: str = server.write(lambda tx: deliveries.deliver(tx, api.user_id, system_id, arrived))
    return told


def texts(esme: Esme) -> list[str]:
    return [message.octets.decode() for message in esme.delivered]


def waiting(server: Running, system_id: str) -> int:
    def count(tx: Tx) -> int:
        sql = "SELECT count(*) FROM smpp_deliveries WHERE system_id = ?"
        return int(tx.driver(sql, [system_id]).fetchone()[0])

    return int(server.read(count))


async def emptied(server: Running, system_id: str, left: int = 0) -> None:
    """Wait until so many wait."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(waiting, server, system_id) != left:  # noqa: ASYNC110 - a table tells nobody
            await asyncio.sleep(0.01)


def test_an_arriving_message_goes_to_the_named_or_to_all(server: Running, api: Api) -> None:
    first, second = sorted([add_login(server, api)[0], add_login(server, api)[0]])
    stranger = server.account()
    assert arrive(server, api, "one", first) == f"a deliver_sm to {first}"
    assert arrive(server, api, "all") == f"a deliver_sm to {first}, {second}"
    assert arrive(server, stranger, "x", first) == f"nothing, since the account has no system_id {first}"
    assert arrive(server, stranger, "x") == "nothing, since the account has no SMPP login"
    assert (waiting(server, first), waiting(server, second)) == (2, 1)


@pytest.mark.parametrize("text", ["Yes {please} €", "жизнь 😀", "0123456789 " * 40, "жизнь 😀 " * 40])
@ONE_DATABASE
def test_any_text_arrives_whole(server: Running, api: Api, text: str) -> None:
    own = add_login(server, api)
    arrive(server, api, text)

    async def scenario() -> None:
        async with bound(server, *own, RECEIVING) as esme:
            count = waiting(server, own[0])
            came = await esme.until(count)
            taken = [(message.data_coding, parts.take_apart(message)[1]) for message in came]
            assert parts.join(taken, "gsm") == text
            assert {(message.source.text, message.dest.text) for message in came} == {(CUSTOMER[1:], OURS[1:])}
            assert all(len(message.octets) <= 140 or message.data_coding == 0 for message in came)
            await emptied(server, own[0])

    run(scenario())


def test_receipts_wait_for_a_bind_and_keep_their_order(server: Running, api: Api) -> None:
    """A transmitter submits and goes; a receiver gets all of it later, and nothing twice."""
    own = add_login(server, api, window=7)

    async def scenario() -> None:
        async with bound(server, *own, pdu.BIND_TRANSMITTER) as esme:
            ids = {id_of(await esme.submit(f"text {number}")) for number in range(20)}
        await emptied(server, own[0], 20)
        async with bound(server, *own, RECEIVING) as esme:
            told = [one.tlvs[pdu.TAG_RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode() for one in await esme.until(20)]
            assert set(told) == ids
            await emptied(server, own[0])

    run(scenario())


def test_what_is_refused_comes_again_before_what_stands_behind_it(server: Running, api: Api) -> None:
    own = add_login(server, api, window=1)
    for number in range(4):
        arrive(server, api, f"text {number}")
    asked: list[str] = []

    def refuse(message: Any) -> int:
        asked.append(message.octets.decode())
        return pdu.ESME_RMSGQFUL if asked.count("text 1") in (1, 2) and asked[-1] == "text 1" else 0

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            esme.refuse = refuse
            await esme.until(4)
            await emptied(server, own[0])

    run(scenario())
    assert asked == ["text 0", "text 1", "text 1", "text 1", "text 2", "text 3"]


@ONE_DATABASE
def test_what_is_refused_for_good_does_not_come_again(server: Running, api: Api) -> None:
    own = add_login(server, api)
    arrive(server, api, "no")
    arrive(server, api, "yes")

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            esme.refuse = lambda message: pdu.ESME_RX_R_APPN if message.octets == b"no" else 0
            await esme.until(1)
            await emptied(server, own[0])
            assert texts(esme) == ["yes"]

    run(scenario())


def test_what_was_not_acknowledged_comes_at_the_next_bind(server: Running, api: Api) -> None:
    own = add_login(server, api)
    for number in range(3):
        arrive(server, api, f"text {number}")

    async def scenario() -> None:
        esme = await Esme.connect(server)
        assert await esme.bind(*own) == 0
        assert (await esme.wire.read()).command == pdu.DELIVER_SM  # and it goes without a word
        esme.wire.writer.transport.abort()
        await esme.wire.close()
        async with bound(server, *own) as again:
            await again.until(3)
            assert sorted(texts(again)) == ["text 0", "text 1", "text 2"]
            await emptied(server, own[0])

    run(scenario())


def test_an_esme_that_never_answers_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "STOP", 0.05)
    server = Running(tmp_path)
    api = server.account()
    own = add_login(server, api)
    arrive(server, api, "text")

    async def scenario() -> None:
        esme = await Esme.connect(server)
        assert await esme.bind(*own) == 0
        assert (await esme.wire.read()).command == pdu.DELIVER_SM
        await asyncio.to_thread(server.stop)
        await esme.wire.close()

    run(scenario())


def test_what_a_lost_process_had_in_hand_is_due_at_once_and_comes_first(emptied_url: str) -> None:
    with steps.taken(emptied_url) as house:
        row = ("acme", "", house.clock.now, house.clock.now + DAY)
        columns = ("system_id", "body", "due_at", "valid_until")
        house.write(lambda tx: tx.insert_rows("smpp_deliveries", columns, [row] * 3))
        held = house.write(lambda tx: deliveries.claim(tx, "acme", 2, 60.0))
        house.clock.now += 1
        house.write(deliveries.free)
        again = house.write(lambda tx: deliveries.claim(tx, "acme", 2, 60.0))
        assert [one.delivery_id for one in again] == [one.delivery_id for one in held]


@ONE_DATABASE
def test_two_binds_share_what_waits(server: Running, api: Api) -> None:
    """One with no room: what it does not answer is not lost, and the other gets the rest."""
    own = add_login(server, api, window=2)

    async def scenario() -> None:
        async with bound(server, *own) as one, bound(server, *own) as other:
            for number in range(10):
                arrive(server, api, f"text {number}", own[0])

            async def all_of(esme: Esme) -> None:
                while len(one.delivered) + len(other.delivered) < 10:
                    await esme.until(len(esme.delivered) + 1)

            tasks = [asyncio.ensure_future(all_of(esme)) for esme in (one, other)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert sorted(texts(one) + texts(other)) == [f"text {number}" for number in range(10)]

    run(scenario())


@ONE_DATABASE
def test_a_receiver_is_closed_when_its_login_or_permission_ends(server: Running, api: Api) -> None:
    sub = server.subaccount(api)
    removed, forbidden = add_login(server, api), add_login(server, api, subaccount_id=sub.subaccount_id)
    arrive(server, api, "for nobody", forbidden[0])

    async def scenario() -> None:
        async with bound(server, *removed, RECEIVING) as one, bound(server, *forbidden, RECEIVING) as other:
            await other.until(1)
            await asyncio.to_thread(api.put, f"/subaccounts/{sub.subaccount_id}", {"access_smpp": False})
            await asyncio.to_thread(server.write, lambda tx: login.remove(tx, removed[0]) and 0)
            assert await one.wire.ended()
            assert await other.wire.ended()

    run(scenario())


@ONE_DATABASE
def test_what_no_bind_takes_in_time_is_forgotten(server: Running, api: Api) -> None:
    own, other = add_login(server, api), add_login(server, api)
    for system_id in (own[0], other[0]):
        arrive(server, api, "old", system_id)

    def age(tx: Tx) -> bool:
        tx.driver("UPDATE smpp_deliveries SET valid_until = ? WHERE system_id = ?", [tx.now, own[0]])
        return deliveries.forget(tx)

    assert server.write(age) is False
    assert (waiting(server, own[0]), waiting(server, other[0])) == (0, 1)
    assert deliveries.KEPT == 3 * DAY


@ONE_DATABASE
def test_an_esme_that_does_not_read_is_cut_off_and_costs_no_memory(
    server: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = add_login(server, api, window=1000)
    monkeypatch.setattr("heliograph.transports.smpp.session.LARGEST_BUFFER", 10_000)
    cut = asyncio.Event()
    abort = Session.abort

    def noticed(self: Session, why: str) -> None:
        if why == "the peer does not read":
            cut.set()
        abort(self, why)

    monkeypatch.setattr(Session, "abort", noticed)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            transport = esme.wire.writer.transport
            transport.pause_reading()  # type: ignore[attr-defined]
            asked = pdu.encode(pdu.ENQUIRE_LINK, 0, 1) * 2000

            async def ask_on() -> None:
                while True:
                    esme.wire.writer.write(asked)
                    await esme.wire.writer.drain()

            with pytest.raises(ConnectionError):
                await asyncio.wait_for(ask_on(), 60)
            assert cut.is_set()

    run(scenario())


def test_over_tls(tmp_path: Path) -> None:
    """On a server of its own, whose plain port is closed."""
    certificate = self_signed(tmp_path)
    secured = Running(
        tmp_path / "data", smpp_port="off", smpp_tls_port="0", smpp_tls_cert=str(certificate), smpp_tls_key=""
    )
    try:
        owner = secured.account()
        own = add_login(secured, owner)
        assert secured.smpp_port == 0

        async def scenario() -> None:
            context = ssl.create_default_context(cafile=str(certificate))
            esme = Esme(Wire(*await asyncio.open_connection("127.0.0.1", secured.smpp_tls_port, ssl=context)))
            assert await esme.bind(*own) == 0
            answer = await esme.submit("secret")
            (told,) = await esme.until(1)
            assert told.tlvs[pdu.TAG_RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode() == id_of(answer)
            await esme.wire.close()
            plain = await Wire.connect(secured.smpp_tls_port)
            plain.writer.write(pdu.encode(pdu.BIND_TRANSCEIVER, 0, 1, pdu.encode_bind(pdu.Bind(*own))))
            assert not (await plain._reader.read(16)).startswith(b"\0\0\0")
            await plain.close()

        async def goodbye() -> None:
            context = ssl.create_default_context(cafile=str(certificate))
            esme = Esme(Wire(*await asyncio.open_connection("127.0.0.1", secured.smpp_tls_port, ssl=context)))
            assert await esme.bind(*own) == 0
            stopping = asyncio.ensure_future(asyncio.to_thread(secured.stop))
            asked = await esme.wire.read()
            assert asked.command == pdu.UNBIND
            esme.wire.write(Pdu(asked.command | pdu.RESPONSE, 0, asked.sequence, b""))
            assert await esme.wire.ended()
            await stopping
            await esme.wire.close()

        run(scenario())
        run(goodbye())
        secured.close_clients()
    finally:
        secured.stop()


def test_rules_deliver_arrivals_and_receipts_of_messages_that_came_over_http(server: Running, api: Api) -> None:
    own = add_login(server, api)
    rule = {"rule_name": "to the ESME", "action": "SMPP", "action_address": own[0], "enabled": 1}
    api.post("/automations/sms/inbound", {**rule, "dedicated_number": "*", "message_search_type": 0})
    api.post("/automations/sms/receipts", {**rule, "match_type": 0})
    message_id = api.send("+61491999007", "echo", source="smpp")["message_id"]  # which is only a name

    async def scenario() -> None:
        async with bound(server, *own, RECEIVING) as esme:
            receipts, replies = [], []
            for message in await esme.until(2):
                (receipts if message.esm_class == pdu.RECEIPT else replies).append(message)
            assert [reply.octets for reply in replies] == [b"echo"]
            (receipt,) = receipts
            assert receipt.octets.startswith(f"id:{message_id} sub:001 dlvrd:001".encode())
            assert receipt.source.text == "61491999007"
            await emptied(server, own[0])

    run(scenario())
    lines = [step["detail"] for step in api.get(f"/sms/{message_id}/timeline")]
    assert lines.count(f"Rule to the ESME (SMPP): a deliver_sm to {own[0]}.") == 2


def test_a_submitted_message_has_one_receipt_with_a_rule_too(server: Running, api: Api) -> None:
    own = add_login(server, api)
    rule = {"rule_name": "all", "action": "SMPP", "action_address": "", "match_type": 0, "enabled": 1}
    api.post("/automations/sms/receipts", rule)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            key = id_of(await esme.submit("once"))
            (receipt,) = await esme.until(1)
            assert receipt.octets.startswith(f"id:{key} ".encode())
            await emptied(server, own[0])

    run(scenario())

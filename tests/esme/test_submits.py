"""What an ESME submits becomes messages like those of HTTP: the same prices, refusals and receipts."""

import asyncio
import contextlib
import time

import pytest

from esme.peer import RECEIVING, TO, Esme, add_login, bound, id_of, long, submit
from heliograph.errors import DatabaseAway
from heliograph.esme import login, reading, submits
from heliograph.messaging import message
from heliograph.transports.smpp import alphabet, pdu, receipts
from heliograph.transports.smpp.pdu import Address, ShortMessage
from support.server import ONE_DATABASE, Api, Running
from transports.conformance import run
from transports.wire import Pdu

LONG = "0123456789 " * 40


def report(told: ShortMessage) -> tuple[str, str]:
    """The id and the state of a receipt, as a carrier's client of ours reads them."""
    read = receipts.sort(told, "same")
    assert isinstance(read, receipts.Report), told
    named = told.tlvs[pdu.TAG_RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode()
    assert told.octets.startswith(f"id:{named} ".encode())
    assert receipts.receipt_id(named, "same") == read.remote_id
    return named, read.state


def test_a_message_is_sent_charged_and_reported(server: Running, api: Api) -> None:
    system_id, password = add_login(server, api)

    async def scenario() -> str:
        async with bound(server, system_id, password) as esme:
            answer = await esme.submit(alphabet.encode_gsm("Hello [€]"))
            (told,) = await esme.until(1)
            assert report(told) == (id_of(answer), "delivered")
            assert (told.source.text, told.dest) == (TO, Address(5, 0, "Shop"))
            assert b"sub:001 dlvrd:001 submit date:" in told.octets
            assert told.octets.endswith(b"stat:DELIVRD err:000 text:Hello \x1b<\x1be\x1b>")
            return id_of(answer)

    row = api.history(run(scenario()))
    assert (row["body"], row["from"], row["to"], row["status"]) == ("Hello [€]", "Shop", f"+{TO}", "Completed")
    assert float(row["message_price"]) > 0
    assert float(api.get("/account")["balance"]) < 100


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"),
    [
        (0, b"\x00 \x10 \x1b\x65", "@ Δ €"),
        (1, b"plain @", "plain @"),
        (3, "café ñ".encode("latin-1"), "café ñ"),
        (8, "жизнь 😀".encode("utf-16-be"), "жизнь 😀"),
        (0xF0, b"flash", "flash"),
    ],
)
@ONE_DATABASE
def test_alphabets(server: Running, api: Api, data_coding: int, octets: bytes, text: str) -> None:
    system_id, password = add_login(server, api)

    async def scenario() -> str:
        async with bound(server, system_id, password) as esme:
            return id_of(await esme.submit(octets, data_coding=data_coding, registered=0))

    assert api.history(run(scenario()))["body"] == text


def test_each_part_is_answered_and_the_message_is_priced_once(server: Running, api: Api) -> None:
    """With a window of one: the next part leaves when the last one is answered, in any order."""
    system_id, password = add_login(server, api, window=1)

    async def scenario() -> list[str]:
        async with bound(server, system_id, password) as esme:
            bodies = long(LONG)
            assert len(bodies) == 3
            ids = [id_of(await esme.ask(pdu.SUBMIT_SM, body)) for body in (bodies[2], bodies[0])]
            state = await esme.ask(pdu.QUERY_SM, pdu.c_string(ids[0]) + b"\0\0\0")
            assert state.body.endswith(b"\0\x01\0")
            ids.append(id_of(await esme.ask(pdu.SUBMIT_SM, bodies[1])))
            told = await esme.until(3)
            assert {report(one) for one in told} == {(one, "delivered") for one in ids}
            for one in ids:
                state = await esme.ask(pdu.QUERY_SM, pdu.c_string(one) + b"\0\0\0")
                name, final = state.body.split(b"\0")[:2]
                assert name.decode() == one
                assert final.endswith(b"000+")
                assert state.body[-2:] == b"\x02\0"
            return ids

    assert len(set(run(scenario()))) == 3
    (row,) = api.get("/sms/history")["data"]
    assert (row["body"], row["message_parts"]) == (LONG, "3.00")


def test_parts_by_tlvs_and_a_payload(server: Running, api: Api) -> None:
    system_id, password = add_login(server, api)

    def part(number: int) -> bytes:
        values = (b"\0\x09", b"\x02", bytes((number,)))
        tags = (pdu.TAG_SAR_MSG_REF_NUM, pdu.TAG_SAR_TOTAL_SEGMENTS, pdu.TAG_SAR_SEGMENT_SEQNUM)
        return submit(f"part {number} ", tlvs=zip(tags, values, strict=True))

    async def scenario() -> None:
        async with bound(server, system_id, password) as esme:
            payload = submit("", tlvs=[(pdu.TAG_MESSAGE_PAYLOAD, LONG.encode())])
            sent = [esme.send(pdu.SUBMIT_SM, body) for body in (part(1), payload, part(2))]
            assert [answer.status for answer in await esme.answers(sent)] == [0, 0, 0]
            await esme.until(3)

    run(scenario())
    assert {row["body"] for row in api.get("/sms/history")["data"]} == {"part 1 part 2 ", LONG}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (submit(to="12"), pdu.ESME_RINVDSTADR),
        (submit(source=Address(5, 0, "much too long a name")), pdu.ESME_RINVSRCADR),
        (submit(""), pdu.ESME_RINVMSGLEN),
        (submit("", tlvs=[(pdu.TAG_MESSAGE_PAYLOAD, b"x" * 2000)]), pdu.ESME_RINVMSGLEN),
        (submit(b"\0\1\2", data_coding=4), pdu.ESME_RINVDCS),
        (submit(schedule="soon"), pdu.ESME_RINVSCHED),
        (submit(schedule="991231235959000+"), pdu.ESME_RINVSCHED),
        (submit(validity="261340250000000+"), pdu.ESME_RINVEXPIRY),
        (submit(validity="200101000000000+"), pdu.ESME_RINVEXPIRY),
        (submit()[:-9], pdu.ESME_RINVPARLEN),
        (b"", pdu.ESME_RINVPARLEN),
        (long(LONG, to="12")[0], pdu.ESME_RINVDSTADR),
    ],
)
@ONE_DATABASE
def test_refusals_have_codes(server: Running, api: Api, body: bytes, status: int) -> None:
    system_id, password = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, system_id, password) as esme:
            answer = await esme.ask(pdu.SUBMIT_SM, body)
            assert (pdu.status_name(answer.status), answer.body) == (pdu.status_name(status), b"")
            assert (await esme.submit("and then a good one")).status == 0

    run(scenario())


def test_what_the_database_refuses(server: Running) -> None:
    """No credit, the same text again, and a long message without credit: its other parts are told by receipts."""
    poor, rich = server.account(credit=60_000), server.account()
    own, other = add_login(server, poor), add_login(server, rich)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            first, second, last = [await esme.ask(pdu.SUBMIT_SM, body) for body in long(LONG)]
            assert (first.status, second.status, last.status) == (0, 0, reading.NO_CREDIT)
            told = await esme.until(2)
            assert {report(one)[0] for one in told} == {id_of(first), id_of(second)}
            assert all(b"stat:REJECTD" in one.octets for one in told)
        async with bound(server, *other) as esme:
            assert (await esme.submit()).status == 0
            assert (await esme.submit()).status == reading.REPEATED

    run(scenario())


def test_schedule_validity_query_and_cancel(server: Running, api: Api) -> None:
    own, others = add_login(server, api), add_login(server, api)

    async def scenario() -> str:
        async with bound(server, *own) as esme, bound(server, *others) as stranger:
            answer = await esme.submit(schedule="000001000000000R", validity="000002000000000R")
            named = pdu.c_string(id_of(answer)) + b"\0\0\0"
            assert (await esme.ask(pdu.QUERY_SM, named)).body.endswith(b"\0\x01\0")
            assert (await stranger.ask(pdu.CANCEL_SM, b"\0" + named + b"\0\0\0")).status == pdu.ESME_RINVMSGID
            assert (await stranger.ask(pdu.QUERY_SM, named)).status == pdu.ESME_RINVMSGID
            assert (await esme.ask(pdu.CANCEL_SM, b"\0" + named + b"\0\0\0")).status == 0
            assert b"stat:DELETED" in (await esme.until(1))[0].octets
            assert (await esme.ask(pdu.QUERY_SM, named)).body[-2] == 4
            assert (await esme.ask(pdu.CANCEL_SM, b"\0" + named + b"\0\0\0")).status == pdu.ESME_RCANCELFAIL
            assert (await esme.ask(pdu.CANCEL_SM, b"\0nobody")).status == pdu.ESME_RINVPARLEN
            return id_of(answer)

    message_id = run(scenario())
    row = api.history(message_id)
    assert row["status"] == "Cancelled"
    house = server.house
    found = server.read(lambda tx: message.find(tx, api.user_id, message_id))
    assert 172_400 < house._delivery(house.channels["sms"])._valid_until(found) - time.time() < 172_900
    assert 86_000 < int(row["schedule"]) - time.time() < 86_500


def test_a_part_can_be_cancelled_and_what_stays_incomplete_expires(server: Running, api: Api) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            cancelled = id_of(await esme.ask(pdu.SUBMIT_SM, long(LONG, 1)[0]))
            forgotten = id_of(await esme.ask(pdu.SUBMIT_SM, long(LONG, 2)[0]))
            named = pdu.c_string(cancelled) + bytes(6)
            assert (await esme.ask(pdu.CANCEL_SM, b"\0" + named)).status == 0
            assert b"stat:DELETED" in (await esme.until(1))[0].octets
            server.write(lambda tx: tx.driver("UPDATE long_inbound SET at = at - ?", [submits.PARTS_TIMEOUT + 1]) and 0)
            server.write(submits.give_up)
            told = (await esme.until(2))[1]
            assert b"stat:EXPIRED" in told.octets
            assert report(told)[0] == forgotten
            assert (await esme.ask(pdu.QUERY_SM, pdu.c_string(forgotten) + b"\0\0\0")).body[-2] == 3

    run(scenario())
    assert api.get("/sms/history")["data"] == []


def test_a_repeated_part_is_known_as_one_of_its_message(server: Running, api: Api) -> None:
    """The answer to a part was lost, and the ESME sends it again after the message was whole."""
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            for body in long(LONG):
                await esme.ask(pdu.SUBMIT_SM, body)
            await esme.until(3)
            again = id_of(await esme.ask(pdu.SUBMIT_SM, long(LONG)[1]))
            server.write(lambda tx: tx.driver("UPDATE long_inbound SET at = at - ?", [submits.PARTS_TIMEOUT + 1]) and 0)
            server.write(submits.give_up)
            assert report((await esme.until(4))[3]) == (again, "delivered")

    run(scenario())
    assert len(api.get("/sms/history")["data"]) == 1


def test_ids_are_forgotten_long_after_the_end(server: Running, api: Api) -> None:
    """Not those of messages that are still to be sent."""
    own = add_login(server, api)

    async def scenario() -> list[str]:
        async with bound(server, *own, pdu.BIND_TRANSMITTER) as esme:
            return [
                id_of(await esme.submit("now")),
                id_of(await esme.submit("in three months", schedule="000300000000000R")),
            ]

    async def asked(ids: list[str]) -> list[int]:
        async with bound(server, *own) as esme:
            return [(await esme.ask(pdu.QUERY_SM, pdu.c_string(one) + b"\0\0\0")).status for one in ids]

    ids = run(scenario())
    assert server.write(lambda tx: submits.forget(tx, 0)) is False
    assert run(asked(ids)) == [0, 0]
    server.write(lambda tx: submits.forget(tx, -submits.FORGOTTEN_AFTER - 60))
    assert run(asked(ids)) == [pdu.ESME_RINVMSGID, 0]


@ONE_DATABASE
def test_only_failures_are_reported_to_who_asks_for_them(server: Running, api: Api) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            await esme.submit("fine", registered=2)
            await esme.submit("silent", to="61400999001", registered=0)
            failed = await esme.submit("lost", to="61400999001", registered=2)
            told = (await esme.until(1))[0]
            assert report(told) == (id_of(failed), "failed")
            assert told.tlvs[pdu.TAG_MESSAGE_STATE] == b"\x05"

    run(scenario())


@ONE_DATABASE
def test_more_than_the_window_or_the_rate_is_throttled(server: Running, api: Api) -> None:
    narrow, slow = add_login(server, api, window=3), add_login(server, api, rate=0.001)

    async def statuses(esme: Esme, name: str) -> list[int]:
        sent = [Pdu(pdu.SUBMIT_SM, 0, 100 + n, submit(f"{name} {n}")) for n in range(5)]
        esme.wire.write(*sent)
        return [answer.status for answer in await esme.answers(range(100, 105))]

    async def scenario() -> None:
        async with bound(server, *narrow) as esme:
            assert sorted(await statuses(esme, "narrow")) == [0, 0, 0, pdu.ESME_RTHROTTLED, pdu.ESME_RTHROTTLED]
            assert (await esme.submit("there is room again")).status == 0
            asked = [esme.send(pdu.QUERY_SM, b"x\0\0\0\0") for _ in range(50)]
            statuses_of = {answer.status for answer in await esme.answers(asked)}
            assert statuses_of == {pdu.ESME_RINVMSGID, pdu.ESME_RTHROTTLED}
        async with bound(server, *slow) as esme:
            assert sorted(await statuses(esme, "slow")) == [0, *[pdu.ESME_RTHROTTLED] * 4]

    run(scenario())


@ONE_DATABASE
def test_a_receiver_submits_nothing(server: Running, api: Api) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own, RECEIVING) as esme:
            assert (await esme.submit()).status == pdu.ESME_RINVBNDSTS

    run(scenario())


@ONE_DATABASE
def test_while_the_database_is_away_nothing_is_taken(
    server: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = add_login(server, api)

    def away(*_: object, **more: object) -> "asyncio.Future[object]":
        failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        failed.set_exception(DatabaseAway("the test"))
        return failed

    async def scenario() -> None:
        async with bound(server, *own, pdu.BIND_TRANSMITTER) as esme:
            other = await Esme.connect(server)
            with monkeypatch.context() as patch:
                for way in ("write", "write_merged", "read"):
                    patch.setattr(server.house.database, way, away)
                assert (await esme.submit()).status == pdu.ESME_RSYSERR
                assert (await esme.ask(pdu.QUERY_SM, b"x\0\0\0\0")).status == pdu.ESME_RSYSERR
                assert (await esme.ask(pdu.CANCEL_SM, b"\0x\0\0\0\0")).status == pdu.ESME_RSYSERR
                assert await other.bind(*own) == pdu.ESME_RSYSERR
            assert (await esme.submit()).status == 0
            assert await other.bind(*own) == 0
            await other.wire.close()

    run(scenario())


def test_a_login_that_is_gone_submits_nothing(server: Running, api: Api) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            server.write(lambda tx: login.remove(tx, own[0]) and 0)
            with contextlib.suppress(asyncio.IncompleteReadError):  # what looks for deliveries has seen it first
                assert (await esme.submit()).status == pdu.ESME_RSUBMITFAIL
            assert await esme.wire.ended()
        assert api.get("/sms/history")["total"] == 0

    run(scenario())

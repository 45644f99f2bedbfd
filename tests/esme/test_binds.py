"""Who may bind, and what connections may cost that do not."""

import asyncio
from typing import Any

import pytest

from esme.peer import RECEIVING, TRANSCEIVING, Esme, add_login, bound, submit
from heliograph.esme import bind as binding
from heliograph.transports.smpp import pdu
from support.server import ONE_DATABASE, Api, Running
from transports.conformance import run
from transports.wire import Pdu, Wire

pytestmark = ONE_DATABASE


async def tried(server: Running, system_id: str, password: str, command: int = TRANSCEIVING) -> int:
    esme = await Esme.connect(server)
    status = await esme.bind(system_id, password, command)
    await esme.wire.close()
    return status


def test_all_three_kinds_bind_and_the_answer_says_who_we_are(server: Running, api: Api) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        for command in (pdu.BIND_TRANSMITTER, pdu.BIND_RECEIVER, pdu.BIND_TRANSCEIVER):
            esme = await Esme.connect(server)
            answer = await esme.ask(command, pdu.encode_bind(pdu.Bind(*own)))
            assert (answer.command, answer.status) == (command | pdu.RESPONSE, 0)
            assert answer.body == b"heliograph\0" + bytes((2, 0x10, 0, 1, 0x34))
            assert (await esme.ask(command, pdu.encode_bind(pdu.Bind(*own)))).status == pdu.ESME_RALYBND
            assert (await esme.ask(pdu.ENQUIRE_LINK)).status == 0
            assert (await esme.ask(pdu.UNBIND)).status == 0
            assert await esme.wire.ended()
            await esme.wire.close()

    run(scenario())


def test_wrong_credentials_and_wrong_networks_are_told_apart_by_nobody(server: Running, api: Api) -> None:
    own, far = add_login(server, api), add_login(server, api, networks=("192.0.2.0/24", "2001:db8::/32"))
    near = add_login(server, api, networks=("127.0.0.0/8",))

    async def scenario() -> None:
        wrong = [(own[0], "wrong"), ("nobody", own[1]), (own[0].upper(), own[1]), far, ("", ""), ("x" * 5000, "y")]
        assert [await tried(server, *one) for one in wrong] == [pdu.ESME_RINVPASWD] * len(wrong)
        assert await tried(server, *near) == 0

    run(scenario())


def test_subaccounts_need_the_permission(server: Running, api: Api) -> None:
    without, fitting = server.subaccount(api, access_smpp=0), server.subaccount(api)
    logins = [add_login(server, api, subaccount_id=one.subaccount_id) for one in (without, fitting)]

    async def scenario() -> None:
        assert [await tried(server, *one) for one in logins] == [pdu.ESME_RBINDFAIL, 0]

    run(scenario())


def test_no_more_binds_than_the_login_has(server: Running, api: Api) -> None:
    own = add_login(server, api, binds=2)

    async def scenario() -> None:
        async with bound(server, *own, RECEIVING):
            async with bound(server, *own):
                assert await tried(server, *own) == pdu.ESME_RBINDFAIL
            while await tried(server, *own) == pdu.ESME_RBINDFAIL:  # until the server has seen the end of the other
                pass

    run(scenario())


def test_hundreds_of_binds_leave_nothing(server: Running, api: Api) -> None:
    own = add_login(server, api, binds=2)

    async def scenario() -> None:
        for _ in range(200):
            esme = await Esme.connect(server)
            assert await esme.bind(*own) == 0
            assert (await esme.ask(pdu.UNBIND)).status == 0
            assert await esme.wire.ended()
            await esme.wire.close()
        async with bound(server, *own) as esme:
            assert (await esme.submit()).status == 0

    run(scenario())


def test_guesses_are_limited_and_a_connection_has_few(server: Running, api: Api, monkeypatch: Any) -> None:
    own = add_login(server, api)
    hits = 0

    async def hit(*key: str) -> None:
        nonlocal hits
        hits += 1
        if hits > 2:
            raise binding.TooManyRequests

    async def scenario() -> None:
        esme = await Esme.connect(server)
        assert [await esme.bind(own[0], "wrong") for _ in range(3)] == [pdu.ESME_RINVPASWD] * 3
        assert await esme.wire.ended()
        await esme.wire.close()
        monkeypatch.setattr(server.house.limits.logins, "hit", hit)
        assert await tried(server, *own) == 0
        assert await tried(server, *own) == pdu.ESME_RINVPASWD  # the right password, but too many attempts

    run(scenario())


def test_half_open_binds_end_and_one_address_has_few(server: Running, api: Api, monkeypatch: Any) -> None:
    own = add_login(server, api)
    monkeypatch.setattr(binding, "BIND_TIMEOUT", 0.2)
    monkeypatch.setattr(binding, "MOST_UNBOUND", 5)

    async def scenario() -> None:
        idle = [await Wire.connect(server.smpp_port) for _ in range(8)]
        assert all(await asyncio.gather(*(wire.ended() for wire in idle)))
        for wire in idle:
            await wire.close()
        async with bound(server, *own) as esme:
            assert (await esme.submit()).status == 0

    run(scenario())


def test_no_more_connections_than_there_is_room_for(server: Running, api: Api, monkeypatch: Any) -> None:
    own = add_login(server, api)
    monkeypatch.setattr(binding, "MOST_CONNECTIONS", 1)

    async def scenario() -> None:
        async with bound(server, *own):
            wire = await Wire.connect(server.smpp_port)
            assert await wire.ended()
            await wire.close()

    run(scenario())


@pytest.mark.parametrize("command", [pdu.SUBMIT_SM, pdu.DATA_SM, pdu.QUERY_SM, pdu.CANCEL_SM])
def test_nothing_is_served_before_a_bind(server: Running, api: Api, command: int) -> None:
    """Not either what is written together with the bind: its answer is not there yet."""
    own = add_login(server, api)

    async def scenario() -> None:
        esme = await Esme.connect(server)
        assert (await esme.ask(command, submit())).status == pdu.ESME_RINVBNDSTS
        both = Pdu(TRANSCEIVING, 0, 7, pdu.encode_bind(pdu.Bind(*own))), Pdu(command, 0, 8, submit())
        esme.wire.write(*both)
        assert [answer.status for answer in await esme.answers([7, 8])] == [0, pdu.ESME_RINVBNDSTS]
        await esme.wire.close()

    run(scenario())


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_a_false_length_ends_the_connection(server: Running, api: Api, length: int) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            esme.wire.writer.write(pdu.HEADER.pack(length, pdu.SUBMIT_SM, 0, 9) + b"x" * 100)
            answer = await esme.wire.read()
            assert (answer.command, answer.status) == (pdu.GENERIC_NACK, pdu.ESME_RINVCMDLEN)
            assert await esme.wire.ended()

    run(scenario())


def test_what_is_not_served_is_said_so(server: Running, api: Api) -> None:
    own = add_login(server, api)

    async def scenario() -> None:
        async with bound(server, *own) as esme:
            for command in (0x07, 0x21, 0x123456):  # replace_sm, submit_multi, and nothing
                answer = await esme.ask(command, submit())
                assert (answer.command, answer.status) == (pdu.GENERIC_NACK, pdu.ESME_RINVCMDID)

    run(scenario())

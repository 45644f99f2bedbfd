"""The job of a campaign, step by step: what becomes of the money and of each recipient, whatever happens in between."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

import pytest

from heliograph.billing import ledger, tariff
from heliograph.campaigns import campaign, expansion, plan
from heliograph.campaigns.campaign import Row
from heliograph.campaigns.expansion import Expansion
from heliograph.campaigns.plan import Wanted
from heliograph.channels.table import CAMPAIGNS
from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, Conflict
from heliograph.messaging import message
from heliograph.messaging.message import COMPLETED
from heliograph.queue import claim, jobs
from heliograph.queue.jobs import Job
from support import quiet, steps
from support.steps import Steps

PRICE = 71_500
LEASE = 30.0


class House:
    """An account with a list, and the job of its campaigns, run by hand."""

    def __init__(self, opened: Steps) -> None:
        self.steps, self.clock, self.write = opened, opened.clock, opened.write
        self.who = opened.account(credit=1000 * PRICE)
        self.list_id: int = self.write(lambda tx: lists.create(tx, self.who.user_id, "Customers"))["list_id"]
        self.expansion = Expansion(opened.database, quiet.CHANNELS, LEASE)

    def add(self, numbers: Sequence[int], **fields: str) -> None:
        def work(tx: Tx) -> None:
            into = lists.find(tx, self.who.user_id, self.list_id, lock=True)
            rows = [contact.columns({"phone_number": f"+61491{one:06}", **fields}, "AU") for one in numbers]
            contact.add(tx, into, rows)

        self.write(work)

    def edit(self, number: int, **fields: str) -> None:
        """Change the contact with this number."""

        def work(tx: Tx) -> None:
            key = tx.driver("SELECT contact_id FROM contacts WHERE msisdn = ?", [61491000000 + number]).fetchone()[0]
            _, before = contact.find(tx, self.who.user_id, self.list_id, key)
            contact.change(tx, key, contact.columns(fields, "AU", before))

        self.write(work)

    def planned(self, body: str = "Hello", **more: Any) -> plan.Plan:
        wanted = Wanted(name="Test", list_id=self.list_id, body=body, **more)
        kind = CAMPAIGNS[quiet.SMS.name]
        return self.steps.run(plan.make(self.steps.database, self.who, quiet.SMS, kind, wanted))

    def order(self, body: str = "Hello", **more: Any) -> Row:
        made = self.planned(body, **more)
        return self.write(lambda tx: self.store(tx, made))

    def store(self, tx: Tx, made: plan.Plan) -> Row:
        return campaign.create(tx, self.who, quiet.SMS.name, made, ip_address="", request_id="R")

    def jobs(self) -> list[Job]:
        return self.write(lambda tx: jobs.claim(tx, 10, {}))

    def run(self, job: Job | None = None) -> float | None:
        """Run the job that is due, or the one that is given."""
        return self.steps.run(self.expansion.run(job or self.jobs()[0]))

    def row(self, of: Row) -> Row:
        return self.write(lambda tx: campaign.find(tx, self.who, quiet.SMS.name, of["campaign_id"]))

    def messages(self, of: Row) -> list[tuple[str, str, str]]:
        """(recipient, body, status)."""
        sql = "SELECT recipient, body, status FROM messages WHERE campaign_id = ? ORDER BY ordinal"
        return self.write(lambda tx: [tuple(row) for row in tx.driver(sql, [of["campaign_id"]]).fetchall()])

    def statuses(self, of: Row) -> dict[str, int]:
        """How many of its messages have each status."""
        return dict(Counter(status for _, _, status in self.messages(of)))

    def hand_over(self, limit: int = 1000) -> int:
        """Let a carrier take what is due; how many that were."""

        def work(tx: Tx) -> int:
            claims = claim.claim(tx, quiet.SMS.name, limit, LEASE)
            message.move(tx, [(one.user_id, one.message_id) for one in claims], COMPLETED, None, None)
            return len(claim.done(tx, claims))

        return self.write(work)

    def books(self, of: Row, refunds: int = 0) -> list[int]:
        """The entries of campaigns, once their sum is what the messages of this one cost."""

        def work(tx: Tx) -> tuple[list[int], int]:
            entries = [row for row in ledger.entries(tx, self.who.user_id) if row["kind"] == "campaign"]
            sql = "SELECT COALESCE(SUM(price_micros), 0) FROM messages WHERE campaign_id = ?"
            (spent,) = tx.driver(sql, [of["campaign_id"]]).fetchone()
            return [int(str(row["micros"])) for row in entries], int(spent)

        entries, spent = self.write(work)
        assert -sum(entries) == spent
        assert self.steps.balance(self.who) == 1000 * PRICE - spent + refunds
        return entries


@pytest.fixture
def house(emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(plan, "SLICE", 10)
    with steps.taken(emptied_url) as opened:
        yield House(opened)


@pytest.fixture
def killed(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """A process that dies after each slice, since its time for one run is over then."""
    monkeypatch.setattr(expansion, "SECONDS_A_RUN", -1)
    return house


def test_a_campaign_is_sent_only_when_nothing_of_it_is_left_in_the_queue(house: House) -> None:
    house.add(range(25), first_name="Ann")
    row = house.order("Hi (First Name)")
    assert (row["status"], row["slices"], row["reserved_micros"]) == ("Queued", 3, 25 * PRICE)
    (job,) = house.jobs()
    assert house.run(job) == expansion.FIRST_LOOK
    assert len(house.messages(row)) == 25
    assert {body for _, body, _ in house.messages(row)} == {"Hi Ann"}
    assert house.hand_over(24) == 24
    house.clock.now += 20
    assert house.run(job) == 2.0
    assert house.row(row)["status"] == "Sending"
    house.hand_over()
    assert house.run(job) is None
    assert house.row(row)["status"] == "Sent"
    assert house.books(row) == [-25 * PRICE]


def test_a_scheduled_campaign_waits_for_its_time(house: House) -> None:
    house.add(range(3))
    row = house.order(schedule=house.clock.now + 3600)
    assert (row["status"], house.jobs()) == ("Scheduled", [])
    house.clock.now += 3601
    house.run()
    assert len(house.messages(row)) == 3
    assert house.hand_over() == 3


def test_a_run_that_dies_goes_on_where_the_last_slice_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(range(35))
    row = house.order()
    (job,) = house.jobs()
    advance = campaign.advance

    def dies(tx: Tx, before: Row, spent: int, refused: int) -> Row:
        assert before["cursor"] == 0, "killed within the second slice"
        return advance(tx, before, spent, refused)

    monkeypatch.setattr(campaign, "advance", dies)
    with pytest.raises(AssertionError, match="killed"):
        house.run(job)
    assert (len(house.messages(row)), house.row(row)["reserved_micros"]) == (10, 25 * PRICE)
    assert house.jobs() == []
    monkeypatch.setattr(campaign, "advance", advance)
    house.clock.now += LEASE + 1
    (again,) = house.jobs()
    assert again.attempt == 2
    house.run(again)
    assert len({recipient for recipient, _, _ in house.messages(row)}) == len(house.messages(row)) == 35
    assert house.books(row) == [-35 * PRICE]


def test_two_processes_with_the_same_job_make_each_message_once(house: House) -> None:
    house.add(range(35))
    row = house.order()
    (job,) = house.jobs()

    async def both() -> None:
        await asyncio.gather(house.expansion.run(job), house.expansion.run(job))

    house.steps.run(both())
    assert len({recipient for recipient, _, _ in house.messages(row)}) == len(house.messages(row)) == 35
    assert house.books(row) == [-35 * PRICE]


def test_a_campaign_of_a_hundred_does_not_wait_behind_a_list_send_of_another_account(house: House) -> None:
    joe = house.steps.account("joe", credit=1000 * PRICE)
    house.steps.accept(quiet.order(joe, *(quiet.draft(f"+614915{number:05}") for number in range(600))))
    house.clock.now += 1
    house.add(range(100))
    house.order()
    house.run()
    claims = house.write(lambda tx: claim.claim(tx, quiet.SMS.name, 200, LEASE))
    assert Counter(one.user_id for one in claims) == {joe.user_id: 100, house.who.user_id: 100}


def test_what_became_cheaper_gives_back_and_what_became_dearer_is_refused(house: House) -> None:
    house.add(range(4), first_name="x" * 170)
    row = house.order("(First Name)")
    assert row["reserved_micros"] == 8 * PRICE
    house.edit(0, first_name="short")
    house.edit(1, first_name="x" * 250)
    house.edit(2, last_name="is in no text")
    house.edit(3, first_name="\u0416" * 170)
    house.run()
    assert [recipient[-1] for recipient, _, _ in house.messages(row)] == ["0", "1", "2"]
    assert house.row(row)["refused_count"] == 1
    assert house.books(row) == [-8 * PRICE, 3 * PRICE]


def test_contacts_that_were_deleted_or_got_the_number_of_another(house: House) -> None:
    house.add(range(14))
    row = house.order("Hi")
    house.write(lambda tx: tx.driver("DELETE FROM contacts WHERE msisdn = 61491000000"))
    house.edit(1, phone_number="+61491000013")
    house.edit(2, phone_number="+61491000500")
    house.edit(12, phone_number="+61491000500")
    house.run()
    numbers = [recipient for recipient, _, _ in house.messages(row)]
    assert len(set(numbers)) == len(numbers) == 11
    assert {"+61491000500", "+61491000013"} <= set(numbers)
    assert house.row(row)["refused_count"] == 3
    assert house.books(row) == [-14 * PRICE, 3 * PRICE]


def test_a_campaign_whose_list_is_deleted_under_way_fails_and_the_rest_comes_back(killed: House) -> None:
    killed.add(range(25))
    row = killed.order()
    (job,) = killed.jobs()
    assert killed.run(job) == 0.0
    killed.write(lambda tx: lists.delete(tx, killed.who.user_id, killed.list_id))
    killed.run(job)
    assert killed.row(row)["status"] == "Failed"
    assert len(killed.messages(row)) == 10
    assert killed.books(row) == [-25 * PRICE, 15 * PRICE]
    assert killed.hand_over() == 10


def test_a_closed_account_sends_no_more(house: House) -> None:
    house.add(range(3))
    row = house.order()
    house.write(lambda tx: tx.driver("UPDATE users SET banned = 1"))
    house.run()
    assert (house.row(row)["status"], house.messages(row)) == ("Failed", [])
    assert house.books(row) == [-3 * PRICE, 3 * PRICE]


def test_when_none_of_its_messages_can_be_sent_it_has_failed(house: House) -> None:
    house.add(range(3))
    row = house.order()
    house.write(lambda tx: tx.driver("DELETE FROM contacts"))
    assert house.run() is None
    assert (house.row(row)["status"], house.row(row)["refused_count"]) == ("Failed", 3)
    assert house.books(row) == [-3 * PRICE, 3 * PRICE]


def test_a_campaign_that_is_stopped_under_way(killed: House) -> None:
    killed.add(range(25))
    row = killed.order()
    (job,) = killed.jobs()
    assert [killed.run(job), killed.run(job)] == [0.0, 0.0]
    claims = killed.write(lambda tx: claim.claim(tx, quiet.SMS.name, 5, LEASE))
    stopped = killed.write(lambda tx: campaign.cancel(tx, killed.who, quiet.SMS.name, row["campaign_id"]))
    assert stopped["status"] == "Cancelled"
    assert killed.run(job) is None
    (second,) = killed.jobs()
    assert killed.run(second) == expansion.FIRST_LOOK
    assert killed.statuses(row) == {"Queued": 5, "Cancelled": 15}
    taken, given_back = claims[:3], claims[3:]
    killed.write(lambda tx: message.move(tx, [(c.user_id, c.message_id) for c in taken], COMPLETED, None, None))
    killed.write(lambda tx: claim.done(tx, taken))
    for one in given_back:
        killed.write(lambda tx, one=one: claim.again(tx, one, tx.clock + 60))
    assert killed.run(second) is None
    assert killed.statuses(row) == {"Completed": 3, "Cancelled": 17}
    assert killed.books(row, refunds=17 * PRICE) == [-25 * PRICE, 5 * PRICE]
    with pytest.raises(BadRequest):
        killed.write(lambda tx: campaign.cancel(tx, killed.who, quiet.SMS.name, row["campaign_id"]))


def test_prices_that_changed_while_it_was_priced(house: House) -> None:
    house.add(range(3))
    made = house.planned()
    dearer = _rates().replace('"0.0715"', '"0.1000"')
    house.write(lambda tx: tariff.import_rates(tx, dearer))
    with pytest.raises(Conflict):
        house.write(lambda tx: house.store(tx, made))
    row = house.order()
    assert row["reserved_micros"] == 300_000


def test_rates_that_rise_before_it_is_sent_refuse_its_messages(house: House) -> None:
    house.add(range(3))
    row = house.order()
    dearer = _rates().replace('"0.0715"', '"0.1000"')
    house.write(lambda tx: tariff.import_rates(tx, dearer))
    house.run()
    assert (house.row(row)["status"], house.books(row)) == ("Failed", [-3 * PRICE, 3 * PRICE])


def test_too_many_contacts_are_refused_as_a_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MOST", 24)
    house.add(range(24))
    assert house.planned().count == 24
    house.add([24])
    with pytest.raises(BadRequest, match="Too many"):
        house.planned()
    house.write(lambda tx: tx.driver("UPDATE contact_lists SET contacts_count = 1"))  # another reader counts them
    with pytest.raises(BadRequest, match="Too many"):
        house.planned()


def test_a_job_that_fails_for_ever_gives_the_money_back(house: House) -> None:
    house.add(range(3))
    row = house.order()
    (job,) = house.jobs()
    house.run(Job(job.job_id, job.kind, job.lane, 50, job.payload))
    assert (house.row(row)["status"], house.books(row)) == ("Failed", [-3 * PRICE, 3 * PRICE])


def test_a_change_ends_the_run_of_the_old_job(house: House) -> None:
    house.add(range(3))
    row = house.order(schedule=house.clock.now + 60)
    made = house.planned("Other", schedule=house.clock.now + 120)
    house.write(lambda tx: campaign.change(tx, house.who, row, made))
    with pytest.raises(Conflict):
        house.write(lambda tx: campaign.change(tx, house.who, row, made))
    house.clock.now += 61
    (old,) = house.jobs()
    assert house.run(old) is None
    assert house.messages(row) == []
    house.clock.now += 60
    house.run(house.jobs()[-1])
    assert [body for _, body, _ in house.messages(row)] == ["Other"] * 3
    assert house.books(row) == [-3 * PRICE]


def _rates() -> str:
    return files("heliograph.billing").joinpath("rates.toml").read_text(encoding="utf-8")

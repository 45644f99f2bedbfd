"""What a matching rule does: all of it rows in the transaction of the event."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heliograph.accounts import preferences
from heliograph.accounts.vault import Vault
from heliograph.automations import event as events
from heliograph.automations import mails, rules
from heliograph.automations.event import CONFIRMATIONS, FORWARD, REPLY, Event
from heliograph.automations.families import LEARNED, OF_ARRIVALS
from heliograph.automations.mails import RuleMails
from heliograph.automations.sending import RuleSms
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.contacts import audience, contact, lists, optout
from heliograph.db.engine import Tx
from heliograph.esme import deliveries
from heliograph.mailaddress import is_address
from heliograph.messaging import rows
from heliograph.messaging.channel import Channel
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from heliograph.texts import after
from heliograph.webhooks import outgoing

Rule = Mapping[str, Any]


class Done(NamedTuple):
    """What a rule did, for the timeline, and the address that a mail is still to go to."""

    told: str = ""
    mail_to: str | None = None


class Actions:
    """Runs the rules of receipts and of arriving messages, and hears who opts out."""

    def __init__(self, settings: Settings, vault: Vault, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._sms = RuleSms(settings, channels[SMS])
        self._mails = RuleMails(settings, vault)
        self._wishes = optout.Wishes(settings.opt_out_words, settings.opt_in_words)
        self._confirmations = {optout.OUT: settings.opt_out_reply, optout.IN: settings.opt_in_reply}

    def on_receipt(self, tx: Tx, sent: Message, receipt: rows.Receipt) -> bool:
        """Run the receipt rules, and mail the report where the account has its reports; whether a rule is POLL."""
        wants = preferences.mailing(tx, sent.user_id)
        family = self._channels[sent.channel].receipt_rules
        matching = rules.matching_receipt(tx, sent.user_id, family, receipt.status_code)
        if not matching and not wants.delivery_to:
            return False
        event = events.of_receipt(sent, receipt)
        done = [self._act(tx, event, rule, "") for rule in matching]
        own = wants.delivery_to == preferences.ORIGINAL
        to = [mails.mail_of(tx, event) if own else wants.delivery_to or ""]
        to += [one.mail_to for one in done if one.mail_to is not None]
        subject = f"Delivery report for {sent.recipient}: {receipt.status}"
        became = self._mails.send(tx, sent.user_id, to, subject, lambda: mails.report(sent, receipt, wants))
        return _conclude(tx, event, matching, done, became)

    def on_inbound(self, tx: Tx, arrived: rows.Inbound, original: Message | None) -> bool:
        """Run the inbound rules, and mail the reply where replies go; whether a rule is POLL.

        A reply goes to the `from_email` of the original message or the account's `reply_to`; without both, and when
        no rule takes it, to the subaccount that it is for. Source: api-v3, `from_email` (endpoint 126).
        """
        event = events.of_arrival(arrived, original)
        self._hear(tx, event, arrived.body)
        family = self._channels[arrived.channel].inbound_rules
        words = self._wishes.out
        matching = rules.matching_inbound(tx, arrived.user_id, family, arrived.recipient, arrived.body, words)
        wants = preferences.mailing(tx, arrived.user_id)
        asked = (original.from_email if original else None) or ""
        named = asked or (wants.reply_to if wants.reply_to != preferences.ORIGINAL else "")
        done = [self._act(tx, event, rule, named) for rule in matching]
        to = [named or ("" if matching else mails.mail_of(tx, event))]
        to += [one.mail_to for one in done if one.mail_to is not None]
        subject = f"Reply from {arrived.sender}"
        became = self._mails.send(tx, arrived.user_id, to, subject, lambda: mails.reply(arrived, wants), arrived)
        return _conclude(tx, event, matching, done, became)

    def _hear(self, tx: Tx, event: Event, text: str) -> None:
        """Opt out or in again whoever says nothing but a word for it."""
        wish = self._wishes.of(text)
        if wish == optout.OUT:
            self._opt_out(tx, event, f"Reply {text.strip()}")
        elif wish == optout.IN:
            key = event.original.message_id if event.original else None
            if optout.opt_in(tx, event.user_id, event.party, f"Reply {text.strip()}", message_id=key):
                event.lines.append(f"{event.party} opted in again by the reply.")
                self._confirm(tx, event, optout.IN)

    def _opt_out(self, tx: Tx, event: Event, cause: str) -> str:
        """Opt out whom the event is about, and confirm it; what became of it."""
        key = event.original.message_id if event.original else None
        new = optout.opt_out(tx, event.user_id, event.party, cause, message_id=key)
        if new:
            event.lines.append(f"{event.party} opted out. Cause: {cause}")
        if event.arrived is not None:
            self._confirm(tx, event, optout.OUT)
        return f"{event.party} into the Opt-Out List" if new else "nothing new"

    def _confirm(self, tx: Tx, event: Event, what: str) -> None:
        if self._confirmations[what]:
            told = self._sms.to_one(tx, event, event.party, self._confirmations[what], CONFIRMATIONS[what])
            event.lines.append(f"Confirmation: {told}.")

    def _act(self, tx: Tx, event: Event, rule: Rule, named: str) -> Done:
        """Do what one rule says. `named` is where mails to the user go; "": as the message or its subaccount says."""
        action, address = rule["action"], rule["action_address"] or ""
        if action in OF_ARRIVALS and event.arrived is None:
            return Done("nothing, since it is for arriving messages")
        if action == "URL":
            outgoing.push(tx, event.user_id, address, rule["webhook_type"] or "post", event.payload())
            return Done("a call of its URL")  # which may hold secrets
        if action == "EMAIL_FIXED":
            return Done(mail_to=address)
        if action == "EMAIL_USER":
            return Done(mail_to=named or mails.mail_of(tx, event))
        if action in ("SMS", "GROUP_SMS") and event.echo:  # its receipt would send the next
            return Done("no SMS, since the message is a rule's own")
        if action == "SMS":
            return Done(self._sms.to_one(tx, event, address, event.told, FORWARD))
        if action == "GROUP_SMS":
            return Done(self._sms.to_group(tx, event, int(address)))
        if action == "SMPP":
            return Done(_to_esme(tx, event, address))
        if action == "AUTO_REPLY":
            return Done(self._auto_reply(tx, event, rule["body"] or address))
        if action == "MOVE_CONTACT":
            return Done(self._move(tx, event, rule, int(address)))
        if action in LEARNED:
            return self._enter(tx, event, rule, int(address))
        return Done("nothing")

    def _move(self, tx: Tx, event: Event, rule: Rule, list_id: int) -> str:
        """Whom the event is about changes lists; into the Opt-Out List by opting out. Source: facts E, G9."""
        if list_id == lists.opt_out_list(tx, event.user_id):
            return self._opt_out(tx, event, f"Rule {rule['rule_name']}")
        moved = contact.move(tx, event.user_id, event.party, event.list_id, list_id)
        if moved is None:
            return "nothing, since the list is gone or the sender has no number"
        return f"{event.party} into list {list_id}" if moved.left else "nothing, since the message went to no list"

    def _enter(self, tx: Tx, event: Event, rule: Rule, list_id: int) -> Done:
        """Whom the event is about enters a list, with what the text says of a name and an address. Source: facts E."""
        action, body = rule["action"], (rule["body"] or "").strip()
        said = said_of_oneself(rule, event.arrived.body) if event.arrived else {}
        known = {name: said[name] for name in LEARNED[action] if name in said}
        contact.enter(tx, event.user_id, event.party, list_id, known)
        mail_to = body if action.endswith("_EMAIL") and is_address(body) else None
        return Done(f"{event.party} into list {list_id}", mail_to)

    def _auto_reply(self, tx: Tx, event: Event, text: str) -> str:
        """Answer the sender by a text that may have placeholders (facts E, G1)."""
        member = audience.acquainted(tx, event.user_id, event.party, event.list_id)
        return self._sms.to_one(tx, event, event.party, audience.personal(text)(member), REPLY)


def _to_esme(tx: Tx, event: Event, system_id: str) -> str:
    """An arriving message, or else a receipt, goes to a bind of the account."""
    if event.arrived is not None:
        return deliveries.deliver(tx, event.user_id, system_id, event.arrived)
    if event.receipt is None or event.original is None:
        raise ValueError("an event is an arrival or a receipt")
    return deliveries.deliver_receipt(tx, event.user_id, system_id, event.original, event.receipt)


def _conclude(tx: Tx, event: Event, matching: Sequence[Rule], done: Sequence[Done], became: Mapping[str, str]) -> bool:
    """Write down what the rules did; whether one is POLL, whose line the list writes (many at once)."""
    for rule, one in zip(matching, done, strict=True):
        mailed = became[one.mail_to] if one.mail_to is not None else ""
        if rule["action"] != "POLL":
            told = ", ".join(filter(None, (one.told, mailed)))
            event.lines.append(f"Rule {rule['rule_name']} ({rule['action']}): {told}.")
    event.record(tx)
    return any(rule["action"] == "POLL" for rule in matching)


_EDGES = " \t\r\n,.;:!?-\"'`()[]{}<>\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a"
"""What stands around words."""


def said_of_oneself(rule: Rule, text: str) -> dict[str, str]:
    """What the sender of a text says of a name and an address, as fields of a contact.

    `email` is the first word with an @; `first_name` and `last_name` are the other words after the search term of the
    rule (the whole text when it has none that must occur). Source: facts E.
    """
    term = rule["message_search_term"] if rule["message_search_type"] in (1, 2) else ""
    words = [word.strip(_EDGES)[: contact.LONGEST] for word in after(term or "", text).split()]
    addresses = [word for word in words if is_address(word)]
    first, *last = [word for word in words if word and "@" not in word] or [""]
    found = {"email": addresses[0] if addresses else "", "first_name": first, "last_name": " ".join(last)}
    return {name: value[: contact.LONGEST] for name, value in found.items() if value}

"""HTTP shapes of proving a phone number, and of forgotten usernames and passwords (endpoints 4 to 8)."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from heliograph import audit, phone
from heliograph.accounts import account
from heliograph.accounts.api import faulty_password, profile
from heliograph.accounts.recovery import access, tokens
from heliograph.accounts.vault import hash_password
from heliograph.channels.sms.channel import NAME, SmsMessage, Writer
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, Forbidden, TooManyRequests
from heliograph.http.request import Reply, Request
from heliograph.messaging import accept
from heliograph.phone import Phone
from heliograph.queue import mail

_VERIFIED = (
    *("user_id", "username", "user_email", "active", "banned", "balance", "user_phone", "reply_to", "delivery_to"),
    *("user_first_name", "user_last_name", "account", "account_name", "account_billing_email"),
    *("account_billing_mobile", "country", "default_country_sms", "auto_recharge", "auto_recharge_amount"),
    *("low_credit_amount", "setting_unicode_sms", "setting_email_sms_subject", "setting_fix_sender_id", "_currency"),
)
_VERIFIED_SUB = (
    *("subaccount_id", "api_username", "email", "first_name", "last_name", "api_key", "access_users"),
    *("access_billing", "access_reporting", "access_contacts", "access_settings"),
)
"""What endpoint 5 shows of the account and of its subaccount: less than endpoint 2, and a few keys of its own."""


class WrongToken(BadRequest):
    """The same for every fault of a token, so that nothing can be learnt from it."""

    def __init__(self) -> None:
        super().__init__({"activation_token": "Activation token is wrong, was used, or has expired."})


class Verification(msgspec.Struct):
    """Body of 4."""

    country: str
    user_phone: str
    type: str


class ForgottenUsername(msgspec.Struct):
    """Body of 6: one of both is enough."""

    email: str = ""
    phone_number: str = ""


class ForgottenPassword(msgspec.Struct):
    """Body of 7."""

    username: str


class NewPassword(msgspec.Struct):
    """Body of 8."""

    subaccount_id: int
    activation_token: str
    password: str


def sending_codes(writer: Writer) -> Callable[[Request], Reply]:
    """The handler of 4, which sends through the SMS channel."""

    def send_code(req: Request) -> Reply:
        given = req.decode(Verification)
        if not req.who.is_main:
            raise Forbidden
        number = _number_of(given)
        code = tokens.issue(req.tx, req.services.vault, req.who.user_id, tokens.PHONE, number.number)
        if code is None:
            raise TooManyRequests(headers={"retry-after": str(tokens.WINDOW)})
        _text(req, writer, number, code)
        audit.record(req.tx, req.who.user_id, req.who.api_username, "phone.code_sent", number.number)
        data = {"user_phone": number.number, "type": "sms", "country": given.country.strip().upper()}
        if req.services.settings.mode == "sandbox":
            data["activation_token"] = code  # there is no handset to read it from (facts J5)
        return Reply(data)

    return send_code


def _number_of(given: Verification) -> Phone:
    """The number to prove. Raises BadRequest for each bad field."""
    country, way = given.country.strip().upper(), given.type.strip().lower()
    number = phone.parse(given.user_phone, country) if country in phone.COUNTRIES else None
    faults = {}
    if country not in phone.COUNTRIES:
        faults["country"] = "Country must be a two-letter ISO 3166 code."
    if number is None:
        faults["user_phone"] = "User phone must be a valid phone number."
    if way != "sms":
        called = "Type call is not available: there are no voice messages yet. Use sms."
        faults["type"] = called if way == "call" else "Type must be sms or call."
    if faults or number is None:
        raise BadRequest(faults)
    return number


def _text(req: Request, writer: Writer, number: Phone, code: str) -> None:
    """Send the code in the name of the house, which pays. Raises BadRequest when no message can go there."""
    who = access.house(req.tx, req.services.vault, req.who, number.country)
    body = f"{code} is your verification code. It is valid for {tokens.LIFE[tokens.PHONE] // 60} minutes."
    draft = writer.draft(who, SmsMessage(to=number.number, body=body, source="verification"), req.tx.clock)
    if draft.refusal is not None:
        raise BadRequest({"user_phone": f"No message can be sent to this number: {draft.refusal}."})
    accept.accept(req.tx, [accept.Order(principal=who, channel=NAME, request_id=req.id, drafts=[draft], gratis=True)])


async def verify_phone(req: Request) -> Reply:
    """5. Prove the number with the code; the account becomes active."""
    proved = await req.services.database.write(lambda tx: _proved(tx, req))
    if proved is None:
        raise WrongToken  # after the commit, so that the try is counted
    return proved


def _proved(tx: Tx, req: Request) -> Reply | None:
    who = account.current(tx, req.who)
    number = tokens.use_code(tx, req.services.vault, who.user_id, req.params["activation_token"])
    if number is None:
        return None
    access.prove_phone(tx, who.user_id, who.api_username, number)
    whole = profile(tx, req.services.vault, who.user_id, who.subaccount_id)
    sub = whole["_subaccount"]
    shown: dict[str, Any] = {name: whole[name] for name in _VERIFIED}
    shown |= {"unsubscribe_mail": 0, "setting_beta": 0}
    shown["_subaccount"] = {name: sub[name] for name in _VERIFIED_SUB} | {
        "mobile": sub["phone_number"],
        "user_id": who.user_id,
        "sms_deidentify_message": 0,
        "access_smpp": 0,
    }
    return Reply(shown)


def forgot_username(req: Request) -> Reply:
    """6. Mail the usernames to whoever has this address or number; the answer never says whether anybody has."""
    given = req.decode(ForgottenUsername)
    email, number = given.email.strip(), given.phone_number.strip()
    if not email and not number:
        raise BadRequest({"email": "Email field is required.", "phone_number": "Phone number field is required."})
    if email and not mail.is_address(email):
        raise BadRequest({"email": "Email must be an email address."})
    parsed = phone.parse(number)
    names: dict[tuple[int, str], list[str]] = {}
    for row in access.named(req.tx, email, parsed.number if parsed else ""):
        names.setdefault((row["user_id"], row["email"]), []).append(row["api_username"])
    for (user_id, address), known in names.items():
        if tokens.issue(req.tx, req.services.vault, user_id, tokens.USERNAME) is not None:
            text = f"Somebody, we hope you, asked for the username of your account.\n\n{chr(10).join(known)}\n"
            _mail(req, address, "Your username", text)
            audit.record(req.tx, user_id, "forgot-username", "username.reminded", address)
    return Reply([])


def forgot_password(req: Request) -> Reply:
    """7. Mail a key for a new password; the answer never says whether there is such a user."""
    user = account.find(req.tx, req.decode(ForgottenPassword).username.strip())
    who = account.by_user(req.tx, user["user_id"]) if user else None
    if user is None or who is None or not user["email"]:
        return Reply([])
    key = tokens.issue(req.tx, req.services.vault, who.user_id, tokens.PASSWORD)
    if key is not None:
        text = (
            "Somebody, we hope you, asked for a new password for your account. If it was not you, do nothing.\n\n"
            f"subaccount_id:    {who.subaccount_id}\n"
            f"activation_token: {key}\n\n"
            # Not the address that the request came to: a stranger chooses that one.
            f"Send both with the new password to PUT {req.services.settings.public_url}/v3/forgot-password/verify"
            f" within {tokens.LIFE[tokens.PASSWORD] // 60} minutes.\n"
        )
        _mail(req, user["email"], "A new password for your account", text)
        audit.record(req.tx, who.user_id, "forgot-password", "password.key_sent", user["email"])
    return Reply([])


def _mail(req: Request, to: str, subject: str, text: str) -> None:
    mail.enqueue(req.tx, req.services.settings.mail_from, to, subject, text)


async def set_password(req: Request) -> Reply:
    """8. Set the new password. The slow hash is made between two transactions, and only for a key that is good."""
    given = req.decode(NewPassword)
    fault = faulty_password(given.password)
    if fault:
        raise BadRequest({"password": fault})
    key, vault, database = given.activation_token.strip().upper(), req.services.vault, req.services.database

    def holds(tx: Tx) -> bool:
        user = access.owner_of(tx, given.subaccount_id)
        return user is not None and tokens.holds(tx, vault, user["user_id"], key)

    def change(tx: Tx) -> bool:
        user = access.owner_of(tx, given.subaccount_id)
        if user is None or not tokens.use_key(tx, vault, user["user_id"], key):
            return False
        access.set_password(tx, user["user_id"], "forgot-password", hashed)
        return True

    if not await database.read(holds):
        raise WrongToken
    hashed = await asyncio.to_thread(hash_password, given.password)
    if not await database.write(change):
        raise WrongToken
    return Reply([])

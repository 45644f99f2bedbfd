"""HTTP shapes of proving a phone number, and of forgotten usernames and passwords (endpoints 4 to 8)."""

import asyncio
from typing import Annotated

import msgspec

from heliograph import audit, phone
from heliograph.accounts import account, passwords
from heliograph.accounts.api import LONGEST_NAME, AccountBase, profile
from heliograph.accounts.recovery import access, reminders, tokens
from heliograph.accounts.vault import hash_password
from heliograph.billing.currencies import Currency
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.channels.sms.shapes import SmsMessage
from heliograph.channels.voice.channel import NAME as VOICE
from heliograph.channels.voice.shapes import VoiceMessage
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, Forbidden, TooManyRequests, required
from heliograph.fields import Amount, Country, CountryCode, Flag, Mail, Nothing, PhoneNumber, RegionalPhone, about
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mailaddress import is_address
from heliograph.messaging import accept
from heliograph.messaging.channel import Order
from heliograph.phone import Phone

WAYS = {"sms": SMS, "call": VOICE}
"""`type` -> the channel that the code goes out by."""

LONGEST_NUMBER = 40
"""Characters of a phone number that are looked at."""


class WrongToken(BadRequest):
    """The same for every fault of a token, so that nothing can be learnt from it."""

    def __init__(self) -> None:
        super().__init__({"activation_token": "Activation token is wrong, was used, or has expired."})


class Verification(msgspec.Struct):
    """Body of 4."""

    country: CountryCode
    user_phone: RegionalPhone
    type: Annotated[str, about("How the code comes: sms or call.", "sms")]


class ForgottenUsername(msgspec.Struct):
    """Body of 6: one of both is enough."""

    email: Annotated[str, about("Email address of the account or of a subaccount.", "jane@example.com")] = ""
    phone_number: Annotated[
        str, about("Phone number of the account, in E.164 format or as it is written in its country.", "+61411111111")
    ] = ""


class ForgottenPassword(msgspec.Struct):
    """Body of 7."""

    username: Annotated[str, about("Username of the account or of a subaccount.", "jane")]


class NewPassword(msgspec.Struct):
    """Body of 8."""

    subaccount_id: Annotated[int, about("As in the mail.", 1)]
    activation_token: Annotated[str, about("The key in the mail; it works once.", "7F3K-2M9Q")]
    password: Annotated[str, about("4 to 200 characters.", "a long sentence")]


class CodeSent(msgspec.Struct, omit_defaults=True):
    """`data` of a code that was sent (4). In sandbox mode the answer has the code."""

    user_phone: PhoneNumber
    type: Annotated[str, about("How the code comes.", "sms")]
    country: Country
    activation_token: Annotated[str, about("In sandbox mode only: there is no handset to read it from.", "123456")] = ""


class ProvenSubaccount(msgspec.Struct, kw_only=True):
    """The subaccount of the answer of 5."""

    subaccount_id: int
    api_username: str
    email: Mail
    mobile: PhoneNumber
    first_name: str
    last_name: str
    api_key: Annotated[str, about("The key in clear.", "D83DED51-9E35-4D42-9BB9-0E34B7CA85AE")]
    user_id: int
    access_users: Flag
    access_billing: Flag
    access_reporting: Flag
    access_contacts: Flag
    access_settings: Flag
    access_smpp: Flag
    sms_deidentify_message: Annotated[int, about("Always 0.", 0)]


class ProvenAccount(AccountBase, kw_only=True):
    """`data` of a proved number (5): less of the account than endpoint 2 has, and two keys of its own."""

    default_country_sms: Country
    unsubscribe_mail: Flag
    auto_recharge: Flag
    auto_recharge_amount: Amount
    low_credit_amount: Amount
    setting_unicode_sms: Flag
    setting_beta: Flag
    setting_email_sms_subject: Flag
    setting_fix_sender_id: Flag
    currency: Currency = msgspec.field(name="_currency")
    subaccount: ProvenSubaccount = msgspec.field(name="_subaccount")


@endpoint("Verification sent.", CodeSent, before_activation=True, daily="codes_per_address")
def send_code(req: Request, body: Verification) -> Reply:
    """Send a code to a phone number, to prove that it is the account's."""
    if not req.who.is_main:
        raise Forbidden
    number = _number_of(body)
    settings = req.services.settings
    code = tokens.issue(req.tx, req.services.vault, req.who.user_id, tokens.PHONE, settings, number.number)
    if code is None:
        raise TooManyRequests(headers={"retry-after": str(tokens.WINDOW)})
    way = body.type.strip().lower()
    _tell(req, number, code, way)
    audit.record(req.tx, req.who.user_id, req.who.api_username, "phone.code_sent", number.number)
    token = code if settings.mode == "sandbox" else ""  # facts J5
    return Reply(CodeSent(number.number, way, body.country.strip().upper(), token))


def _number_of(body: Verification) -> Phone:
    """The number to prove. Raises BadRequest for each bad field."""
    country, way = body.country.strip().upper(), body.type.strip().lower()
    number = phone.parse(body.user_phone, country) if country in phone.COUNTRIES else None
    faults = {}
    if country not in phone.COUNTRIES:
        faults["country"] = "Country must be a two-letter ISO 3166 code."
    if number is None:
        faults["user_phone"] = "User phone must be a valid phone number."
    if way not in WAYS:
        faults["type"] = "Type must be sms or call."
    if faults or number is None:
        raise BadRequest(faults)
    return number


def _tell(req: Request, number: Phone, code: str, way: str) -> None:
    """Send the code in the name of the house, which pays. Raises BadRequest when no message can go there."""
    who = access.house(req.tx, req.services.vault, req.who, number.country)
    channel = req.services.channels[WAYS[way]]
    draft = channel.draft(who, _message(number, code, way), req.tx.clock)
    if draft.refusal is not None:
        raise BadRequest({"user_phone": f"No message can be sent to this number: {draft.refusal}."})
    accept.accept(req.tx, [Order(principal=who, channel=channel, request_id=req.id, drafts=[draft], gratis=True)])


def _message(number: Phone, code: str, way: str) -> SmsMessage | VoiceMessage:
    """A text with the code, or what reads it out twice, its digits apart."""
    if way == "call":
        digits = ", ".join(code)
        body = f"Your verification code is {digits}. <break time='1s'/> Again, your verification code is {digits}."
        return VoiceMessage(to=number.number, body=body, source="verification")
    body = f"{code} is your verification code. It is valid for {tokens.LIFE[tokens.PHONE] // 60} minutes."
    return SmsMessage(to=number.number, body=body, source="verification")


@endpoint("You're account has been verified.", ProvenAccount, before_activation=True)
async def verify_phone(req: Request) -> Reply:
    """Prove a phone number with the code. The account becomes active."""
    proved = await req.services.database.write(lambda tx: _proved(tx, req))
    if proved is None:
        raise WrongToken  # after the commit, so that the try is counted
    return proved


def _proved(tx: Tx, req: Request) -> Reply | None:
    who = account.current(tx, req.who)
    if not who.is_main:
        raise Forbidden  # its tries would use up those of the owner
    number = tokens.use_code(tx, req.services.vault, who.user_id, req.params["activation_token"])
    if number is None:
        return None
    access.prove_phone(tx, who.user_id, who.api_username, number)
    values = profile(tx, req.services.vault, who.user_id, who.subaccount_id)
    sub = msgspec.structs.asdict(values["subaccount"])
    subaccount = ProvenSubaccount(
        **{name: sub[name] for name in ProvenSubaccount.__struct_fields__ if name in sub},
        mobile=sub["phone_number"],
        user_id=who.user_id,
        sms_deidentify_message=0,
    )
    same = {name: values[name] for name in ProvenAccount.__struct_fields__ if name in values and name != "subaccount"}
    return Reply(ProvenAccount(**same, subaccount=subaccount, unsubscribe_mail=0, setting_beta=0))


@endpoint("An email notification has been sent.", Nothing, guarded=True, daily="reminders_per_address")
def forgot_username(req: Request, body: ForgottenUsername) -> Reply:
    """Mail the usernames to whoever has this address or number. The answer never says whether anybody has."""
    email, number = body.email.strip(), body.phone_number.strip()
    if not email and not number:
        raise BadRequest({name: required(name) for name in ("email", "phone_number")})
    if email and not is_address(email):
        raise BadRequest({"email": "Email must be an email address."})
    reminders.ask_username(req.tx, email, number[:LONGEST_NUMBER])
    return Reply([])


@endpoint("An email notification has been sent.", Nothing, guarded=True, daily="reminders_per_address")
def forgot_password(req: Request, body: ForgottenPassword) -> Reply:
    """Mail a key for a new password. The answer never says whether there is such a user."""
    reminders.ask_password(req.tx, body.username.strip()[:LONGEST_NAME])
    return Reply([])


@endpoint("Your password has been updated.", Nothing, guarded=True)
async def set_password(req: Request, body: NewPassword) -> Reply:
    """Set a new password with the key out of the mail."""
    fault = passwords.fault(body.password, req.services.settings.strict)
    if fault:
        raise BadRequest({"password": fault})
    key, vault, database = body.activation_token.strip().upper(), req.services.vault, req.services.database

    def holds(tx: Tx) -> bool:
        who = access.login_of(tx, body.subaccount_id)
        return who is not None and tokens.holds(tx, vault, who.user_id, who.subaccount_id, key)

    def change(tx: Tx) -> bool:
        who = access.login_of(tx, body.subaccount_id)
        if who is None or not tokens.use_key(tx, vault, who.user_id, who.subaccount_id, key):
            return False
        access.set_password(tx, who, "forgot-password", hashed)
        return True

    if not await database.read(holds):
        raise WrongToken
    # The slow hash is made between two transactions, and only for a key that is good.
    hashed = await asyncio.to_thread(hash_password, body.password)
    if not await database.write(change):
        raise WrongToken
    return Reply([])

"""Response codes of the contract, and the two ways to say no.

`ApiError` refuses a request; `Status` values refuse one recipient inside an accepted request.
"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A refused request: HTTP status, response_code, response_msg and `data` of the envelope.

    `headers` are added to the answer (Retry-After). Source: api-v3, "Status Codes"; facts A.
    """

    status = 400
    code = "BAD_REQUEST"
    message = "Invalid input."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message
        self.code = code or self.code
        self.data = data
        self.headers = dict(headers or {})


class BadRequest(ApiError):
    """400. `fields` maps each bad field to one sentence."""

    def __init__(self, fields: Mapping[str, str] | None = None, message: str | None = None) -> None:
        super().__init__(message, data=dict(fields) if fields else None)


class Unauthorized(ApiError):
    """401, the same for every fault of the credentials, so that nothing can be learnt from it."""

    status = 401
    code = "UNAUTHORIZED"
    message = "Authorization failed."


class Forbidden(ApiError):
    """403: known, but not allowed."""

    status = 403
    code = "FORBIDDEN"
    message = "Resource not found or you don't have the permissions to access this resource."


class NotFound(ApiError):
    """404: no such record in this account, or no such path."""

    status = 404
    code = "NOT_FOUND"
    message = "Invalid endpoint. Please try again."


class MethodNotAllowed(ApiError):
    """405: the path exists, the verb does not."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "Method doesn't exist or is not allowed."


class TooLittleCredit(ApiError):
    """400: the balance does not cover what a request would cost as a whole."""

    code = "INSUFFICIENT_CREDIT"
    message = "Your balance is too low."


class Conflict(ApiError):
    """409: an Idempotency-Key is being used for another body, or by a request that is still running."""

    status = 409
    code = "CONFLICT"
    message = "The request conflicts with an earlier one."


class TooLarge(ApiError):
    """413: the body is larger than the server reads."""

    status = 413
    code = "BAD_REQUEST"
    message = "The request body is too large."


class TooManyRequests(ApiError):
    """429. Give `Retry-After` in `headers`."""

    status = 429
    code = "TOO_MANY_REQUESTS"
    message = "Too many attempts."


class Unavailable(ApiError):
    """503: what stands behind the answer is away. Give `Retry-After` in `headers`: the same request may go through."""

    status = 503
    code = "INTERNAL_SERVER_ERROR"
    message = "A service is not available. Please try again."


class DatabaseAway(Unavailable):
    """503: the database cannot be reached, or cannot be written at the moment. `why` is for the log, not the answer.

    What was to be written is not. Only a connection that is lost during the commit leaves it open whether it is, and
    then nobody can know: a repetition with the same Idempotency-Key finds out.
    """

    def __init__(self, why: str) -> None:
        super().__init__(headers={"Retry-After": "5"})
        self.args = (why,)
        self.why = why


class InternalError(ApiError):
    """500: a defect of ours; the details are in the log under the request id, never in the answer."""

    status = 500
    code = "INTERNAL_SERVER_ERROR"
    message = "Something is broken."


def label(name: str) -> str:
    """A field's name as the sentences about its faults begin: "first_name" -> "First name"."""
    return name[:1].upper() + name[1:].replace("_", " ")


def required(name: str) -> str:
    """What is said of a field that has to be given, and is not: "First name field is required."."""
    return f"{label(name)} field is required."


class Status:
    """Per-message status strings inside a 200. Source: api-v3, "Application Status Codes"."""

    SUCCESS = "SUCCESS"
    INVALID_RECIPIENT = "INVALID_RECIPIENT"
    INVALID_SENDER_ID = "INVALID_SENDER_ID"
    INSUFFICIENT_CREDIT = "INSUFFICIENT_CREDIT"
    COUNTRY_NOT_ENABLED = "COUNTRY_NOT_ENABLED"
    EMPTY_MESSAGE = "EMPTY_MESSAGE"
    SUBJECT_REQUIRED = "SUBJECT_REQUIRED"
    INVALID_MEDIA_FILE = "INVALID_MEDIA_FILE"
    INVALID_SCHEDULE = "INVALID_SCHEDULE"
    INVALID_LANG = "INVALID_LANG"
    INVALID_VOICE = "INVALID_VOICE"
    THROTTLED = "THROTTLED"
    MISSING_REQUIRED_FIELDS = "MISSING_REQUIRED_FIELDS"
    NOT_ENOUGH_PERMISSION_TO_LIST_ID = "NOT_ENOUGH_PERMISSION_TO_LIST_ID"
    SOMETHING_IS_WRONG = "SOMETHING_IS_WRONG"
    """The house cannot do it: the rates have no price, or links no domain; the reason is in the log."""
    OPTED_OUT = "OPTED_OUT"
    """An addition: the recipient is in the account's Opt-Out List."""


class Unfit(Exception):
    """The database is of another version of the program; the text says why. No request ever meets it."""

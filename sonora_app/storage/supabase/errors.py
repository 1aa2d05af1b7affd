"""What can go wrong on the way to Supabase, sorted by what to do about it.

No message here holds a key, an address or anything that was said. Of Supabase's answer, only the
status and the error code are used.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from sonora_app.errors import ErrorCode, StorageError
from sonora_app.runtime.retry_after import asked_wait_secs
from sonora_app.wording.translation import worded

LONGEST_WAIT_SECS = 300.0
"""The longest that a server's Retry-After is believed, in seconds."""

MIGRATE = worded(
    "Apply the migrations: `supabase db push` in the folder of Sonora. See supabase/README.md."
)
"""What to do about a schema that is too old."""


class Trouble(StrEnum):
    """What went wrong. All of it may pass, but for REFUSED."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    FAILING = "failing"
    KEY_REFUSED = "key_refused"
    NO_API = "no_api"
    OLD_SCHEMA = "old_schema"
    REFUSED = "refused"


_MISCONFIGURED = frozenset({Trouble.KEY_REFUSED, Trouble.NO_API, Trouble.OLD_SCHEMA})


class SupabaseError(StorageError):
    """A request to Supabase failed.

    Args:
        trouble: What went wrong.
        message: One sentence for a person.
        hint: What to do about it.
        status: The HTTP status, if there was an answer.
        retry_after_secs: How long the server asks to wait.
    """

    def __init__(
        self,
        trouble: Trouble,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retry_after_secs: float | None = None,
    ) -> None:
        """Keep what tells a program what to do next."""
        super().__init__(message, hint=hint)
        self.trouble = trouble
        self.status = status
        self.retry_after_secs = retry_after_secs
        if self.is_misconfigured:
            self.code = ErrorCode.MISCONFIGURED

    @property
    def is_misconfigured(self) -> bool:
        """Whether it takes a person to mend it."""
        return self.trouble in _MISCONFIGURED

    @property
    def may_be_content(self) -> bool:
        """Whether what was sent may be the cause, rather than who sent it or when.

        A 403 is among these: firewalls in front of a server answer so to text they dislike.
        """
        return self.trouble is Trouble.REFUSED or self.status == 403


def unreachable(what: str) -> SupabaseError:
    """The error for a connection that failed.

    Args:
        what: The kind of failure, as the client names it.
    """
    return SupabaseError(
        Trouble.UNREACHABLE, worded("Supabase cannot be reached ({what}).", what=what)
    )


def unanswered(timeout_secs: float) -> SupabaseError:
    """The error for a request without an answer in time."""
    said = worded("Supabase did not answer within {secs} s.", secs=f"{timeout_secs:g}")
    return SupabaseError(Trouble.UNREACHABLE, said)


def garbled() -> SupabaseError:
    """The error for an answer that cannot be Supabase's."""
    return SupabaseError(
        Trouble.FAILING,
        worded("Supabase's answer cannot be understood; something is in between."),
    )


def old_schema() -> SupabaseError:
    """The error for a project without what this version of Sonora needs."""
    return SupabaseError(
        Trouble.OLD_SCHEMA,
        worded("The Supabase project does not have the schema that this version of Sonora needs."),
        hint=MIGRATE,
    )


def no_bucket() -> SupabaseError:
    """The error for a project that has no place for files."""
    return SupabaseError(
        Trouble.OLD_SCHEMA,
        worded("The Supabase project has no bucket for the files that people send."),
        hint=MIGRATE,
    )


_CODE = re.compile(r"[0-9A-Z]{5}|PGRST[0-9A-Z]{3}")
# A function, table or column that is not there, or not there yet for PostgREST.
_SCHEMA_CODES = frozenset({"PGRST202", "PGRST204", "PGRST205", "42883", "42P01", "42703", "3F000"})
# The classes of SQLSTATE that pass: connections, transactions, resources, locks, operators.
_PASSING_CLASSES = frozenset({"08", "25", "40", "53", "55", "57", "58", "XX"})
_BUSY_STATUSES = frozenset({408, 425, 429})


def sorted_error(status: int, headers: Mapping[str, str], body: bytes) -> SupabaseError:
    """The error that an answer which is not a success stands for.

    Args:
        status: Its HTTP status.
        headers: Its headers; names in any case.
        body: Its body.
    """
    code = _code(body)
    said = worded(
        "Supabase answered with {status}.", status=f"{status} ({code})" if code else status
    )
    if code in _SCHEMA_CODES:
        error = old_schema()
        error.status = status
        return error
    if status in _BUSY_STATUSES or status >= 500 or (code and code[:2] in _PASSING_CLASSES):
        trouble = Trouble.BUSY if status in _BUSY_STATUSES else Trouble.FAILING
        asked = asked_wait_secs(headers)
        wait = None if asked is None else min(asked, LONGEST_WAIT_SECS)
        return SupabaseError(trouble, said, status=status, retry_after_secs=wait)
    if status in (401, 403):
        return SupabaseError(
            Trouble.KEY_REFUSED,
            worded("Supabase does not accept the key ({status}).", status=status),
            hint=worded("Set SUPABASE_SECRET_KEY to a secret key of the project at SUPABASE_URL."),
            status=status,
        )
    if status < 400 or (status == 404 and not code):
        return SupabaseError(
            Trouble.NO_API,
            worded("There is no Supabase project at SUPABASE_URL ({status}).", status=status),
            hint=worded("Set it to the URL of the project, https://<project>.supabase.co."),
            status=status,
        )
    return SupabaseError(Trouble.REFUSED, said, status=status)


def _code(body: bytes) -> str | None:
    try:
        answer: object = json.loads(body)
    except ValueError:
        return None
    code = cast(dict[str, Any], answer).get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


_NAME = re.compile(r"[\w.$ -]{1,63}")
_REASONS = {
    "22": "A value does not fit",
    "23502": "A value is missing",
    "23503": "What it belongs to is not in Supabase",
    "23505": "Something else has what has to be unique",
    "23": "A value is not allowed",
    "42501": "A policy forbids it",
    "54": "It is too large",
    "P0002": "What it changes is not in Supabase",
    "SN001": "The conversation is another user's",
}


@dataclass(frozen=True)
class Refusal:
    """Why Supabase refuses one record for good.

    Parameters:
        sqlstate: PostgreSQL's code, or an HTTP status.
        name: The constraint or column it was about; may be empty.
    """

    sqlstate: str
    name: str = ""

    @property
    def reason(self) -> str:
        """The reason for a person, without any value of the record."""
        sentence = _REASONS.get(self.sqlstate) or _REASONS.get(self.sqlstate[:2]) or "It is refused"
        return f"{sentence} ({self.sqlstate}{f', {self.name}' if self.name else ''})"


def refusals(answer: object, count: int) -> tuple[Refusal | None, ...]:
    """What `sonora_apply` says of each of `count` entries.

    Raises:
        SupabaseError: It is not such an answer.
    """
    if not isinstance(answer, list) or len(cast(list[object], answer)) != count:
        raise garbled()
    return tuple(_refusal(each) for each in cast(list[object], answer))


def _refusal(answer: object) -> Refusal | None:
    if answer is None:
        return None
    if not isinstance(answer, dict):
        raise garbled()
    said = cast(dict[str, object], answer)
    sqlstate, name = said.get("sqlstate"), said.get("message")
    if not isinstance(sqlstate, str) or not _CODE.fullmatch(sqlstate):
        raise garbled()
    return Refusal(sqlstate, name if isinstance(name, str) and _NAME.fullmatch(name) else "")

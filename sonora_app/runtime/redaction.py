"""Keeps tokens and keys out of the log, whoever writes to it.

Ours never do; Pipecat logs a message that it cannot read, and at DEBUG the body of a `/start`
request, whole.
"""

import re
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

REDACTED = "[redacted]"

_SECRET = re.compile(r"eyJ[\w-]{12,}(?:\.[\w-]*)*|sb_secret_[\w-]+", re.ASCII)
"""A JSON Web Token or the beginning of one, which is how the older Supabase keys look too, and a
newer secret key."""


def redact(text: str) -> str:
    """`text` without the tokens and keys in it."""
    return _SECRET.sub(REDACTED, text)


def redact_logs() -> None:
    """Redact what is logged from here on, in this whole process, whatever it is written to."""
    logger.configure(patcher=_patch)


def _patch(record: "Record") -> None:
    record["message"] = redact(record["message"])

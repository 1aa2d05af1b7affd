"""What the log of a process shows, and what it never holds: tokens, keys, and what people say.

Sonora's own lines hold none of it. Pipecat's do: a message that it cannot read, a sentence that
was not spoken, at DEBUG the body of a `/start` request. On Pipecat Cloud the base image decides
from which level lines are shown.
"""

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

from loguru import logger

from sonora_app.runtime.withheld import WITHHELD, kind_of, without_words

if TYPE_CHECKING:
    from loguru import Record


REDACTED = "[redacted]"

_SECRET = re.compile(r"eyJ[\w-]{12,}(?:\.[\w-]*)*|sb_secret_[\w-]+", re.ASCII)
"""A JSON Web Token or the beginning of one, which is how the older Supabase keys look too, and a
newer secret key."""

_OURS = ("sonora_app", "flows", "bot", "__main__")
"""The packages whose own lines hold nothing that people say."""


_FOR_DEBUGGING = {
    "pipecat.transports.smallwebrtc.connection": (
        "No video transceiver is available",
        "No screen video transceiver is available",
    ),
    "pipecat.transports.smallwebrtc.transport": (
        "Media stream error while reading the audio; clearing track.",
        "Timeout: No audio frame received within the specified time.",
    ),
}
"""What libraries warn of, by module and beginning, in calls that go well: a page without video, one
that has hung up, and every 2 s one without a microphone. No setting of theirs turns it off, and
`call/presence/presence.py` tells of a client that is missing."""

_ASKED_IN_VAIN = 400
"""From which HTTP status on a request is worth a line."""


def configure_logs(level: str) -> None:
    """Log to standard error from `level` up.

    Tracebacks show no values of variables, which would put people's words and keys in the log.
    """
    logger.remove()
    logger.add(sys.stderr, level=level, diagnose=False, backtrace=False)
    # A page that is open asks every second.
    logging.getLogger("uvicorn.access").addFilter(_is_refused)


def _is_refused(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's tells of a request that was refused, or failed."""
    arguments = record.args
    status = arguments[-1] if isinstance(arguments, tuple) and arguments else None
    return not isinstance(status, int) or status >= _ASKED_IN_VAIN


def redact(text: str) -> str:
    """`text` without the tokens and keys in it."""
    return _SECRET.sub(REDACTED, text)


def redact_logs() -> None:
    """Redact what is logged from here on, in this whole process, whatever it is written to."""
    logger.configure(patcher=_patch)
    # At INFO it tells whole addresses, with the passwords and tokens in them.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _patch(record: "Record") -> None:
    if record["message"].startswith(_FOR_DEBUGGING.get(record["name"] or "", ())):
        # The record's own kind of level, of which loguru says no type.
        kind: Any = type(record["level"])
        level = logger.level("DEBUG")
        record["level"] = kind(level.name, level.no, level.icon)
    if record["level"].no >= logger.level("INFO").no:
        _withhold(record)
    record["message"] = redact(record["message"])


def _withhold(record: "Record") -> None:
    whole, name = record["message"], (record["name"] or "").partition(".")[0]
    if name not in _OURS:
        record["message"] = without_words(whole, record["file"].path, record["line"])
        if record["message"] != whole:
            logger.opt(depth=4).debug(whole)
    raised = record["exception"]
    if raised is not None and raised.value is not None and raised.type is not None:
        # The last line of a traceback quotes what could not be worked with.
        kind: Any = type(raised.type.__name__, (Exception,), {"__module__": raised.type.__module__})
        told = kind_of(raised.value).partition(" ")[2] or WITHHELD
        record["exception"] = raised._replace(type=kind, value=kind(told))

"""Reads how long a server asks to wait before it is asked again: `Retry-After`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def asked_wait_secs(headers: Mapping[str, str]) -> float | None:
    """How long an answer asks to wait, in seconds; None where it asks for nothing that can be read.

    It says so in seconds or by a date (RFC 9110, section 10.2.3). A date counts by this machine's
    clock; one that has passed is 0. Whoever waits has to bound it: it may be infinite.

    Args:
        headers: Those of the answer, by names in small letters, or whatever their letters.
    """
    value = headers.get("retry-after", "").strip()
    try:
        secs = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            # One without a zone is in UTC, as all of them should be.
            secs = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
        secs -= datetime.now(UTC).timestamp()
    return max(secs, 0.0) if secs == secs else None

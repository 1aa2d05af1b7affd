"""How a simulated vendor may fail, once it has been reached."""

from dataclasses import dataclass
from enum import Enum


class Breakage(Enum):
    """What happens in the middle of a stream."""

    DROP = "drop"
    """The connection goes, without a closing handshake."""

    CLOSE = "close"
    """The connection is closed."""

    STALL = "stall"
    """Nothing comes any more, and the connection stays."""

    ERROR = "error"
    """The vendor's own message for an error of its own comes."""

    GARBAGE = "garbage"
    """Something comes that is no JSON."""

    SLOW = "slow"
    """What comes, comes a character at a time (a slow loris)."""


class Quirk(Enum):
    """What a recogniser does instead of telling once, and in time, what a stretch of speech was.

    What is lost by it is still to be heard, should the sound come again.
    """

    EMPTY = "empty"
    """The final result has no words, though words were shown."""

    NONE = "none"
    """There is no final result."""

    UNKNOWN = "unknown"
    """There is a message of an unknown type instead."""

    TWICE = "twice"
    """The final result comes twice."""

    OUT_OF_ORDER = "out of order"
    """An interim result comes after the final one."""

    UNASKED = "unasked"
    """The final result does not say that it was asked for. (Nova.)"""

    LATE = "late"
    """The final result comes seconds later."""

    UNSHOWN = "unshown"
    """There are no interim results."""


LOSES = (Quirk.EMPTY, Quirk.NONE, Quirk.UNKNOWN)
"""The quirks by which words are lost."""

LATE_SECS = 3.0
"""How late a late result is."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        how: What happens.
        after_secs: After how much sound of the stretch of speech, or of the stream of a voice.
            None, at a recogniser: when the transcript is due.
        lasting: Whether it happens again and again, or once.
    """

    how: Breakage
    after_secs: float | None = 0.0
    lasting: bool = False


DRIP_SECS = 0.25
"""The pause after each character of a slow loris."""

"""The placeholder that a transcript has for speech that was heard but not transcribed.

The recogniser's stand-in writes it, and the model's stand-in reads it.
"""

import re
from dataclasses import dataclass
from functools import cache

from sonora_app.flow.lines import Lines
from sonora_app.settings import Language

_SECS = "{secs}"


@dataclass(frozen=True)
class Heard:
    """What a message of the user holds.

    Parameters:
        text: Its words; empty when there were none but speech.
        secs: How long the untranscribed speech in it was, in seconds.
    """

    text: str
    secs: float


def write_secs(secs: float, lines: Lines) -> str:
    """`secs` with one decimal, as it is written in the language of `lines`."""
    return f"{secs:.1f}".replace(".", lines.text("rehearsal.decimal_mark"))


def write_heard(secs: float, lines: Lines) -> str:
    """The text for `secs` seconds of speech."""
    return lines.text("rehearsal.heard", {"secs": write_secs(secs, lines)})


def read_heard(message: str) -> Heard:
    """Take the words of a message apart from what stands for speech, in whichever language."""
    secs = 0.0
    for pattern in _patterns():
        secs += sum(float(found.replace(",", ".")) for found in pattern.findall(message))
        message = pattern.sub(" ", message)
    return Heard(text=" ".join(message.split()), secs=secs)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Each language's line, since a conversation may have been held in another one before."""
    marks = (Lines(language).all("rehearsal.heard")[0] for language in Language)
    return tuple(
        re.compile(r"(\d+(?:[.,]\d+)?)".join(map(re.escape, mark.split(_SECS, 1))))
        for mark in marks
    )

"""How long a silence must last before the turn is over, depending on how the turn ends.

The waits are longer after an unfinished sentence, and after a number or a spelt letter, because
people who dictate pause between groups of them.
"""

from dataclasses import dataclass

from sonora_app.turns.endings.grammar import Ending

SURE_SECS = 0.5
"""Silence after which a turn that sounds complete is over, answer or none, in seconds. The
scaffolded quickstart ends it after 0.5 s as well: 0.27 s for Silero, 0.15 s for the transcript,
and its jitter buffer's 0.08 s."""

ANSWER_SECS = 0.5
"""How long before an unfinished turn is over its answer is asked for, in seconds: what a model
takes to begin, with a margin."""

WORDS_SECS = 0.5
"""How much longer a turn stays open, in seconds, for words that were announced by an interim
transcript and do not come."""

STIRRED_SECS = 0.3
"""How long Silero may take to tell whether a sound in the pause is a voice, in seconds."""


@dataclass(frozen=True)
class Patience:
    """How much silence there may be, in seconds.

    Parameters:
        ask_secs: After how much the answer is asked for.
        over_secs: After how much the turn is over.
        until_answered: Whether it is over before that, once the answer has begun.
    """

    ask_secs: float
    over_secs: float
    until_answered: bool = False


_SHORT = Patience(ask_secs=0.0, over_secs=SURE_SECS, until_answered=True)

_NUMBER = Patience(ask_secs=0.7, over_secs=0.95)
"""Who dictates pauses for half a second between two numbers; Silero takes 0.1 s and more to notice
that they go on."""


def patience(ending: Ending, *, unfinished_secs: float) -> Patience:
    """With a turn that sounds complete.

    Args:
        ending: What its words end in.
        unfinished_secs: How much silence ends a turn that sounds unfinished.
    """
    match ending:
        case Ending.WHOLE:
            return _SHORT
        case Ending.NUMBER:
            return _NUMBER
        case Ending.OPEN:
            return Patience(ask_secs=unfinished_secs - ANSWER_SECS, over_secs=unfinished_secs)

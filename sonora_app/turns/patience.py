"""How long a silence must last before the turn is over, depending on how the turn ends.

The wait is longer after an unfinished sentence. It is also longer after a number or a spelt letter,
because people who dictate numbers or letters pause between groups.
"""

from dataclasses import dataclass, replace

from sonora_app.turns.endings.grammar import Ending

SURE_SECS = 0.5
"""A turn that sounds complete is over after this silence, even without an answer. In seconds. The
bot that `pipecat init` makes waits as long: 0.27 s for Silero, 0.15 s for the transcript, 0.08 s in
its jitter buffer."""

ANSWER_SECS = 0.5
"""An unfinished turn's answer is asked for this long before the turn is over, in seconds: the time
that a model takes to begin, with a margin."""

WORDS_SECS = 0.5
"""An interim transcript announces words. A turn stays open this much longer, in seconds, for
announced words that do not come."""

STIRRED_SECS = 0.3
"""How long Silero may take to tell whether a sound in the pause is a voice, in seconds."""


@dataclass(frozen=True)
class Patience:
    """How much silence a turn bears, in seconds.

    Parameters:
        ask_secs: The silence after which the answer is asked for.
        over_secs: The silence after which the turn is over.
        until_answered: Whether the turn is over sooner, as soon as the answer has begun.
        by_words: Whether the words tell that the turn is complete, whatever it sounds like.
    """

    ask_secs: float
    over_secs: float
    until_answered: bool = False
    by_words: bool = False


_SHORT = Patience(ask_secs=0.0, over_secs=SURE_SECS, until_answered=True)

_ANSWERED = replace(_SHORT, by_words=True)
"""A “sí” that is asked for is all, though a single word rarely sounds complete."""

_NUMBER = Patience(ask_secs=0.7, over_secs=0.95)
"""People who dictate numbers pause for half a second between them. Silero needs 0.1 s or more to
notice that they go on."""


_DICTATED = Patience(ask_secs=1.0, over_secs=1.4)
"""A row of numbers, letters or things that is not over has pauses of up to a second. A quarter of
the digits that people dictated 0.5 s apart were cut off at 0.95 s, since a recording of a digit
has a silence of its own around it."""

_BEGUN = Patience(ask_secs=0.9, over_secs=1.0)
"""Things that nobody asked for are mostly a list, and people pause in one, or after a first clause,
for up to 0.8 s. It may be all they say, too, so the wait is no longer than for such a pause."""

_BRIEF = Patience(ask_secs=0.0, over_secs=0.9)
"""It may well be all, so the answer is asked for at once. It is held back for as long as people
pause, as after things, but for what Silero needs to notice that they go on."""


def patience(ending: Ending, *, unfinished_secs: float) -> Patience:
    """How long to wait after a turn that sounds complete.

    Args:
        ending: What its words end in.
        unfinished_secs: How much silence ends a turn that sounds unfinished.
    """
    match ending:
        case Ending.WHOLE:
            return _SHORT
        case Ending.ANSWERED:
            return _ANSWERED
        case Ending.NUMBER:
            return _NUMBER
        case Ending.DICTATED:
            return _DICTATED
        case Ending.BEGUN:
            return _BEGUN
        case Ending.BRIEF:
            return _BRIEF
        case Ending.OPEN:
            return Patience(ask_secs=unfinished_secs - ANSWER_SECS, over_secs=unfinished_secs)

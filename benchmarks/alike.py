"""What no ear can tell apart: letters, digits and things that were recorded once and put in a row.

Such a part sounds the same wherever it stands, so that its sound does not tell whether another one
comes. That bounds what any detector can do that hears, and does not know what was asked.
"""

from collections import Counter
from collections.abc import Sequence

from benchmarks.ends import Heard

_PARTS = {
    "a name spelt by a person": "letters",
    "numbers dictated by a person": "digits",
    "a code of six digits by a person": "digits",
    "a list by a person": "things",
    "a few words by a person": "things",
}
"""What turns are put together of, by how the names of their kinds begin."""


def fewest_cut(
    turns: Sequence[Heard], latency_secs: float, *, delay_secs: float, timeout_secs: float
) -> float:
    """The fewest pauses that can be taken for an end at a mean latency, in percent.

    What is alike is waited for alike: all of it, or a part by chance. Any other silence is known
    for what it is.

    Args:
        turns: What is heard.
        latency_secs: The mean latency.
        delay_secs: The silence after which what is taken for an end is over.
        timeout_secs: The silence after which anything is over, longer than any pause.
    """
    pauses: Counter[tuple[str, str]] = Counter()
    ends: Counter[tuple[str, str]] = Counter()
    for turn in turns:
        for kind, parts in _PARTS.items():
            if turn.kind.startswith(kind):
                pauses[turn.speaker, parts] += len(turn.silences) - 1
                ends[turn.speaker, parts] += 1
    left = len(turns) * (latency_secs - delay_secs) / (timeout_secs - delay_secs)
    cut = 0.0
    for alike in sorted(ends, key=lambda alike: pauses[alike] / ends[alike], reverse=True):
        spared = min(1.0, left / ends[alike])
        left -= spared * ends[alike]
        cut += (1 - spared) * pauses[alike]
    return round(100 * cut / sum(len(turn.silences) - 1 for turn in turns), 1)

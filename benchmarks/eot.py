"""How often a turn is cut for how much waiting, by the definition of LiveKit's eot-bench.

A detector gives each silence a score. A policy of three knobs makes a decision of it: the turn is
over once the score is above the threshold and the silence has lasted for the delay, or else when
it has lasted for the timeout. All policies of eot-bench's are tried. What counts is the fewest
pauses that are taken for an end at a latency, and the shortest latency with which so many are.
Latency is the mean silence after which the turn's real end is taken for one; no transcript or model
is waited for. A turn with one pause that is taken for its end is cut. Eot-bench counts no turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from benchmarks.alike import fewest_cut
from benchmarks.ends import Heard, Silence, heard
from benchmarks.figures import SONORA, Figure, Measurement
from sonora_app.settings import Settings
from sonora_app.turns.detectors import STOP_SECS
from sonora_app.turns.endings.grammar import Ending
from sonora_app.turns.patience import patience

_ALONE = "smart-turn"
_SURE = 0.5
"""From this probability on smart-turn takes a turn for complete."""

_THRESHOLDS = [thousandths / 1000 for thousandths in range(1001)]
_DELAYS_SECS = [tenths / 10 for tenths in range(2, 11)]
_TIMEOUTS_SECS = [halves / 2 for halves in range(2, 8)]
"""What eot-bench tries, in finer steps of the threshold: its hundredths tell too few of the scores
apart that begin with the kind of ending. With a threshold of 0 the score does not count: that is a
timer."""

_PIPECAT_DELAY_SECS, _PIPECAT_TIMEOUT_SECS = 0.2, 3.2
"""When Pipecat's strategy ends a turn that sounds complete, and one that does not, at the least."""

_UNFINISHED_SECS: float = STOP_SECS + Settings.model_fields["unfinished_secs"].default


def _sureness(ending: Ending) -> tuple[bool, float]:
    bears = patience(ending, unfinished_secs=_UNFINISHED_SECS)
    return bears.by_words, -bears.over_secs


_SUREST_LAST = sorted(Ending, key=_sureness)
"""How probable the end is by the words: in the order of Sonora's waits."""

Score = Callable[[Silence], float]


@dataclass(frozen=True)
class _Policy:
    """What a policy makes of the turns.

    Parameters:
        pauses: The part of the pauses that it takes for an end.
        turns: The part of the turns that it cuts.
        latency_secs: The mean latency.
    """

    pauses: float
    turns: float
    latency_secs: float


async def measure(*, quick: bool) -> Measurement:
    """Try every policy on every turn.

    Args:
        quick: Whether a quarter of the turns has to do.

    Raises:
        VoiceMissingError: Not all who are to speak are installed.
    """
    turns = [turn async for turn in heard(part=4 if quick else 1)]
    asked = [replace(turn, silences=list(map(_asked, turn.silences))) for turn in turns]
    pauses = sum(len(turn.silences) - 1 for turn in turns)
    timer = _policies(turns, lambda _: 1.0)
    fewest = fewest_cut(turns, 0.3, delay_secs=_DELAYS_SECS[0], timeout_secs=_TIMEOUTS_SECS[0])
    return Measurement(
        title="End of turn, offline",
        how=f"{len(turns)} turns with {pauses} pauses of 0.2 s or more. A turn is cut when a pause "
        "in it is taken for its end. The first figures are of the best of all policies. A timer, "
        f"which hears nothing, takes {_cut_at(timer, 0.3)[0]:g} % of the pauses for an end at "
        f"300 ms, and {_cut_at(timer, 0.6)[0]:g} % at 600 ms. Who takes letters alike, digits and "
        f"things, which are the same recordings in a row and at its end, and errs nowhere else, "
        f"takes {fewest:g} % at 300 ms. The others are of the waits as they are set: "
        "0.2 s or 3.2 with smart-turn in the bot that `pipecat init` makes, and Sonora's by words "
        "and sound. Where it says “asked”, every turn that answers something comes after a "
        "question, which Sonora hears.",
        figures=[
            *_of_policies(turns),
            *_of_policies(asked, "asked, "),
            *_of_waits(turns),
            *_of_waits(asked, "asked, "),
        ],
    )


def _asked(silence: Silence) -> Silence:
    return replace(silence, ending=silence.answering)


def _of_policies(turns: Sequence[Heard], asked: str = "") -> list[Figure]:
    """What the best of all policies can do."""
    policies = {_ALONE: _policies(turns, _by_sound), SONORA: _policies(turns, _by_words)}
    return [
        *(
            Figure(
                name=f"{asked}pauses taken for an end at a mean latency of {ms} ms",
                unit="%",
                values={name: _cut_at(of, ms / 1000) for name, of in policies.items()},
                target=0.5 if ms == 300 else None,
            )
            for ms in (300, 600)
        ),
        *(
            Figure(
                name=f"{asked}mean latency with {percent} % of the pauses taken for an end",
                unit="ms",
                values={name: _latency_at(of, percent / 100) for name, of in policies.items()},
            )
            for percent in (5, 10)
        ),
        *(
            Figure(
                name=f"{asked}turns cut at a mean latency of {ms} ms",
                unit="%",
                values={name: _cut_at(of, ms / 1000, turns=True) for name, of in policies.items()},
            )
            for ms in (300, 600)
        ),
    ]


def _of_waits(turns: Sequence[Heard], asked: str = "") -> list[Figure]:
    """What the waits do that are set: of all turns, of each kind, and by each speaker."""
    as_set = {_ALONE: _as_pipecat_waits, SONORA: _as_sonora_waits()}
    return [
        *_as_set(f"{asked}all", turns, as_set),
        *(
            figure
            for kind in dict.fromkeys(turn.kind for turn in turns)
            for figure in _as_set(
                f"{asked}{kind}", [turn for turn in turns if turn.kind == kind], as_set
            )
        ),
        *(
            figure
            for who in sorted({turn.speaker for turn in turns})
            for figure in _as_set(
                f"{asked}said by {who}", [turn for turn in turns if turn.speaker == who], as_set
            )
        ),
    ]


def _by_sound(silence: Silence) -> float:
    return silence.probability


def _by_words(silence: Silence) -> float:
    """The words tell it, and among those that end alike the sound: 1 is the surest end."""
    return (_SUREST_LAST.index(silence.ending) + silence.probability) / len(_SUREST_LAST)


def _as_pipecat_waits(silence: Silence) -> float:
    """The silence after which the turn is over, in seconds."""
    complete = silence.probability > _SURE
    return _PIPECAT_DELAY_SECS if complete else _PIPECAT_TIMEOUT_SECS


def _as_sonora_waits() -> Callable[[Silence], float]:
    def waits(silence: Silence) -> float:
        bears = patience(silence.ending, unfinished_secs=_UNFINISHED_SECS)
        complete = bears.by_words or silence.probability > _SURE
        return bears.over_secs if complete else max(bears.over_secs, _UNFINISHED_SECS)

    return waits


def _policies(turns: Sequence[Heard], score: Score) -> list[_Policy]:
    """What each policy makes of the turns."""
    pauses = [
        (number, score(silence), silence.secs)
        for number, turn in enumerate(turns)
        for silence in turn.silences
        if silence.secs is not None
    ]
    owner, scores, lasts = (np.array(each) for each in zip(*pauses, strict=True))
    ends = np.array([score(turn.silences[-1]) for turn in turns])
    made: list[_Policy] = []
    for threshold, delay, timeout in product(_THRESHOLDS, _DELAYS_SECS, _TIMEOUTS_SECS):
        cuts = np.where(scores > threshold, delay, timeout) < lasts
        latency = round(float(np.where(ends > threshold, delay, timeout).mean()), 6)
        made.append(_Policy(float(cuts.mean()), len(np.unique(owner[cuts])) / len(turns), latency))
    return made


def _cut_at(
    policies: Sequence[_Policy], latency_secs: float, *, turns: bool = False
) -> list[float]:
    """The fewest pauses that are taken for an end within a latency, or turns cut, in percent.

    Nothing where no policy is so quick.
    """
    quick = [policy for policy in policies if policy.latency_secs <= latency_secs]
    cuts = [policy.turns if turns else policy.pauses for policy in quick]
    return [round(100 * min(cuts), 1)] if cuts else []


def _latency_at(policies: Sequence[_Policy], pauses: float) -> list[float]:
    """The shortest latency with so many pauses taken for an end at most, in milliseconds."""
    latencies = [policy.latency_secs for policy in policies if policy.pauses <= pauses]
    return [round(1000 * min(latencies))] if latencies else []


def _as_set(
    what: str, turns: Sequence[Heard], waits: dict[str, Callable[[Silence], float]]
) -> list[Figure]:
    """How the waits that are set do: which turns that pause are cut, and the latency."""
    paused = [turn for turn in turns if turn.pauses]
    cut = {
        name: [round(100 * sum(_is_cut(turn, wait) for turn in paused) / len(paused), 1)]
        for name, wait in waits.items()
        if paused
    }
    latency = {
        name: [float(round(1000 * np.mean([wait(turn.silences[-1]) for turn in turns])))]
        for name, wait in waits.items()
    }
    return [
        *(
            [Figure(name=f"{what} ({len(paused)} that pause): cut", unit="%", values=cut)]
            * bool(cut)
        ),
        Figure(name=f"{what} ({len(turns)}): mean latency", unit="ms", values=latency),
    ]


def _is_cut(turn: Heard, wait: Callable[[Silence], float]) -> bool:
    return any(each.secs is not None and wait(each) < each.secs for each in turn.silences)

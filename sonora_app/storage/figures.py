"""Many calls together: how many, how they ended, how long answers took, what they cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeVar

BUCKET_MS = 20
"""How far apart the waits are that are counted as different ones, in milliseconds."""

NOT_ENDED = "not_ended"
"""What stands for the end of a call that has none yet."""


class GroupedBy(StrEnum):
    """What calls are put together by."""

    DAY = "day"
    VERSION = "version"
    FLOW = "flow"


@dataclass(frozen=True)
class FiguresWanted:
    """Which calls are wanted, and how they are put together.

    Parameters:
        by: What calls of one group have in common.
        since: Those that began since; None: all.
        until: Those that began before; None: all.
        zone: How far the clock of who asks is ahead of UTC: days are those of that clock.
    """

    by: GroupedBy = GroupedBy.DAY
    since: datetime | None = None
    until: datetime | None = None
    zone: timedelta = timedelta()

    @property
    def zone_minutes(self) -> int:
        """`zone` in minutes."""
        return round(self.zone.total_seconds() / 60)


@dataclass
class CallFigures:
    """The figures of some calls.

    Parameters:
        key: The day, the version or the flow that they have in common; empty is not known.
        calls: How many.
        ended: How many ended in which way, by `EndReason`, or `NOT_ENDED`.
        answers: How many answers were heard.
        wait_ms: The median of how long those took, and the 95th percentile, in steps of
            `BUCKET_MS`; None where none was measured.
        turns_cut: How often a turn was cut in two: it was taken to be over, and the user went on.
        early_answers: How many answers were begun before a turn was over.
        early_answers_withdrawn: How many of those were for nothing.
        failures: What failed, how often: by the code of the page's notice, or `tool`.
        prompt_tokens: Those of all requests to the language model.
        completion_tokens: Those of its answers.
        cost: What is known of what they cost, by currency.
        cost_unknown: How many calls of these cost an amount that is not known whole.
    """

    key: str
    calls: int = 0
    ended: dict[str, int] = field(default_factory=dict[str, int])
    answers: int = 0
    wait_ms: tuple[int, int] | None = None
    turns_cut: int = 0
    early_answers: int = 0
    early_answers_withdrawn: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: dict[str, float] = field(default_factory=dict[str, float])
    cost_unknown: int = 0


@dataclass(frozen=True)
class Figures:
    """The figures of each group, and of all of them together; days oldest first."""

    groups: tuple[CallFigures, ...]
    total: CallFigures


Key: TypeAlias = str | int | None
"""What the calls of a group have in common, as a store tells it: a day by its number."""


class SumRow(NamedTuple):
    """What a store adds up, of the calls of one group that ended in one way, in one currency."""

    key: Key
    ended: str | None
    currency: str | None
    calls: int
    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    cost_known: int
    turns_cut: int
    early_answers: int
    early_answers_withdrawn: int


Counted: TypeAlias = tuple[Key, str | int, int]
"""Of one group, a kind of failure or a wait in steps of `BUCKET_MS`, and how many there were."""

_Row = TypeVar("_Row", SumRow, Counted)


def put_together(
    sums: Sequence[SumRow], waits: Sequence[Counted], failures: Sequence[Counted]
) -> Figures:
    """The figures that a store's sums make."""
    of_sums, of_waits, of_failures = _by_key(sums), _by_key(waits), _by_key(failures)
    groups = [
        _added(_named(key), of_sums[key], of_waits.get(key, ()), of_failures.get(key, ()))
        for key in of_sums
    ]
    total = _added("", sums, waits, failures)
    return Figures(tuple(sorted(groups, key=lambda group: group.key)), total)


def _by_key(rows: Iterable[_Row]) -> dict[Key, list[_Row]]:
    by_key: dict[Key, list[_Row]] = {}
    for row in rows:
        by_key.setdefault(row[0], []).append(row)
    return by_key


def _named(key: Key) -> str:
    # A day is told as the number of it, counted from 1970.
    return str(date(1970, 1, 1) + timedelta(days=key)) if isinstance(key, int) else key or ""


def _added(
    key: str, sums: Iterable[SumRow], waits: Iterable[Counted], failures: Iterable[Counted]
) -> CallFigures:
    figures = CallFigures(key)
    for row in sums:
        ended = row.ended or NOT_ENDED
        figures.calls += row.calls
        figures.ended[ended] = figures.ended.get(ended, 0) + row.calls
        figures.answers += row.answers
        figures.turns_cut += row.turns_cut
        figures.early_answers += row.early_answers
        figures.early_answers_withdrawn += row.early_answers_withdrawn
        figures.prompt_tokens += row.prompt_tokens
        figures.completion_tokens += row.completion_tokens
        figures.cost_unknown += row.calls - row.cost_known
        if row.currency is not None:
            figures.cost[row.currency] = figures.cost.get(row.currency, 0.0) + row.cost
    for _, kind, count in failures:
        figures.failures[str(kind)] = figures.failures.get(str(kind), 0) + count
    figures.wait_ms = _percentiles([(int(bucket), count) for _, bucket, count in waits])
    figures.cost = {currency: round(amount, 6) for currency, amount in figures.cost.items()}
    return figures


def _percentiles(buckets: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    counts: dict[int, int] = {}
    for bucket, count in buckets:
        counts[bucket] = counts.get(bucket, 0) + count
    total = sum(counts.values())
    if not total:
        return None
    found: list[int] = []
    for share in (0.5, 0.95):
        passed = 0
        for bucket in sorted(counts):
            passed += counts[bucket]
            if passed >= share * total:
                found.append(bucket * BUCKET_MS + BUCKET_MS // 2)
                break
    return found[0], found[1]

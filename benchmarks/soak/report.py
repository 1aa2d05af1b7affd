"""What came of a soak, as JSON and to be read."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.soak.caller import CallRecord
from benchmarks.soak.process import Held

_LONG_SECS = 8.0
"""What `docs/failures.md` allows."""


@dataclass(frozen=True)
class Violation:
    """Something that did not hold.

    Parameters:
        round: The round it was found in.
        call: The call it is of; empty when it is of none.
        what: What did not hold.
    """

    round: int
    call: str
    what: str


@dataclass
class Report:
    """What came of a soak so far.

    Parameters:
        seed: Where everything was drawn from.
        sessions: How many called at a time.
        storage: Where conversations were kept.
        started_at: When, as UTC.
        minutes: How long callers called.
        rounds: How many rounds were finished.
        calls: How many calls were made.
        turns: How many sentences were recognised or typed.
        messages: How many messages are kept of them.
        transitions: How many steps of the flow are.
        faults: How often each fault of one caller's struck.
        spells: How often each fault of everybody's did.
        openings: How calls began.
        endings: How they were to end.
        end_reasons: How they ended.
        rows_in_supabase: How many rows of all tables were compared with the journal's.
        unknown_sounds: How many stretches of sound the recogniser knew no sentence for.
        starved_calls: How many calls were not judged by time, because other programs had the
            processor meanwhile.
        waits: How long sentences waited for a sign of any kind, in the calls judged by time, in
            seconds.
        starved_share: How much of the time they had it.
        held: What the process held at rest, before the first round and after each.
        violations: What did not hold.
    """

    seed: int
    sessions: int
    storage: str
    started_at: str
    minutes: float = 0.0
    rounds: int = 0
    calls: int = 0
    turns: int = 0
    messages: int = 0
    transitions: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    spells: Counter[str] = field(default_factory=Counter[str])
    openings: Counter[str] = field(default_factory=Counter[str])
    endings: Counter[str] = field(default_factory=Counter[str])
    end_reasons: Counter[str] = field(default_factory=Counter[str])
    rows_in_supabase: int = 0
    unknown_sounds: int = 0
    starved_calls: int = 0
    waits: list[float] = field(default_factory=list[float])
    starved_share: float = 0.0
    held: list[Held] = field(default_factory=list[Held])
    violations: list[Violation] = field(default_factory=list[Violation])

    def count_call(self, record: CallRecord) -> None:
        """Count what one call was."""
        self.calls += 1
        self.turns += len(record.heard.finals) + len(record.typed)
        self.faults.update(what for _, what in record.heard.faults)
        if record.name != record.plan.name:
            self.openings["another page"] += 1
            return
        self.openings[record.plan.opening] += 1
        self.endings[record.plan.ending] += 1

    def write(self, folder: Path) -> None:
        """Write `report.json` and `report.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(
            json.dumps(self, default=vars, indent=1, ensure_ascii=False), encoding="utf-8"
        )
        (folder / "report.md").write_text(self.readable(), encoding="utf-8")

    def readable(self) -> str:
        """The report in Markdown."""
        return "\n".join(
            [
                f"# Soak: seed {self.seed}, {self.sessions} at a time, {self.minutes:.1f} minutes",
                "",
                f"{self.calls} calls in {self.rounds} rounds: {self.turns} turns, "
                f"{self.messages} messages and {self.transitions} transitions kept "
                f"({self.storage}; {self.rows_in_supabase} rows compared with Supabase's).",
                "",
                f"**{len(self.violations)} violations.**",
                *(f"- round {v.round} {v.call}: {v.what}" for v in self.violations),
                "",
                *_counted("Faults of one caller", self.faults),
                *_counted("Faults of everybody", self.spells),
                *_counted("Openings", self.openings),
                *_counted("Endings meant", self.endings),
                *_counted("Ends kept", self.end_reasons),
                f"- Calls not judged by time, since other programs had the processor: "
                f"{self.starved_calls} ({self.starved_share:.0%} of the time).",
                *self._waits(),
                "",
                *self._process(),
                "",
            ]
        )

    def _waits(self) -> list[str]:
        if not self.waits:
            return []
        long = sum(wait > _LONG_SECS for wait in self.waits)
        return [
            f"- From a sentence to a sign of any kind, in the {len(self.waits)} cases judged by "
            f"time: median {median(self.waits):.1f} s, worst {max(self.waits):.1f} s, {long} "
            f"longer than {_LONG_SECS:g} s."
        ]

    def _process(self) -> list[str]:
        if len(self.held) < 2:
            return []
        first, last = self.held[0], self.held[-1]
        growth = [one.memory_mb for one in self.held]
        half = len(growth) // 2
        return [
            "| the process at rest | after the first round | at the end |",
            "|---|---|---|",
            f"| memory, MB | {first.memory_mb} | {last.memory_mb} |",
            f"| file descriptors | {sum(first.files.values())} | {sum(last.files.values())} |",
            f"| threads | {first.native_threads} | {last.native_threads} |",
            f"| asyncio tasks | {sum(first.tasks.values())} | {sum(last.tasks.values())} |",
            "",
            f"Memory, median of the first half {median(growth[:half] or growth):.0f} MB, of the "
            f"second {median(growth[half:]):.0f} MB; {last.cpu_secs:.0f} s of processor time.",
        ]


def _counted(title: str, counts: Counter[str]) -> list[str]:
    total = sum(counts.values())
    parts = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return [f"- {title} ({total}): {parts or 'none'}."]

"""The figures of many calls: what a command may ask for, a table for a terminal, and data."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from sonora_app.commands.output import plain
from sonora_app.storage.figures import CallFigures, Figures, FiguresWanted, GroupedBy
from sonora_app.wording.translation import say


def figures_wanted(by: GroupedBy, since: datetime | None, until: datetime | None) -> FiguresWanted:
    """Which calls are wanted, where days and times are those of this machine's clock."""
    first, last = (each and each.astimezone() for each in (since, until))
    zone = datetime.now().astimezone().utcoffset()
    assert zone is not None  # noqa: S101  # it has a zone
    return FiguresWanted(by, first, last, zone)


def figures_data(figures: Figures, by: GroupedBy) -> dict[str, Any]:
    """The figures as data: of each group, and of all of them."""
    return {
        "by": by.value,
        "groups": [_data(group) for group in figures.groups],
        "total": _data(figures.total),
    }


def figures_table(figures: Figures) -> Table:
    """A line for each group, and one for all."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in (
        say("Calls"),
        say("Failed"),
        say("Wait"),
        "95 %",
        say("Cut"),
        say("Guesses"),
        say("Failures"),
        say("Tokens"),
        say("Cost"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [*figures.groups, *([figures.total] if len(figures.groups) > 1 else [])]
    for row in rows:
        name = say("all") if row is figures.total else row.key or say("not known")
        table.add_row(*(Text(plain(cell)) for cell in (name, *_cells(row))))
    return table


def _cells(figures: CallFigures) -> Iterable[str]:
    median, most = figures.wait_ms or (None, None)
    yield str(figures.calls)
    yield str(sum(figures.ended.get(reason, 0) for reason in ("error", "crashed")))
    yield "–" if median is None else f"{median} ms"
    yield "–" if most is None else f"{most} ms"
    yield str(figures.turns_cut)
    yield f"{figures.early_answers_withdrawn}/{figures.early_answers}"
    yield str(sum(figures.failures.values()))
    yield str(figures.prompt_tokens + figures.completion_tokens)
    yield told_costs(figures)


def told_costs(figures: CallFigures) -> str:
    """What calls cost, as far as it is known; `≥` where a part of it is not."""
    known = ", ".join(f"{amount:.2f} {currency}" for currency, amount in figures.cost.items())
    if not known or (not any(figures.cost.values()) and figures.cost_unknown):
        return "?" if figures.cost_unknown else "–"
    return f"≥ {known}" if figures.cost_unknown else known


def _data(figures: CallFigures) -> dict[str, Any]:
    median, most = figures.wait_ms or (None, None)
    return {**asdict(figures), "wait_ms": {"median": median, "p95": most}}

"""Results as Markdown tables and pictures, and where they go in docs/benchmarks.md."""

import re
from pathlib import Path

from benchmarks.charts import ranges, series, timeline
from benchmarks.figures import SCAFFOLD, SONORA, Figure, Measurement, Results

_BLOCK = re.compile(r"(<!-- results: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

SUMMARY, MACHINE = "summary", "machine"
"""Blocks that are not a measurement: every figure that has a target, and what it was run on."""


def publish(results: Results, docs: Path) -> None:
    """Bring the page, its pictures and its data up to date.

    What is not between the marks `<!-- results: NAME -->` and `<!-- end -->` stays as it is.

    Args:
        results: What was measured.
        docs: The folder with `benchmarks.md`.
    """
    folder = docs / "benchmarks"
    folder.mkdir(exist_ok=True)
    results.save(folder / "results.json")
    for name, measurement in results.measurements.items():
        for file, picture in _pictures(name, measurement).items():
            (folder / file).write_text(picture, encoding="utf-8")

    def filled(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        return f"{begin}\n{_block(name, results)}\n\n{end}"

    page = docs / "benchmarks.md"
    page.write_text(_BLOCK.sub(filled, page.read_text(encoding="utf-8")), encoding="utf-8")


def table(figures: list[Figure]) -> str:
    """Median and range for each bot, the ratio of the medians, and what it may be at most."""
    rival = next((figure.rival for figure in figures if figure.rival != SCAFFOLD), SCAFFOLD)
    rows = [f"| figure | {rival} | Sonora | ratio | target |", "|---|---|---|---|---|"]
    rows += [_row(figure, rival) for figure in figures]
    return "\n".join(rows)


def _block(name: str, results: Results) -> str:
    if name == MACHINE:
        return ", ".join(f"{what} {value}" for what, value in results.machine.items()) + "."
    if name == SUMMARY:
        return table(
            [
                figure.model_copy(update={"name": f"{measurement.title}: {figure.name}"})
                for measurement in results.measurements.values()
                for figure in measurement.figures
                if figure.target is not None or figure.limit is not None
            ]
        )
    measurement = results.measurements.get(name)
    if measurement is None:
        return "Not measured yet."
    pictures = (
        f"![{measurement.title}](benchmarks/{file})" for file in _pictures(name, measurement)
    )
    parts = (
        f"{measurement.how} Measured on {measurement.date}.",
        table(measurement.figures),
        *pictures,
    )
    return "\n\n".join(parts)


def _pictures(name: str, measurement: Measurement) -> dict[str, str]:
    """A measurement's pictures, by the names of their files."""
    pictures: dict[str, str] = {}
    if any(figure.unit == "ms" for figure in measurement.figures):
        pictures[f"{name}.svg"] = ranges(measurement, "ms")
    if measurement.traces:
        pictures[f"{name}-turn.svg"] = timeline(measurement)
    if measurement.series:
        pictures[f"{name}-series.svg"] = series(measurement, "MB")
    return pictures


def _row(figure: Figure, rival: str) -> str:
    name = f"· {figure.name}" if figure.part_of else figure.name
    ratio = "" if figure.ratio is None or figure.part_of else f"{figure.ratio:.2f}"
    # The targets are for the scaffold beside it.
    target = _target(figure) if rival == SCAFFOLD else ""
    cells = (name, _spread(figure, rival), _spread(figure, SONORA), ratio, target)
    return f"| {' | '.join(cells)} |"


def _target(figure: Figure) -> str:
    if figure.target is not None:
        return f"≤ {figure.target:g}"
    if figure.limit is not None:
        return f"≤ {_with_unit(_number(figure.limit), figure)}"
    return ""


def _spread(figure: Figure, name: str) -> str:
    values, middle = figure.values.get(name), figure.median(name)
    if not values or middle is None:
        return "–"
    shown = _with_unit(_number(middle), figure)
    if len(values) == 1:
        return shown
    return f"{shown} [{_number(min(values))}–{_number(max(values))}]"


def _with_unit(number: str, figure: Figure) -> str:
    return f"{number} {figure.unit}" if figure.unit else number


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"

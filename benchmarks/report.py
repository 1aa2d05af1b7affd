"""Results as Markdown."""

from benchmarks.figures import SCAFFOLD, SONORA, Figure, Measurement


def table(measurement: Measurement) -> str:
    """A measurement's figures: median and range for each bot, and the ratio of the medians."""
    rows = ["| figure | scaffold | Sonora | ratio | target |", "|---|---|---|---|---|"]
    rows += [_row(figure) for figure in measurement.figures]
    return "\n".join(rows)


def _row(figure: Figure) -> str:
    name = f"· {figure.name}" if figure.part_of else figure.name
    ratio = "" if figure.ratio is None or figure.part_of else f"{figure.ratio:.2f}"
    target = "" if figure.target is None else f"≤ {figure.target:g}"
    cells = (name, _spread(figure, SCAFFOLD), _spread(figure, SONORA), ratio, target)
    return f"| {' | '.join(cells)} |"


def _spread(figure: Figure, name: str) -> str:
    values = figure.values.get(name)
    middle = figure.median(name)
    if not values or middle is None:
        return "–"
    unit = f" {figure.unit}" if figure.unit else ""
    if len(values) == 1:
        return f"{_number(middle)}{unit}"
    return f"{_number(middle)}{unit} [{_number(min(values))}–{_number(max(values))}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.2g}"

"""Measurements drawn: SVGs that need nothing from outside and follow the reader's light or dark."""

from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import pairwise

from benchmarks.figures import SCAFFOLD, SONORA, Figure, Measurement

_WIDTH, _MARGIN, _LABEL, _ROW = 820, 16, 360, 40
_RIGHT = _WIDTH - _MARGIN
_PLOT = _RIGHT - _MARGIN - _LABEL
_BAR = 26

# Rules without variables: not every program that shows an SVG knows those.
_STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #2f353b }
.page { fill: #fcfbf9; stroke: #e4e0d8 }
.title { font-size: 14px; font-weight: 600; fill: #1d2126 }
.small { fill: #5d646c; font-size: 11px }
.grid { stroke: #e4e0d8 }
.range { stroke-width: 3; stroke-linecap: round; fill: none }
.scaffold { stroke: #8d959d; fill: #8d959d }
.Sonora { stroke: #14756b; fill: #14756b }
.line { fill: none; stroke-width: 2 }
.own { fill: #14756b }
.vendor { fill: #cfc9be }
.way { fill: #8db8d8 }
.edge { stroke: #fcfbf9; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
text { fill: #d8dde1 }
.page { fill: #15181b; stroke: #2c3237 }
.title { fill: #f0f2f4 }
.small { fill: #a3abb3 }
.grid { stroke: #2c3237 }
.Sonora { stroke: #5fd0c3; fill: #5fd0c3 }
.line { fill: none }
.own { fill: #45b5a8 }
.vendor { fill: #485058 }
.way { fill: #3f6f92 }
.edge { stroke: #15181b }
}
"""

_VENDORS = {"STT", "LLM", "TTS"}
_WAY = {"uplink", "output"}
_KINDS = (("own", "the bot's own"), ("vendor", "the vendor's"), ("way", "the way there and back"))


def ranges(measurement: Measurement, unit: str) -> str:
    """Medians as dots on their ranges, for the figures in `unit`."""
    figures = [each for each in measurement.figures if each.unit == unit and not each.part_of]
    top = max((value for each in figures for of in each.values.values() for value in of), default=1)
    step = _step(top)
    end = step * (int(top / step) + 1)

    def x(value: float) -> float:
        return _MARGIN + _LABEL + _PLOT * value / end

    body = [_text(_MARGIN, 28, measurement.title, "title")]
    floor = 60 + _ROW * len(figures)
    for number in range(int(end / step) + 1):
        at = x(number * step)
        body.append(f'<line class="grid" x1="{_n(at)}" y1="46" x2="{_n(at)}" y2="{floor}"/>')
        label = f"{_n(number * step)} {unit}" if number == 0 else _n(number * step)
        body.append(_text(at, floor + 16, label, "small", anchor="middle"))
    for number, figure in enumerate(figures):
        body += _range(figure, 70 + _ROW * number, x)
    body += _legend(floor + 40, ((SCAFFOLD, SCAFFOLD), (SONORA, SONORA)))
    return _document(measurement.title, floor + 56, body)


def timeline(measurement: Measurement) -> str:
    """Where the time of one turn goes, for each bot, from the end of speech."""
    end = max(marks["output"] for marks in measurement.traces.values())
    scale = (_WIDTH - 2 * _MARGIN - 70) / end
    body = [_text(_MARGIN, 28, "One turn, from the end of speech to the first sound", "title")]
    y = 60.0
    for name in (SCAFFOLD, SONORA):
        marks = measurement.traces.get(name)
        if marks is None:
            continue
        body.append(_text(_MARGIN, y + 17, name))
        labels: list[tuple[float, str]] = []
        for (_, start), (part, stop) in pairwise([("", 0.0), *marks.items()]):
            if stop - start < 0.5:
                continue
            left = _MARGIN + 70 + start * scale
            kind = "vendor" if part in _VENDORS else "way" if part in _WAY else "own"
            body.append(
                f'<rect class="{kind} edge" x="{_n(left)}" y="{_n(y)}" '
                f'width="{_n((stop - start) * scale)}" height="{_BAR}"/>'
            )
            labels.append((left, f"{part} {stop - start:.0f}"))
        body += _staggered(labels, y + _BAR + 14)
        total = marks["output"]
        body.append(_text(_MARGIN + 70 + total * scale, y - 5, f"{total:.0f} ms", anchor="end"))
        y += _BAR + 80
    body += _legend(y + 6, _KINDS)
    return _document("Where the time of a turn goes", y + 24, body)


def series(measurement: Measurement, unit: str) -> str:
    """Values in the order they were taken, as lines from nothing upwards."""
    top = max(value for values in measurement.series.values() for value in values)
    step = _step(top)
    end = step * (int(top / step) + 1)
    left, floor, height = _MARGIN + 60, 260.0, 210.0
    body = [_text(_MARGIN, 28, f"{measurement.title}, {unit}", "title")]
    for number in range(int(end / step) + 1):
        y = floor - height * number * step / end
        body.append(f'<line class="grid" x1="{left}" y1="{_n(y)}" x2="{_RIGHT}" y2="{_n(y)}"/>')
        body.append(_text(left - 8, y + 4, _n(number * step), "small", anchor="end"))
    for name, values in measurement.series.items():
        across = (_RIGHT - left) / max(1, len(values) - 1)
        points = " ".join(
            f"{_n(left + number * across)},{_n(floor - height * value / end)}"
            for number, value in enumerate(values)
        )
        body.append(f'<polyline class="{name} line" points="{points}"/>')
    body.append(_text(left, floor + 16, "before the first call", "small"))
    last = max(len(values) for values in measurement.series.values()) - 1
    body.append(_text(_RIGHT, floor + 16, f"after {last} calls", "small", anchor="end"))
    body += _legend(floor + 40, ((SCAFFOLD, SCAFFOLD), (SONORA, SONORA)))
    return _document(measurement.title, floor + 56, body)


def _range(figure: Figure, y: float, x: Callable[[float], float]) -> Iterator[str]:
    yield _text(_MARGIN, y + 4, figure.name)
    for name, below in ((SCAFFOLD, -6.0), (SONORA, 6.0)):
        values, middle = figure.values.get(name), figure.median(name)
        if not values or middle is None:
            continue
        at = _n(y + below)
        yield (
            f'<line class="range {name}" opacity="0.45" x1="{_n(x(min(values)))}" y1="{at}" '
            f'x2="{_n(x(max(values)))}" y2="{at}"/>'
        )
        yield f'<circle class="{name}" cx="{_n(x(middle))}" cy="{at}" r="4"/>'


def _staggered(labels: list[tuple[float, str]], y: float) -> Iterator[str]:
    """Labels below a bar, each in the first of three lines that has room for it."""
    free = [0.0, 0.0, 0.0]
    for left, label in labels:
        width = len(label) * 6.7 + 8
        start = min(left, _WIDTH - _MARGIN - width)
        line = next((n for n, at in enumerate(free) if at <= start), 2)
        free[line] = start + width
        yield _text(start, y + 14 * line, label, "small")


def _legend(y: float, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    left = float(_MARGIN)
    for kind, label in entries:
        yield f'<rect class="{kind}" x="{_n(left)}" y="{_n(y - 9)}" width="10" height="10" rx="2"/>'
        yield _text(left + 16, y, label, "small")
        left += 16 + len(label) * 7 + 24


def _step(top: float) -> float:
    """A round distance between grid lines, for four to eight of them."""
    step = 10.0 ** (len(str(int(top))) - 1)
    while top / step > 8:
        step *= 2
    while top / step < 4:
        step /= 2
    return step


def _document(title: str, height: float, body: list[str]) -> str:
    size = f'width="{_WIDTH}" height="{_n(height)}" viewBox="0 0 {_WIDTH} {_n(height)}"'
    page = f'<rect class="page" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_n(height - 1)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'{page} rx="12"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

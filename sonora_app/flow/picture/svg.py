"""Draws the flow as an SVG that loads nothing, and is light or dark as its reader prefers."""

from collections.abc import Iterator
from html import escape

from sonora_app.flow.picture.diagram import Graph, TakenBy
from sonora_app.flow.picture.layout import (
    CAP,
    LINE,
    MARGIN,
    SMALL_CHAR,
    Box,
    Label,
    Layout,
    Line,
    Point,
    label_text,
    lay_out,
)

_CORNER = 9.0
_LEGEND = (
    (TakenBy.MODEL, "the language model takes it; an event may too"),
    (TakenBy.EVENT, "events alone take it: the page, a timer, a line spoken"),
)

# Rules without variables: not every program that shows an SVG knows those.
_STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.page { fill: #fcfbf9; stroke: #e4e0d8 }
.box { fill: #ffffff; stroke: #cfc9be; stroke-width: 1.25 }
.box.model { fill: #eaf6f4; stroke: #2b8a80 }
.name { font-size: 15px; font-weight: 600; fill: #1d2126 }
.small { fill: #5d646c }
.label { fill: #2f353b }
.case { fill: #5d646c }
.halo { paint-order: stroke; stroke: #fcfbf9; stroke-width: 4px; stroke-linejoin: round }
.line { fill: none; stroke-width: 1.5; stroke: #7b828a; stroke-dasharray: 5 4 }
.line.model { stroke: #14756b; stroke-width: 1.75; stroke-dasharray: none }
.tip { fill: #7b828a }
.tip.model { fill: #14756b }
.mark { fill: #1d2126 }
.ring { fill: none; stroke: #1d2126; stroke-width: 1.5 }
.cap { fill: none; stroke: #1d2126; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
.page { fill: #15181b; stroke: #2c3237 }
.box { fill: #1d2226; stroke: #485058 }
.box.model { fill: #15302d; stroke: #45b5a8 }
.name { fill: #f0f2f4 }
.small, .case { fill: #a3abb3 }
.label { fill: #d8dde1 }
.halo { stroke: #15181b }
.line { stroke: #8d959d }
.line.model { stroke: #5fd0c3 }
.tip { fill: #8d959d }
.tip.model { fill: #5fd0c3 }
.mark { fill: #f0f2f4 }
.ring, .cap { stroke: #f0f2f4 }
}
"""


def as_svg(graph: Graph) -> str:
    """The graph as an SVG document. The same graph always gives the same bytes."""
    layout = lay_out(graph)
    legend = [len(text) * SMALL_CHAR + 50 for _, text in _LEGEND]
    width = max(layout.width, max(legend) + 2 * MARGIN)
    height = layout.height + len(_LEGEND) * (LINE + 4) - LINE / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}"'
        f' viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-labelledby="title desc">',
        '<title id="title">The flow of a conversation</title>',
        f'<desc id="desc">{escape(_described(graph))}</desc>',
        f"<style>{_STYLE}</style>",
        "<defs>",
        *(_tip(name) for name in ("event", "model", "cap")),
        "</defs>",
        f'<rect class="page" x="0.5" y="0.5" width="{_n(width - 1)}" height="{_n(height - 1)}"'
        ' rx="12"/>',
        *_drawn(layout),
        *_legend(layout.height),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _described(graph: Graph) -> str:
    """The graph in words, for who cannot see it."""
    ways = (
        f"{edge.source} to {edge.target} by {' '.join(filter(None, label_text(edge)))}"
        for edge in graph.edges
    )
    return "; ".join(ways) + "."


def _drawn(layout: Layout) -> Iterator[str]:
    for line in layout.lines:
        yield _path(line)
    for box in layout.boxes:
        yield from _caps(box)
        yield from _box(box)
    # Last, so that no line is drawn over a text.
    for line in layout.lines:
        yield from _label(line.label)


def path_data(line: Line) -> str:
    """The data of an SVG path along a line."""
    points = line.points
    straight = len(points) == 2
    return _curve(*points) if straight else _rounded(points)  # pyright: ignore[reportArgumentType]


def label_places(label: Label) -> Iterator[tuple[float, float, str, str]]:
    """Where a label's texts stand: x, y, the function, and its case; either may be empty."""
    if label.beside:
        for index, edge in enumerate(label.edges):
            yield label.x, label.y + LINE - 4 + index * LINE, *label_text(edge)
        return
    above = label.y - 6 - LINE * (len(label.edges) - 1)
    for index, edge in enumerate(label.edges):
        name, case = label_text(edge)
        yield label.x, above + index * LINE, name, ""
        if case:
            yield label.x, label.y + 15, "", case


def _path(line: Line) -> str:
    data = path_data(line)
    tip = f' marker-end="url(#{line.by})"' if line.arrow else ""
    return f'<path class="line {line.by}" d="{data}"{tip}/>'


def _curve(start: Point, end: Point) -> str:
    (x1, y1), (x2, y2) = start, end
    if x1 == x2:
        return f"M{_n(x1)} {_n(y1)}V{_n(y2)}"
    half = (y1 + y2) / 2
    return f"M{_n(x1)} {_n(y1)}C{_n(x1)} {_n(half)} {_n(x2)} {_n(half)} {_n(x2)} {_n(y2)}"


def _rounded(points: tuple[Point, ...]) -> str:
    data = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_CORNER, _length(before, corner) / 2, _length(corner, after) / 2)
        enter, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        data += f"L{_n(enter[0])} {_n(enter[1])}"
        data += f"Q{_n(corner[0])} {_n(corner[1])} {_n(leave[0])} {_n(leave[1])}"
    return data + f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _length(start: Point, end: Point) -> float:
    return abs(end[0] - start[0]) + abs(end[1] - start[1])


def _towards(start: Point, end: Point, distance: float) -> Point:
    share = distance / (_length(start, end) or 1)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _box(box: Box) -> Iterator[str]:
    kind = "box model" if box.node.model else "box"
    yield (
        f'<rect class="{kind}" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}"'
        f' height="{_n(box.height)}" rx="10"/>'
    )
    y = box.y + 26
    yield _text("name", box.middle, y, "middle", box.node.name)
    for line in box.subtitle:
        y += LINE
        yield _text("small", box.middle, y, "middle", line)


def _caps(box: Box) -> Iterator[str]:
    """Where a call starts and where it ends."""
    x = _n(box.middle)
    if box.node.initial:
        top = box.y - CAP
        yield f'<circle class="mark" cx="{x}" cy="{_n(top + 8)}" r="6"/>'
        yield f'<path class="cap" d="M{x} {_n(top + 14)}V{_n(box.y)}" marker-end="url(#cap)"/>'
    if box.node.final:
        end = box.bottom + CAP
        yield f'<path class="cap" d="M{x} {_n(box.bottom)}V{_n(end - 17)}" marker-end="url(#cap)"/>'
        yield f'<circle class="ring" cx="{x}" cy="{_n(end - 8)}" r="8"/>'
        yield f'<circle class="mark" cx="{x}" cy="{_n(end - 8)}" r="4.5"/>'


def _label(label: Label) -> Iterator[str]:
    for x, y, name, case in label_places(label):
        if name and case:
            inner = f'{escape(name)} <tspan class="case">{escape(case)}</tspan>'
            yield _text("label halo", x, y, label.anchor, inner, ready=True)
        else:
            yield _text("label halo" if name else "case halo", x, y, label.anchor, name or case)


def _legend(top: float) -> Iterator[str]:
    y = top
    for by, words in _LEGEND:
        yield (
            f'<path class="line {by}" d="M{_n(MARGIN)} {_n(y - 4)}h34" marker-end="url(#{by})"/>'
        )
        yield _text("small", MARGIN + 46, y, "start", words)
        y += LINE + 4


def _tip(name: str) -> str:
    kind = "mark" if name == "cap" else f"tip {name}"
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8"'
        ' markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="{kind}" d="M0 1L10 5L0 9L2 5Z"/></marker>'
    )


def _text(kind: str, x: float, y: float, anchor: str, text: str, *, ready: bool = False) -> str:
    inner = text if ready else escape(text)
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{inner}</text>'


def _n(value: float) -> str:
    return f"{round(value, 1):g}"

"""Places the parts of the flow's picture, by the plan that `layers.py` makes."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from sonora_app.flow.picture.diagram import Edge, Graph, Node, TakenBy
from sonora_app.flow.picture.layers import Ways, layers_of, sort_edges
from sonora_app.flow.picture.ports import PORT, Box, Side, ports_of
from sonora_app.wording.translation import worded

Point = tuple[float, float]

NAME_CHAR = 9.05
"""Width of a character of a node's name, in pixels."""
SMALL_CHAR = 7.25
"""Width of a character of every other text."""
LINE = 17.0
"""Height of a line of small text."""
MARGIN = 28.0
LABEL_GAP = 10.0
"""Between a label and the node or the line beside it."""
CAP = 44.0
"""Room above the first layer and below the last, for where a call starts and ends."""

MODEL_TALKS = worded("the model talks")

_NAME_HEIGHT = 42.0
_PADDING = 18.0
_SUBTITLE_CHARS = 30
_RAIL_GAP = 24.0
_NODE_GAP = 64.0
_LAYER_GAP = 34.0
_STUB = 13.0
"""From a node, or a layer, to a line that passes it."""


@dataclass(frozen=True)
class Label:
    """What is written at a line. `beside`: every edge on a line of its own; otherwise the
    function is written over the line and its case under it. `anchor` is SVG's text-anchor."""

    edges: Ways
    x: float
    y: float
    anchor: str
    beside: bool = False


@dataclass(frozen=True)
class Line:
    """A line through `points`, with an arrow at its end unless it joins another."""

    points: tuple[Point, ...]
    by: TakenBy
    label: Label
    arrow: bool = True


@dataclass(frozen=True)
class Layout:
    """The whole picture."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def lay_out(graph: Graph, *, model_talks: str = MODEL_TALKS) -> Layout:
    """Place everything. The same graph always gives the same layout.

    Args:
        graph: The flow.
        model_talks: What to say of the nodes in which the model talks.
    """
    layers = layers_of(graph)
    ways = sort_edges(graph, layers)
    left = MARGIN + _room([*ways.up, *ways.loops], rails=len(ways.up))
    down, up = ports_of(ways.down, [], side=1), ports_of(ways.up, ways.loops, side=-1)
    needed = {node.name: max(down.height(node.name), up.height(node.name)) for node in graph.nodes}
    boxes, height = _place(graph, layers, ways.steps, left, needed, model_talks)
    right = max(box.side(1) for box in boxes.values())
    lines = [
        *_steps(ways.steps, boxes),
        *_rails(ways.down, [], boxes, down, side=1, start=right + _room(ways.down, rails=1)),
        *_rails(ways.up, ways.loops, boxes, up, side=-1, start=left - _room(ways.up, rails=1)),
    ]
    width = right + _room(ways.down, rails=len(ways.down)) + MARGIN
    return Layout(width, height, tuple(boxes.values()), tuple(lines))


def label_text(edge: Edge) -> tuple[str, str]:
    """What an edge is called: its function, and its case, empty where it has none."""
    return edge.function, "" if edge.case is None else f"= {edge.case}"


def _room(ways: Sequence[Ways], *, rails: int) -> float:
    """How far a side's rails reach from the nodes: past the labels, which stand before them."""
    if not ways:
        return 0.0
    texts = (text for group in ways for edge in group for text in label_text(edge))
    return max(map(len, texts)) * SMALL_CHAR + 2 * LABEL_GAP + max(rails - 1, 0) * _RAIL_GAP


def _place(
    graph: Graph,
    layers: dict[str, int],
    steps: Sequence[Ways],
    left: float,
    needed: Mapping[str, float],
    model_talks: str,
) -> tuple[dict[str, Box], float]:
    rows: list[list[Node]] = [[] for _ in range(max(layers.values()) + 1)]
    for node in graph.nodes:
        rows[layers[node.name]].append(node)
    subtitles = {node.name: _subtitle(node, model_talks) for node in graph.nodes}
    width = 2 * _PADDING + max(
        max(
            len(node.name) * NAME_CHAR,
            *(len(text) * SMALL_CHAR for text in subtitles[node.name]),
            0,
        )
        for node in graph.nodes
    )
    pitch = width + _NODE_GAP
    middle = left + (max(map(len, rows)) * pitch - _NODE_GAP) / 2
    boxes: dict[str, Box] = {}
    y = MARGIN + CAP
    for row in rows:
        for index, node in enumerate(row):
            boxes[node.name] = Box(
                node=node,
                subtitle=subtitles[node.name],
                x=middle + (index - len(row) / 2) * pitch + _NODE_GAP / 2,
                y=y,
                width=width,
                height=max(_NAME_HEIGHT + LINE * len(subtitles[node.name]), needed[node.name]),
                outer=frozenset(
                    side for side, last in ((-1, row[0]), (1, row[-1])) if node is last
                ),
            )
        here = {node.name for node in row}
        written = max((len(ways) for ways in steps if ways[0].source in here), default=0)
        y = max(boxes[name].bottom for name in here) + _LAYER_GAP + LINE * max(written, 1)
    lowest = max(box.bottom for box in boxes.values())
    return boxes, lowest + CAP + MARGIN


def _subtitle(node: Node, model_talks: str) -> tuple[str, ...]:
    """What happens in a node, in lines of a limited length."""
    told = [model_talks] if node.model else []
    told += [*node.actions, *node.stays]
    lines: list[str] = []
    for part in told:
        if lines and len(lines[-1]) + len(part) + 3 <= _SUBTITLE_CHARS:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return tuple(lines)


def _steps(steps: Sequence[Ways], boxes: dict[str, Box]) -> list[Line]:
    leaving, entering = Side(), Side()
    for ways in sorted(steps, key=lambda ways: boxes[ways[0].target].x):
        leaving.add(ways[0].source, ways)
    for ways in sorted(steps, key=lambda ways: boxes[ways[0].source].x):
        entering.add(ways[0].target, ways)
    lines: list[Line] = []
    for ways in steps:
        source, target = boxes[ways[0].source], boxes[ways[0].target]
        start = source.middle + _spread(leaving.ports[source.node.name], ways)
        end = target.middle + _spread(entering.ports[target.node.name], ways)
        # Of two lines side by side, the left one has its label on its left.
        left = leaving.ports[source.node.name].index(ways) * 2 + 1 < len(
            leaving.ports[source.node.name]
        )
        label = Label(
            edges=ways,
            x=(start + end) / 2 + (-LABEL_GAP if left else LABEL_GAP),
            y=(source.bottom + target.y - LINE * len(ways)) / 2,
            anchor="end" if left else "start",
            beside=True,
        )
        lines.append(Line(((start, source.bottom), (end, target.y)), ways[0].by, label))
    return lines


def _spread(ports: Sequence[Hashable], line: Hashable) -> float:
    return (ports.index(line) - (len(ports) - 1) / 2) * 2 * PORT


def _rails(
    rails: Sequence[Ways],
    loops: Sequence[Ways],
    boxes: dict[str, Box],
    ports: Side,
    *,
    side: int,
    start: float,
) -> list[Line]:
    """The lines at one side. The first rail is at `start`, the others further out."""
    lines = [_loop(ways, boxes[ways[0].source], ports, side, start) for ways in loops]
    for index, ways in enumerate(rails):
        x = start + side * index * _RAIL_GAP
        target = boxes[ways[0].target]
        into = _passing(target, ports.y(target, (index, "")), x, side, below=False)[::-1]
        sources = {edge.source: edge for edge in ways}
        furthest = max(sources, key=lambda name: abs(boxes[name].y - target.y))
        for name in sources:
            source = boxes[name]
            y = ports.y(source, (index, name))
            out = _passing(source, y, x, side, below=True)
            label = Label(
                edges=tuple(edge for edge in ways if edge.source == name),
                x=source.side(side) + side * LABEL_GAP,
                y=out[-1][1],
                anchor="start" if side > 0 else "end",
            )
            joins = name != furthest
            down = 1 if target.y > source.y else -1
            rest = ((x, out[-1][1] + down * _STUB),) if joins else into
            lines.append(Line((*out, *rest), ways[0].by, label, arrow=not joins))
    return lines


def _passing(box: Box, y: float, x: float, side: int, *, below: bool) -> tuple[Point, ...]:
    """From a node's side to the rail at `x`, past its neighbours if it has any on that side."""
    near = box.side(side)
    if side in box.outer:
        return (near, y), (x, y)
    channel = box.bottom + _STUB if below else box.y - _STUB
    return (near, y), (near + side * _STUB, y), (near + side * _STUB, channel), (x, channel)


def _loop(ways: Ways, box: Box, ports: Side, side: int, x: float) -> Line:
    near = box.side(side)
    out, back = ports.y(box, (ways, "out")), ports.y(box, (ways, "in"))
    label = Label(ways, near + side * LABEL_GAP, out, "start" if side > 0 else "end")
    far = x - side * LABEL_GAP if side in box.outer else near + side * 2 * _STUB
    return Line(((near, out), (far, out), (far, back), (near, back)), ways[0].by, label)

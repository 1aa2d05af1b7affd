"""The picture of the flow: everything on it, everything in its place, all of it readable."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise

import pytest

from flows import handlers
from simulators.clients.branching_flow import branching_flow
from sonora_app.flow.picture.diagram import Edge, Graph, load_graph, read_graph
from sonora_app.flow.picture.layers import layers_of
from sonora_app.flow.picture.layout import SMALL_CHAR, Box, Label, label_text, lay_out
from sonora_app.flow.picture.svg import as_svg

pytestmark = pytest.mark.flow

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Sonora's own flow."""
    return load_graph(handlers)


@pytest.fixture(scope="module")
def branching() -> Graph:
    """One with everything that Sonora's has not."""
    return read_graph(branching_flow())


@pytest.fixture(params=["graph", "branching"])
def any_graph(request: pytest.FixtureRequest) -> Graph:
    """Each of the two."""
    return request.getfixturevalue(request.param)


def test_the_picture_names_everything_and_needs_nothing(any_graph: Graph) -> None:
    text = as_svg(any_graph)
    root = ElementTree.fromstring(text)
    written = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]

    for node in any_graph.nodes:
        assert node.name in written
    for edge in any_graph.edges:
        assert any(line.split(" ")[0] == edge.function for line in written)
        if edge.case is not None:
            assert any(line.endswith(f"= {edge.case}") for line in written)
    assert not re.search(r"href|url\((?!#)|@import|<script|<image", text)
    assert text.count("://") == 1, "the namespace"


def test_every_line_leads_from_its_node_to_its_node(any_graph: Graph) -> None:
    layout = lay_out(any_graph)
    boxes = {box.node.name: box for box in layout.boxes}
    drawn: list[Edge] = []
    for line in layout.lines:
        drawn += line.label.edges
        (edge, *_) = line.label.edges
        assert touches(boxes[edge.source], line.points[0]), edge
        if line.arrow:
            assert touches(boxes[edge.target], line.points[-1]), edge
        else:
            rail = [
                other
                for other in layout.lines
                if other.arrow and other.label.edges[0].target == edge.target
            ]
            assert any(passes(other.points, line.points[-1]) for other in rail), edge

    assert sorted(drawn, key=repr) == sorted(any_graph.edges, key=repr)


def test_no_two_lines_meet_at_a_node(any_graph: Graph) -> None:
    lines = lay_out(any_graph).lines
    ends = [line.points[0] for line in lines] + [line.points[-1] for line in lines if line.arrow]

    assert len(ends) == len(set(ends))


def test_nothing_lies_on_anything_else(graph: Graph) -> None:
    layout = lay_out(graph)
    labels = [extent(line.label) for line in layout.lines]
    boxes = [(box.x, box.y, box.x + box.width, box.bottom) for box in layout.boxes]

    for first, second in combinations([*labels, *boxes], 2):
        assert not overlap(first, second)


def test_everything_is_on_the_page(any_graph: Graph) -> None:
    layout = lay_out(any_graph)

    for line in layout.lines:
        for x, y in (*line.points, extent(line.label)[:2], extent(line.label)[2:]):
            assert 0 < x < layout.width
            assert 0 < y < layout.height


def test_the_talk_goes_down_layer_by_layer(graph: Graph) -> None:
    assert layers_of(graph) == {
        "waiting": 0,
        "greeting": 1,
        "conversation": 2,
        "wrap_up": 3,
        "farewell": 4,
    }


def test_boxes_of_a_layer_stand_apart(branching: Graph) -> None:
    layout = lay_out(branching)
    boxes = [(box.x, box.y, box.x + box.width, box.bottom) for box in layout.boxes]

    for first, second in combinations(boxes, 2):
        assert not overlap(first, second)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(graph: Graph, scheme: str) -> None:
    """Each text against what it stands on, by WCAG's measure for normal text."""
    style = as_svg(graph).split("<style>")[1].split("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark) {")
    fills = {
        **dict(re.findall(r"^\.([\w.]+)[^{]*\{[^}]*fill: (#\w{6})", light, re.MULTILINE)),
        "case": re.findall(r"\.case \{ fill: (#\w{6})", light)[0],
    }
    if scheme == "dark":
        changed = re.findall(r"^([.\w, ]+) \{ fill: (#\w{6})", dark, re.MULTILINE)
        for names, fill in changed:
            fills |= dict.fromkeys(names.replace(".", " ").split(", "), fill) | {
                name.strip(" .").replace(" ", "."): fill for name in names.split(",")
            }
    for text, ground in (
        ("name", "box"),
        ("name", "box.model"),
        ("small", "box"),
        ("small", "box.model"),
        ("small", "page"),
        ("label", "page"),
        ("case", "page"),
    ):
        assert contrast(fills[text], fills[ground]) >= 4.5, (text, ground)


def touches(box: Box, point: tuple[float, float]) -> bool:
    """Whether a point is on a box's border."""
    x, y = point
    at_side = x in (box.x, box.x + box.width) and box.y <= y <= box.bottom
    at_end = y in (box.y, box.bottom) and box.x <= x <= box.x + box.width
    return at_side or at_end


def passes(points: tuple[tuple[float, float], ...], point: tuple[float, float]) -> bool:
    """Whether a line of horizontal and vertical parts goes through a point."""
    x, y = point
    return any(
        min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2)
        for (x1, y1), (x2, y2) in pairwise(points)
    )


def extent(label: Label) -> tuple[float, float, float, float]:
    """About what a label covers: left, top, right, bottom."""
    texts = [label_text(edge) for edge in label.edges]
    if label.beside:
        width = max(len(" ".join(text).rstrip()) for text in texts) * SMALL_CHAR
        top, bottom = label.y, label.y + 15.0 * len(texts)
    else:
        width = max(len(part) for text in texts for part in text) * SMALL_CHAR
        top, bottom = label.y - 16, label.y + (16 if any(case for _, case in texts) else 0)
    left = label.x - width if label.anchor == "end" else label.x
    return left, top, left + width, bottom


def overlap(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> bool:
    """Whether two rectangles share some of their area."""
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""

    def luminance(colour: str) -> float:
        parts = (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)

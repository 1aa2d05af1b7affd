"""Where lines begin and end at the nodes of the flow's picture."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from sonora_app.flow.picture.diagram import Node
from sonora_app.flow.picture.layers import Ways

PORT = 20.0
"""Between two lines at one side of a node."""
_CASED_PORT = 34.0
"""The same where a case is written under one of the lines."""


@dataclass(frozen=True)
class Box:
    """A node's place: `x` and `y` are its top left corner, `outer` the sides of its layer's row
    at which it stands last: -1 left, 1 right."""

    node: Node
    subtitle: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    outer: frozenset[int]

    @property
    def bottom(self) -> float:
        """The lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Half way from left to right."""
        return self.x + self.width / 2

    def side(self, side: int) -> float:
        """The left side for -1, the right one for 1."""
        return self.x if side < 0 else self.x + self.width


@dataclass
class Side:
    """The lines at one side of a node, from the top."""

    ports: dict[str, list[Hashable]] = field(default_factory=dict[str, list[Hashable]])
    cased: frozenset[str] = frozenset()

    def height(self, node: str) -> float:
        """How high a node has to be for them."""
        return len(self.ports.get(node, ())) * self._port(node)

    def _port(self, node: str) -> float:
        return _CASED_PORT if node in self.cased else PORT

    def add(self, node: str, line: Hashable) -> None:
        """Have a line begin or end at a node, below those before."""
        self.ports.setdefault(node, []).append(line)

    def y(self, box: Box, line: Hashable) -> float:
        """How far down a line begins or ends."""
        lines = self.ports[box.node.name]
        return (
            box.y
            + box.height / 2
            + (lines.index(line) - (len(lines) - 1) / 2) * self._port(box.node.name)
        )


def ports_of(rails: Sequence[Ways], loops: Sequence[Ways], *, side: int) -> Side:
    """Where the lines at one side begin and end."""
    leaving = Counter(edge.source for ways in rails for edge in ways)
    ports = Side(
        cased=frozenset(
            edge.source
            for ways in rails
            for edge in ways
            if edge.case is not None and leaving[edge.source] > 1
        )
    )
    # No line crosses another at its node: what enters from the inner rails comes first, and what
    # leaves for the outer ones. On the left, where rails lead up, it is the other way about.
    enter = [(ways[0].target, (index, "")) for index, ways in enumerate(rails)]
    leave = [
        (edge.source, (index, edge.source))
        for index, ways in reversed(list(enumerate(rails)))
        for edge in ways
    ]
    ordered = [*enter, *leave] if side > 0 else [*leave[::-1], *enter[::-1]]
    for ways in loops:
        ports.add(ways[0].source, (ways, "out"))
        ports.add(ways[0].source, (ways, "in"))
    for node, line in ordered:
        ports.add(node, line)
    return ports

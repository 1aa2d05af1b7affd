"""Plans the picture of the flow: the layer of each node, and the way of each edge.

The layers go down from the first node. An edge to the next layer runs between the two. An edge that
skips layers runs down a rail on the right, which all edges with the same function and target share.
An edge that leads back up runs up a rail on the left. A loop leaves and enters its node on the
left.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from sonora_app.flow.picture.diagram import Edge, Graph

Ways = tuple[Edge, ...]
"""Edges that are drawn as one line."""


@dataclass(frozen=True)
class SortedEdges:
    """The edges by how they are drawn.

    Parameters:
        steps: Between two layers.
        down: On rails on the right, the innermost first.
        up: On rails on the left, the innermost first.
        loops: From a node to itself.
    """

    steps: list[Ways]
    down: list[Ways]
    up: list[Ways]
    loops: list[Ways]


def layers_of(graph: Graph) -> dict[str, int]:
    """Each node's layer: one below the lowest node from which a way leads down to it."""
    after: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for edge in graph.edges:
        after[edge.source].append(edge.target)
    finished: list[str] = []
    down: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    entered: set[str] = set()

    def visit(name: str, above: frozenset[str]) -> None:
        entered.add(name)
        for target in after[name]:
            if target in above or target == name:
                continue
            down[name].append(target)
            if target not in entered:
                visit(target, above | {name})
        finished.append(name)

    for node in sorted(graph.nodes, key=lambda node: not node.initial):
        if node.name not in entered:
            visit(node.name, frozenset())
    layers = dict.fromkeys(after, 0)
    for name in reversed(finished):
        for target in down[name]:
            layers[target] = max(layers[target], layers[name] + 1)
    return layers


def sort_edges(graph: Graph, layers: dict[str, int]) -> SortedEdges:
    """Say for every edge how it is drawn.

    Args:
        graph: The flow.
        layers: Each node's layer.
    """

    def rise(edge: Edge) -> int:
        return layers[edge.target] - layers[edge.source]

    falling = [edge for edge in graph.edges if rise(edge) > 0]
    rails = {_rail(edge) for edge in falling if rise(edge) > 1}
    down = _grouped((edge for edge in falling if _rail(edge) in rails), _rail)
    up = [edge for edge in graph.edges if rise(edge) <= 0 and edge.source != edge.target]
    # The shortest nearest to the nodes, so that rails nest instead of crossing.
    return SortedEdges(
        steps=_grouped((edge for edge in falling if _rail(edge) not in rails), _pair),
        down=sorted(down, key=lambda ways: max(map(rise, ways))),
        up=sorted(_grouped(up, _pair), key=lambda ways: -rise(ways[0])),
        loops=_grouped((edge for edge in graph.edges if edge.source == edge.target), _rail),
    )


def _rail(edge: Edge) -> Hashable:
    return edge.target, edge.function, edge.case, edge.by


def _pair(edge: Edge) -> Hashable:
    return edge.source, edge.target, edge.by


def _grouped(edges: Iterable[Edge], key: Callable[[Edge], Hashable]) -> list[Ways]:
    groups: dict[Hashable, list[Edge]] = {}
    for edge in edges:
        groups.setdefault(key(edge), []).append(edge)
    return [tuple(group) for group in groups.values()]

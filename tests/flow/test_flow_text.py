"""The flow as text for a terminal."""

import pytest

from flows import handlers
from simulators.clients.branching_flow import branching_flow
from sonora_app.flow.picture.diagram import Graph, TakenBy, load_graph, read_graph
from sonora_app.flow.text import as_text

pytestmark = pytest.mark.flow


@pytest.fixture(params=["sonora", "branching"])
def graph(request: pytest.FixtureRequest) -> Graph:
    """Sonora's own flow, and one with everything that it has not."""
    return load_graph(handlers) if request.param == "sonora" else read_graph(branching_flow())


def test_each_node_has_all_its_ways(graph: Graph) -> None:
    text = as_text(graph, starts="starts", ends="ends", legend="legend").plain
    blocks = text.split("\n\n")

    assert blocks[-1] == "legend"
    assert len(blocks) == len(graph.nodes) + 1
    for node, block in zip(graph.nodes, blocks, strict=False):
        heading, *lines = block.strip("\n").split("\n")
        ways = [edge for edge in graph.edges if edge.source == node.name]
        name, _, mark = heading.partition("  ")
        assert name == node.name
        assert mark.strip() == ("starts" if node.initial else "ends" if node.final else "")
        assert len(lines) == len(ways) + len(node.stays)
        for edge, line in zip(ways, lines, strict=False):
            assert f"→ {edge.target}" in line
            assert edge.case is None or line.endswith(f"[{edge.case}]")
            mark = "●" if edge.by is TakenBy.EVENT else "◆"
            assert f"{mark} {edge.function}" in line or edge.case is not None
        for name in node.stays:
            assert any(line.endswith(f"↺ {name}") for line in lines)
        assert not lines or [line[0] for line in lines].count("└") == 1

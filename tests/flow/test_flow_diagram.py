"""The flow as a graph, and the graph as Mermaid and JSON."""

import json
import re
from pathlib import Path

import pytest

from flows import handlers
from simulators.clients.branching_flow import branching_flow
from sonora_app.flow.driver import load_flow_config
from sonora_app.flow.picture.diagram import (
    Edge,
    Graph,
    TakenBy,
    as_json,
    as_mermaid,
    load_graph,
    read_graph,
)
from sonora_app.flow.picture.svg import as_svg

pytestmark = pytest.mark.flow

PROJECT = Path(__file__).resolve().parents[2]


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


def test_the_graph_is_what_the_yaml_says(graph: Graph) -> None:
    config = load_flow_config()
    declared = [
        (name, target, function.name)
        for name, node in config.nodes.items()
        for function in node.functions
        for target in function.targets()
    ]

    assert [node.name for node in graph.nodes] == list(config.nodes)
    assert [(edge.source, edge.target, edge.function) for edge in graph.edges] == declared
    assert [node.name for node in graph.nodes if node.initial] == [config.initial_node]
    assert [node.name for node in graph.nodes if node.final] == ["farewell"]


def test_what_takes_a_function_is_told_as_the_running_flow_tells_it(graph: Graph) -> None:
    by = {edge.function: edge.by for edge in graph.edges}

    assert {name for name, taken in by.items() if taken is TakenBy.MODEL} == {
        "wrap_up",
        "resume_conversation",
        "say_goodbye",
    }
    assert by["set_conversation_id"] is TakenBy.EVENT, "its handler's docstring says so"
    assert by["give_up_waiting"] is TakenBy.EVENT, "its description in the YAML says so"
    assert {node.name for node in graph.nodes if node.model} == {"conversation", "wrap_up"}


def test_branches_defaults_and_global_functions(branching: Graph) -> None:
    start = branching.nodes[0]

    assert [edge for edge in branching.edges if edge.source == "start"] == [
        Edge("start", "left", "measure", "small", TakenBy.EVENT),
        Edge("start", "right", "measure", "large", TakenBy.EVENT),
        Edge("start", "start", "measure", "otherwise", TakenBy.EVENT),
        Edge("start", "end", "hang_up", None, TakenBy.EVENT),
    ]
    assert (start.initial, start.final, start.model, start.stays) == (
        True,
        False,
        True,
        ("look_up",),
    )
    assert [node.final for node in branching.nodes] == [False] * 5 + [True]


def test_mermaid_has_each_edge_on_a_line(graph: Graph) -> None:
    lines = [line.strip() for line in as_mermaid(graph).splitlines()]

    assert lines[:3] == ["stateDiagram-v2", "direction TB", "[*] --> waiting"]
    assert lines[-1] == "farewell --> [*]"
    assert "waiting --> greeting: set_conversation_id [ready] (event)" in lines
    assert "wrap_up --> conversation: resume_conversation" in lines
    assert len(lines) == 4 + len(graph.edges)


def test_mermaid_names_what_it_could_not_read(branching: Graph) -> None:
    text = as_mermaid(branching)

    # `end` is a word of Mermaid's own, and quotes and colons would end a label.
    assert 'state "end" as node_5' in text
    assert 'state "a  strange   name    1" as node_4' in text
    assert re.search(r"^    start --> node_5: hang_up \(event\)$", text, re.MULTILINE)
    for line in text.splitlines()[2:]:
        assert re.fullmatch(
            r'    (state "[^"<>#]*" as \w+|(\[\*\]|\w+) --> (\[\*\]|\w+)(: [^:;<>#"]+)?)', line
        ), line


def test_json_says_the_same(any_graph: Graph) -> None:
    data = json.loads(as_json(any_graph))

    assert [
        (row["from"], row["to"], row["function"], row["case"], row["by"]) for row in data["edges"]
    ] == [
        (edge.source, edge.target, edge.function, edge.case, str(edge.by))
        for edge in any_graph.edges
    ]
    assert [row["name"] for row in data["nodes"]] == [node.name for node in any_graph.nodes]


def test_the_picture_in_the_documents_is_current(graph: Graph) -> None:
    """When this fails: `uv run sonora flow --format svg --output docs/flow.svg`."""
    assert (PROJECT / "docs" / "flow.svg").read_text("utf-8") == as_svg(graph)

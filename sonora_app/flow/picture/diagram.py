"""The flow as a graph, and the graph as Mermaid or JSON. `svg.py` draws it.

Each edge tells whether the model or an event takes it. That is read where the running flow reads
it: from the description of the function, which is the docstring of its handler, or for a
`transition_only` function stands in the YAML. A description that ends in `(event)` is not offered
to the model. An event may also take a function that is offered to the model.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import ModuleType
from typing import Any, cast

from pipecat.flows import Flow, FlowConfig, FlowError, FlowsFunctionSchema

from sonora_app.flow.check import as_flow_error
from sonora_app.flow.driver import EVENT_ONLY, load_flow_config

OTHERWISE = "otherwise"
"""The case of a branch's default."""


class TakenBy(StrEnum):
    """What takes a function."""

    EVENT = "event"
    MODEL = "model"


@dataclass(frozen=True)
class Node:
    """A node of the flow.

    Parameters:
        name: Its name in the YAML.
        initial: Whether a call starts here.
        final: Whether no way leads to another node, so that the call ends here.
        model: Whether the model is offered a function here, and so holds the talk.
        actions: What is done on entering and leaving it, as its type and what goes with it.
        stays: The functions that lead nowhere else, tools among them.
        tools: Those of them that `flows/tools.yaml` declares.
    """

    name: str
    initial: bool
    final: bool
    model: bool
    actions: tuple[str, ...]
    stays: tuple[str, ...]
    tools: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """One way from a node to another.

    Parameters:
        source: The node it leaves.
        target: The node it enters; the same for a loop.
        function: The function that is taken.
        case: The result by which this way is chosen, or None where there is one way only.
        by: What takes the function.
    """

    source: str
    target: str
    function: str
    case: str | None
    by: TakenBy


@dataclass(frozen=True)
class Graph:
    """A flow, in the order of its YAML."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def load_graph(handlers: ModuleType) -> Graph:
    """The graph of `flows/sonora.yaml`.

    Args:
        handlers: What its functions and actions do, by their names.

    Raises:
        SettingsError: The flow cannot be read, or names what its handlers lack.
    """
    config = load_flow_config()
    try:
        return read_graph(Flow(config, handlers=handlers))
    except FlowError as error:
        raise as_flow_error(error) from None


def read_graph(flow: Flow) -> Graph:
    """The graph of `flow`. A global function leaves from every node."""
    nodes: list[Node] = []
    edges: list[Edge] = []
    shared = cast(list[FlowsFunctionSchema], flow.global_functions)
    for name, node in flow.config.nodes.items():
        own = cast(list[FlowsFunctionSchema], flow.node(name).get("functions", []))
        taken_by = {schema.name: _taken_by(schema) for schema in (*own, *shared)}
        functions = (*node.functions, *flow.config.global_functions)
        edges += [
            Edge(name, target, function.name, case, taken_by[function.name])
            for function in functions
            for case, target in _ways(function)
        ]
        actions = (*node.pre_actions, *node.post_actions)
        nodes.append(
            Node(
                name=name,
                initial=name == flow.config.initial_node,
                final=not any(set(function.targets()) - {name} for function in functions),
                model=TakenBy.MODEL in taken_by.values(),
                actions=tuple(_told(action) for action in actions),
                stays=tuple(function.name for function in functions if not function.targets()),
            )
        )
    return Graph(tuple(nodes), tuple(edges))


def with_tools(graph: Graph, tools: Mapping[str, Sequence[str]]) -> Graph:
    """The graph with the tools that are offered in each node.

    Args:
        graph: The flow.
        tools: Their names, by the name of the node.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        if own := tuple(tools.get(node.name, ())):
            node = replace(node, stays=(*node.stays, *own), tools=own, model=True)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def as_json(graph: Graph) -> str:
    """The graph as JSON: `nodes` and `edges`, each with the fields of its class."""
    data = {
        "nodes": [vars(node) for node in graph.nodes],
        "edges": [{"from": edge.source, "to": edge.target, **_why(edge)} for edge in graph.edges],
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def as_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid state diagram. The tools of a node stand in a note beside it."""
    ids = {node.name: _mermaid_id(node.name, index) for index, node in enumerate(graph.nodes)}
    lines = ["stateDiagram-v2", "    direction TB"]
    for node in graph.nodes:
        if ids[node.name] != node.name:
            lines.append(f'    state "{_mermaid_text(node.name)}" as {ids[node.name]}')
    lines += [f"    [*] --> {ids[node.name]}" for node in graph.nodes if node.initial]
    for edge in graph.edges:
        label = edge.function if edge.case is None else f"{edge.function} [{edge.case}]"
        by = f" {EVENT_ONLY}" if edge.by is TakenBy.EVENT else ""
        lines.append(f"    {ids[edge.source]} --> {ids[edge.target]}: {_mermaid_text(label)}{by}")
    lines += [f"    {ids[node.name]} --> [*]" for node in graph.nodes if node.final]
    for node in graph.nodes:
        if node.tools:
            lines.append(f"    note right of {ids[node.name]}")
            lines += [f"        {_mermaid_text(name)}" for name in node.tools]
            lines.append("    end note")
    return "\n".join(lines) + "\n"


def _taken_by(schema: FlowsFunctionSchema) -> TakenBy:
    event_only = schema.description.rstrip().endswith(EVENT_ONLY)
    return TakenBy.EVENT if event_only else TakenBy.MODEL


def _ways(function: FlowConfig.Function) -> Iterator[tuple[str | None, str]]:
    branch = function.transition_to
    if isinstance(branch, str):
        yield None, branch
    elif branch is not None:
        yield from branch.cases.items()
        if branch.default is not None:
            yield OTHERWISE, branch.default


def _told(action: FlowConfig.Action) -> str:
    details = [str(value) for key, value in action.extras().items() if key != "text"]
    return " ".join((action.type, *details))


def _why(edge: Edge) -> dict[str, Any]:
    return {"function": edge.function, "case": edge.case, "by": edge.by.value}


# Words that Mermaid's state diagrams keep for themselves.
_MERMAID_WORDS = frozenset(
    {"state", "note", "end", "direction", "class", "click", "default", "style", "as", "fork"}
    | {"join", "choice", "hide", "scale", "href"}
)


def _mermaid_id(name: str, index: int) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return name if plain and name.lower() not in _MERMAID_WORDS else f"node_{index}"


def _mermaid_text(text: str) -> str:
    # These would end a label, and Mermaid does not show its own escapes for them in states.
    return re.sub(r'[";:#<>{}%]', " ", text)

"""The flow as text for a terminal: each node with the ways out of it."""

from itertools import groupby

from rich.text import Text

from sonora_app.flow.picture.diagram import Edge, Graph, TakenBy

_NODE = "bold cyan"
_BY = {TakenBy.EVENT: "yellow", TakenBy.MODEL: "magenta"}


def as_text(graph: Graph, *, starts: str, ends: str, legend: str) -> Text:
    """The graph, node by node, in the order of its YAML.

    Args:
        graph: The flow.
        starts: What to say of the node where a call starts.
        ends: What to say of one where it ends.
        legend: What explains the marks: ● an event takes it, ◆ the model, ↺ it leads nowhere else.
    """
    text = Text()
    width = max((len(edge.function) for edge in graph.edges), default=0)
    for node in graph.nodes:
        text.append(node.name, style=_NODE)
        if remark := starts if node.initial else ends if node.final else "":
            text.append(f"  {remark}", style="dim")
        text.append("\n")
        ways = [edge for edge in graph.edges if edge.source == node.name]
        taken = [list(group) for _, group in groupby(ways, key=lambda edge: edge.function)]
        last = len(taken) + len(node.stays) - 1
        for index, edges in enumerate(taken):
            _append_ways(text, edges, width, last=index == last)
        for index, name in enumerate(node.stays, start=len(taken)):
            text.append("└─ " if index == last else "├─ ", style="dim").append(f"↺ {name}\n")
        text.append("\n")
    return text.append(legend, style="dim")


def _append_ways(text: Text, ways: list[Edge], width: int, *, last: bool) -> None:
    """One function, and where it leads: by its result where that decides."""
    first = ways[0]
    text.append("└─ " if last else "├─ ", style="dim")
    text.append("● " if first.by is TakenBy.EVENT else "◆ ", style=_BY[first.by])
    text.append(f"{first.function:{width}}")
    for index, way in enumerate(ways):
        if index:
            text.append("   " if last else "│  ", style="dim").append(" " * (width + 2))
        text.append("  → ", style="dim").append(way.target, style=_NODE)
        if way.case is not None:
            text.append(f"  [{way.case}]", style="dim")
        text.append("\n")

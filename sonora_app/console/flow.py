"""The flow that is running, laid out for the console to draw."""

from collections.abc import Iterable
from typing import Any

from sonora_app.flow.driver import FLOW_FILE
from sonora_app.flow.picture.diagram import Edge, Graph
from sonora_app.flow.picture.layout import MODEL_TALKS, Box, Line, lay_out
from sonora_app.flow.picture.svg import label_places, path_data
from sonora_app.flow.told import Told
from sonora_app.settings import Language
from sonora_app.storage.records import JsonObject
from sonora_app.wording.translation import in_language

EDITOR = "https://flows.pipecat.ai"
"""Where the YAML can be opened, seen and changed."""


def flow_data(graph: Graph, told: Iterable[Told], language: Language) -> JsonObject:
    """The flow for the page: its YAML, its picture, and what the model is told.

    Args:
        graph: The flow.
        told: What the model is told at each node.
        language: Of the few words in the picture that are not the YAML's.
    """
    layout = lay_out(graph, model_talks=in_language(MODEL_TALKS, language))
    return {
        "yaml": FLOW_FILE.read_text("utf-8"),
        "editor": EDITOR,
        "nodes": [_told(each, graph) for each in told],
        "drawing": {
            # The picture of `sonora flow` has a legend below; the page has its own.
            "width": layout.width,
            "height": layout.height,
            "boxes": [_box(box) for box in layout.boxes],
            "lines": [_line(line) for line in layout.lines],
        },
    }


def _told(told: Told, graph: Graph) -> dict[str, Any]:
    tools = next((node.tools for node in graph.nodes if node.name == told.node), ())
    functions = [
        {
            "name": each.name,
            "description": each.description,
            "by": "event" if each.by_event else "model",
            "arguments": list(each.arguments),
        }
        for each in told.functions
    ]
    functions += [
        {"name": name, "description": "", "by": "model", "arguments": []} for name in tools
    ]
    return {"name": told.node, "role": told.role, "tasks": told.tasks, "functions": functions}


def _box(box: Box) -> dict[str, Any]:
    return {
        "name": box.node.name,
        "x": box.x,
        "y": box.y,
        "width": box.width,
        "height": box.height,
        "subtitle": box.subtitle,
        "model": box.node.model,
        "initial": box.node.initial,
        "final": box.node.final,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "path": path_data(line),
        "by": line.by.value,
        "arrow": line.arrow,
        "edges": [_edge(edge) for edge in line.label.edges],
        "labels": [
            {"x": x, "y": y, "anchor": line.label.anchor, "name": name, "case": case}
            for x, y, name, case in label_places(line.label)
        ],
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "from": edge.source,
        "to": edge.target,
        "function": edge.function,
        "case": edge.case,
    }

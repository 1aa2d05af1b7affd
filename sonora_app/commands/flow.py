"""`sonora flow`: the flow as a diagram."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sonora_app.commands.output import deliver, waiting


class DiagramFormat(StrEnum):
    """What `sonora flow` writes."""

    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


def flow(
    diagram_format: Annotated[
        DiagramFormat, typer.Option("--format", help="What to write.")
    ] = DiagramFormat.MERMAID,
    json_output: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; stdout if not given.")
    ] = None,
) -> None:
    """Draw the flow, as text or as a picture."""
    with waiting("Reading the flow"):
        from sonora_app.flow_diagram import as_json, as_mermaid, load_graph
        from sonora_app.flow_svg import as_svg

        graph = load_graph()
    if json_output or diagram_format is DiagramFormat.JSON:
        text = as_json(graph)
    elif diagram_format is DiagramFormat.SVG:
        text = as_svg(graph)
    else:
        text = as_mermaid(graph)
    deliver(text, output)

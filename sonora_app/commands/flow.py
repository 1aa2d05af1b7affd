"""`sonora flow`: the flow, for a terminal or as a diagram."""

from enum import StrEnum
from typing import Annotated

import typer

from sonora_app.commands.options import FormatJson, OutputFile
from sonora_app.commands.output import console, deliver, waiting
from sonora_app.wording.translation import say


class DiagramFormat(StrEnum):
    """What `sonora flow` writes."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


def flow(
    diagram_format: Annotated[
        DiagramFormat, typer.Option("--format", help=say("What to write."))
    ] = DiagramFormat.TEXT,
    json_output: FormatJson = False,
    output: OutputFile = None,
) -> None:
    """Draw the flow: for a terminal, or as a diagram."""
    with waiting(say("Reading the flow")):
        from sonora_app.flow.check import check_flows

        check_flows()
        from flows import handlers
        from sonora_app.flow.picture.diagram import as_json, as_mermaid, load_graph, with_tools
        from sonora_app.flow.picture.svg import as_svg
        from sonora_app.flow.text import as_text
        from sonora_app.settings import load_settings
        from sonora_app.tools.declared import tools_of_nodes

        graph = with_tools(load_graph(handlers), tools_of_nodes(load_settings()))
    if json_output or diagram_format is DiagramFormat.JSON:
        text = as_json(graph)
    elif diagram_format is DiagramFormat.SVG:
        text = as_svg(graph)
    elif diagram_format is DiagramFormat.MERMAID:
        text = as_mermaid(graph)
    else:
        drawn = as_text(
            graph,
            starts=say("a call starts here"),
            ends=say("the call ends here"),
            legend=say("● an event takes it   ◆ the model takes it   ↺ leads nowhere else"),
        )
        if output is None:
            console().print(drawn, soft_wrap=True)
            return
        text = drawn.plain
    deliver(text, output)

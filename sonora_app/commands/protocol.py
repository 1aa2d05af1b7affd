"""`sonora protocol`: the page's messages, as types for a front end."""

from enum import StrEnum
from typing import Annotated

import typer

from sonora_app.commands.options import FormatJson, OutputFile
from sonora_app.commands.output import deliver
from sonora_app.wording.translation import say


class TypesFormat(StrEnum):
    """What `sonora protocol` writes."""

    TYPESCRIPT = "typescript"
    JSON = "json"


def protocol(
    types_format: Annotated[
        TypesFormat, typer.Option("--format", help=say("TypeScript types, or JSON Schema."))
    ] = TypesFormat.TYPESCRIPT,
    json_output: FormatJson = False,
    output: OutputFile = None,
) -> None:
    """Write the types of the page's messages, for a front end."""
    from sonora_app.page.protocol_types import as_json, as_typescript

    as_schema = json_output or types_format is TypesFormat.JSON
    deliver(as_json() if as_schema else as_typescript(), output)

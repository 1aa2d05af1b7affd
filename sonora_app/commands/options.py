"""The options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from sonora_app.wording.translation import say

AsJson = Annotated[bool, typer.Option("--json", help=say("Print JSON."))]
FormatJson = Annotated[bool, typer.Option("--json", help=say("The same as --format json."))]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help=say("The file to write; stdout if not given.")),
]

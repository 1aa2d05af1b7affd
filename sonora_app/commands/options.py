"""The options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from sonora_app.wording.translation import say

AsJson = Annotated[bool, typer.Option("--json", help=say("Print JSON."))]
FormatJson = Annotated[bool, typer.Option("--json", help=say("The same as --format json."))]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask."))]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help=say("The file to write; stdout if not given.")),
]


def user_id(text: str) -> str:
    """The person that an argument or an option names; refuses one that names nobody."""
    if not text.strip():
        raise typer.BadParameter(say("Say whose: the id that their conversations have."))
    return text


def named_path(name: str) -> Path:
    """The path that an argument names; an empty one would be the working folder, with all in it."""
    if not name.strip():
        raise typer.BadParameter(say("Name a file, a folder or an id: this one is empty."))
    return Path(name)


User = Annotated[
    str,
    typer.Argument(
        metavar="USER", parser=user_id, help=say("The person, by the id that conversations have.")
    ),
]

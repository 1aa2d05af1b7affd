"""`sonora settings`: every setting with its default, as a page or as a file to copy to `.env`."""

from enum import StrEnum
from typing import Annotated

import typer

from sonora_app.commands.options import OutputFile
from sonora_app.commands.output import deliver
from sonora_app.wording.translation import say


class SettingsFormat(StrEnum):
    """What `sonora settings` writes."""

    MARKDOWN = "markdown"
    ENV = "env"


def settings(
    settings_format: Annotated[
        SettingsFormat, typer.Option("--format", help=say("A page, or a file to copy to .env."))
    ] = SettingsFormat.MARKDOWN,
    output: OutputFile = None,
) -> None:
    """Write down every setting, with its default."""
    from sonora_app.settings.reference import as_env, as_markdown

    deliver(as_env() if settings_format is SettingsFormat.ENV else as_markdown(), output)

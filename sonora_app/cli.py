"""The `sonora` command."""

import os
import sys
from io import TextIOWrapper

import typer

from sonora_app.commands import (
    calls,
    conversations,
    doctor,
    flow,
    knowledge,
    memories,
    models,
    protocol,
    settings,
    sync,
    users,
)
from sonora_app.commands.output import SonoraGroup
from sonora_app.commands.welcome import welcome
from sonora_app.wording.translation import say

app = typer.Typer(
    name="sonora",
    cls=SonoraGroup,
    invoke_without_command=True,
    callback=welcome,
    # Help and usage errors in plain lines, which a narrow terminal or a pipe does not break up.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=say("Look after the Sonora voice agent: check it, see its flow, read what was said."),
)
app.add_typer(conversations.app, name="conversations")
app.add_typer(calls.app, name="calls")
app.add_typer(memories.app, name="memories")
app.add_typer(users.app, name="users")
app.add_typer(sync.app, name="sync")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(models.app, name="models")
app.command(help=say("Check what a call needs, and say what to do. Exits with 1 on a problem."))(
    doctor.doctor
)
app.command(help=say("Draw the flow: for a terminal, or as a diagram."))(flow.flow)
app.command(help=say("Write the types of the page's messages, for a front end."))(protocol.protocol)
app.command(help=say("Write down every setting, with its default."))(settings.settings)


def main() -> None:
    """Run the command that `sys.argv` names, and exit with 0, 1 (failed) or 2 (bad input)."""
    from loguru import logger

    # What people say goes out whole, whatever the terminal's locale is.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    # Before the settings are read: whoever types a command is on their own machine.
    os.environ.setdefault("ENV", "local")
    logger.remove()
    logger.add(sys.stderr, level="WARNING", diagnose=False, backtrace=False)
    app(prog_name="sonora")


if __name__ == "__main__":
    main()

"""What Typer says by itself of the commands, in the user's language: help, and wrong usage.

Typer puts its sentences together in English and has no place for others, so they are known by their
form. One that is not known is shown as it is.
"""

import re
from typing import Any

import typer

from sonora_app.wording.translation import in_spanish, is_spanish, say, worded

_KNOWN = (
    # Help
    worded("[OPTIONS] COMMAND [ARGS]..."),
    worded("[OPTIONS] {more}"),
    worded("[OPTIONS]"),
    worded("Arguments"),
    worded("Options"),
    worded("Commands"),
    worded("Install completion for the current shell."),
    worded("Show completion for the current shell, to copy it or customize the installation."),
    worded("Show this message and exit."),
    worded("[default: {value}; required]"),
    worded("[default: {value}]"),
    worded("[required]"),
    # Wrong usage
    worded("No such command {name}. Did you mean {others}?"),
    worded("No such command {name}."),
    worded("Missing command."),
    worded("No such option: {name} (Possible options: {others})"),
    worded("No such option: {name}"),
    worded("Option {name} requires an argument."),
    worded("Option {name} does not take a value."),
    worded("Got unexpected extra argument(s) ({given})"),
    worded("Missing argument {name}. Choose from:{others}"),
    worded("Missing argument {name}."),
    worded("Missing option {name}. Choose from:{others}"),
    worded("Missing option {name}."),
    worded("Invalid value for {name}: {why}"),
    worded("Invalid value: {why}"),
    # Why a value is invalid, in Typer's words and in Pydantic's
    worded("Value error, {why}"),
    worded("{given} is not one of {others}."),
    worded("Input should be a valid integer, unable to parse string as an integer"),
    worded("Input should be a valid number, unable to parse string as a number"),
    worded("Input should be greater than or equal to {least}"),
    worded("Input should be less than or equal to {most}"),
    worded("file {name} does not exist."),
    worded("file {name} is a directory."),
)

_PYDANTIC_SAYS = "Value error, "
"""Comes before what a check of a value says, and tells the user nothing."""


def _form(template: str) -> re.Pattern[str]:
    """Finds what is made of a template, with its values."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(template)), re.DOTALL)


_FORMS = tuple((each.template, _form(each.template)) for each in _KNOWN)

# Typer has it under no public name.
_HelpFormatter: Any = typer.Context.formatter_class


class _Formatter(_HelpFormatter):
    """Writes help in the user's language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        super().write_usage(prog, in_users_words(args), prefix or f"{say('Usage')}: ")

    def write_heading(self, heading: str) -> None:
        """Write what the next lines are."""
        super().write_heading(in_users_words(heading))

    def write_dl(self, rows: list[tuple[str, str]], **layout: int) -> None:
        """Write arguments, options or commands, each with what it does."""
        # Two spaces keep what is known of a value from what it is for.
        told = [(name, "  ".join(map(in_users_words, does.split("  ")))) for name, does in rows]
        super().write_dl(told, **layout)


class UsageContext(typer.Context):
    """The context of a command that is helped with in the user's language."""

    formatter_class = _Formatter


def in_users_words(text: str) -> str:
    """A sentence of Typer's in the user's language; as it is, where it is not known."""
    if is_spanish():
        for template, form in _FORMS:
            if made := form.fullmatch(text):
                values = {name: in_users_words(each) for name, each in made.groupdict().items()}
                return in_spanish(worded(template, **values))
    return text.replace(_PYDANTIC_SAYS, "")


def wrong_usage(error: typer.TyperException) -> str:
    """What is wrong with what was typed, and how it is typed, in the user's language."""
    told = in_users_words(error.format_message())
    problem = say("Error: {told}", told=told)
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is None:
        return problem
    usage = context.get_usage()
    if told.startswith(usage):
        return told  # nothing was asked for, so this is the help
    asking = f"{context.command_path} {context.help_option_names[0]}"
    hint = say("Try '{command}' for help.", command=asking)
    return f"{usage}\n{hint}\n\n{problem}"

"""`sonora doctor`: checks that everything a call needs is there."""

import asyncio
from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from sonora_app.commands.options import AsJson
from sonora_app.commands.output import FAILED, console, plain, print_json, waiting
from sonora_app.doctor.checks import Check, CheckState, run_checks
from sonora_app.wording.translation import say

_STYLES = {CheckState.OK: "green", CheckState.NOTE: "yellow", CheckState.PROBLEM: "bold red"}


def doctor(
    json_output: AsJson = False,
) -> None:
    """Check what a call needs, and say what to do. Exits with 1 on a problem."""
    with waiting(say("Checking")):
        checks = asyncio.run(run_checks())
    sound = all(check.state is not CheckState.PROBLEM for check in checks)
    if json_output:
        print_json({"ok": sound, "checks": [asdict(check) for check in checks]})
    else:
        console().print(_table(checks))
    if not sound:
        raise typer.Exit(FAILED)


def _table(checks: list[Check]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(say("Check"), no_wrap=True)
    table.add_column(say("State"), no_wrap=True)
    table.add_column(say("Found"), overflow="fold")
    table.add_column(say("What to do"), overflow="fold")
    for check in checks:
        state = Text(say(check.state.value), style=_STYLES[check.state])
        found, advice = Text(plain(say(check.found))), Text(plain(say(check.advice)))
        table.add_row(say(check.name), state, found, advice)
    return table

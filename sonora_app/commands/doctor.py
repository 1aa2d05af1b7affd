"""`sonora doctor`: checks that everything a call needs is there."""

import asyncio
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from sonora_app.commands.options import AsJson
from sonora_app.commands.output import FAILED, console, plain, print_json, waiting
from sonora_app.doctor.capacity import TARGET, Tried, advised, try_calls
from sonora_app.doctor.checks import Check, CheckState, run_checks
from sonora_app.wording.translation import say

_STYLES = {CheckState.OK: "green", CheckState.NOTE: "yellow", CheckState.PROBLEM: "bold red"}


def doctor(
    json_output: AsJson = False,
    calls: Annotated[
        bool,
        typer.Option(
            "--calls",
            help=say("Hold more and more calls in rehearsal, and say how many this machine takes."),
        ),
    ] = False,
) -> None:
    """Check what a call needs, and say what to do. Exits with 1 on a problem."""
    if calls:
        _try_calls(json_output)
        return
    with waiting(say("Checking")):
        checks = asyncio.run(run_checks())
    sound = all(check.state is not CheckState.PROBLEM for check in checks)
    if json_output:
        print_json({"ok": sound, "checks": [asdict(check) for check in checks]})
    else:
        console().print(_table(checks))
    if not sound:
        raise typer.Exit(FAILED)


def _try_calls(json_output: bool) -> None:
    """Measure how many calls the machine holds, and print the setting to write."""
    with waiting(say("Holding calls, for up to two minutes")):
        tried = asyncio.run(_all_tried())
    most = advised(tried)
    if json_output:
        print_json({"max_calls": most, "target": TARGET, "tried": [asdict(step) for step in tried]})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(say("Calls at a time"), justify="right")
    table.add_column(say("Slow answers, ms"), justify="right")
    table.add_column(say("To one call's"), justify="right")
    table.add_column(say("Unanswered"), justify="right")
    for step in tried:
        cells = (str(step.calls), f"{step.p95_ms:.0f}", f"{step.ratio:.2f}", str(step.unanswered))
        table.add_row(*cells, style="" if step.holds else "bold red")
    console().print(table)
    console().print(say("Set SONORA_MAX_CALLS={calls}.", calls=most))


async def _all_tried() -> list[Tried]:
    async with aclosing(try_calls()) as steps:
        return [step async for step in steps]


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

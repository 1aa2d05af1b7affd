"""`sonora calls`: the report of a call, and the figures of many."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from sonora_app.commands.figures import figures_data, figures_table, figures_wanted
from sonora_app.commands.listing import BegunSince, BegunUntil
from sonora_app.commands.naming import NEWEST, CallId, named_call, whole_id
from sonora_app.commands.options import AsJson, OutputFile
from sonora_app.commands.output import SonoraGroup, console, deliver, print_json, waiting
from sonora_app.commands.stores import opened, warn_partial
from sonora_app.errors import NotFoundError
from sonora_app.reports.report import CallReport, report_of, schema_text
from sonora_app.settings import load_settings
from sonora_app.storage.figures import Figures, GroupedBy
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.merged_calls import known_call, newest_calls
from sonora_app.storage.merged_reads import read_figures, read_transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.wording.translation import say, worded

app = typer.Typer(
    cls=SonoraGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=say("Report on calls: how they went, and what they cost."),
)


@app.command(help=say("Write the report of a call, as JSON."))
def report(
    name: CallId,
    without_words: Annotated[
        bool, typer.Option("--without-words", help=say("Leave out what was said."))
    ] = False,
    output: OutputFile = None,
) -> None:
    """Write the report of a call, as JSON."""

    async def reading() -> CallReport:
        async with opened(load_settings(), read_only=True) as (journal, api):
            return await _report(journal, api, name, with_words=not without_words)

    with waiting(say("Reading")):
        written = asyncio.run(reading())
    deliver(written.model_dump_json(indent=2), output)


@app.command(help=say("Add up many calls: how they ended, how long answers took, what they cost."))
def figures(
    by: Annotated[
        GroupedBy, typer.Option("--by", help=say("What calls are put together by."))
    ] = GroupedBy.DAY,
    since: BegunSince = None,
    until: BegunUntil = None,
    json_output: AsJson = False,
) -> None:
    """Add up many calls: how they ended, how long answers took, what they cost."""

    async def reading() -> Figures:
        async with opened(load_settings(), read_only=True) as (journal, api):
            wanted = figures_wanted(by, since, until)
            return await read_figures(journal, api, wanted, on_partial=warn_partial)

    with waiting(say("Reading")):
        added = asyncio.run(reading())
    if json_output:
        print_json(figures_data(added, by))
    elif added.groups:
        console().print(figures_table(added))
    else:
        typer.echo(say("No calls."))


@app.command(help=say("Write the form of a report, as JSON Schema."))
def schema(output: OutputFile = None) -> None:
    """Write the form of a report, as JSON Schema."""
    deliver(schema_text(), output)


async def _report(
    journal: Journal | None, api: SupabaseApi | None, name: str, *, with_words: bool
) -> CallReport:
    session_id, conversation_id = await _find(journal, api, name)
    transcript = await read_transcript(journal, api, conversation_id, on_partial=warn_partial)
    sessions = transcript.sessions if transcript else ()
    session = next((each for each in sessions if each.id == session_id), None)
    if transcript is None or session is None:
        raise _no_such_call(name)
    return report_of(transcript, session, with_words=with_words)


async def _find(journal: Journal | None, api: SupabaseApi | None, name: str) -> tuple[UUID, UUID]:
    """The call that a name means, and its conversation."""
    if (session_id := whole_id(name)) is not None:
        call = await known_call(journal, api, session_id, on_partial=warn_partial)
        if call is not None:
            return call.id, call.conversation_id
    newest = await newest_calls(journal, api, NEWEST, on_partial=warn_partial)
    call = named_call(newest, name)
    if call is None:
        raise _no_such_call(name)
    return call.id, call.conversation_id


def _no_such_call(name: str) -> NotFoundError:
    return NotFoundError(
        worded("There is no call {id}.", id=name),
        hint=worded(
            "`uv run sonora conversations list` shows conversations: name one for its last call."
        ),
    )

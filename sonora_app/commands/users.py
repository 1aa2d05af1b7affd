"""`sonora users`: the erasure of all there is of a person."""

import asyncio

import typer
from rich.table import Table

from sonora_app.commands.options import AsJson, User, Yes
from sonora_app.commands.output import SonoraGroup, confirm, console, plain, print_json, waiting
from sonora_app.commands.stores import removable
from sonora_app.errors import NotFoundError, StorageError
from sonora_app.settings import Settings, load_settings
from sonora_app.storage import person_erasure
from sonora_app.storage.person_erasure import Places, Receipt
from sonora_app.storage.removal import Stores
from sonora_app.wording.translation import say, worded

_SUPABASE_SECS = 60.0
"""How long Supabase may take: it deletes all of a person in one request."""

app = typer.Typer(
    cls=SonoraGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=say("Erase all there is of a person, here and in Supabase."),
)


@app.callback()
def users() -> None:
    """Erase all there is of a person, here and in Supabase."""


@app.command(
    help=say(
        "Erase a person for good: conversations, summaries, facts, documents, and what waits to be "
        "shipped. Their calls are ended first."
    )
)
def erase(
    user: User,
    yes: Yes = False,
    json_output: AsJson = False,
) -> None:
    """Erase a person for good. Their calls are ended first."""
    receipt = asyncio.run(_erase(load_settings(), user, yes=yes))
    if json_output:
        print_json({"erased": user, "calls_ended": receipt.calls_ended, "places": receipt.places})
    else:
        console().print(_table(receipt.places))
        typer.echo(say("Erased. Calls ended: {count}.", count=receipt.calls_ended))


async def _erase(settings: Settings, user: str, *, yes: bool) -> Receipt:
    patient = settings.model_copy(
        update={"supabase_timeout_secs": max(settings.supabase_timeout_secs, _SUPABASE_SECS)}
    )
    async with removable(patient) as stores:
        with waiting(say("Reading")):
            places = await person_erasure.count(stores, user)
            documents = await _documents(settings, user, stores, remove=False)
        if not any(places.values()) and not documents:
            raise NotFoundError(
                worded("There is nothing of {user}.", user=plain(user)),
                hint=worded(
                    "`uv run sonora conversations list` shows whose conversations there are."
                ),
            )
        if not yes:
            _confirm(user, stores, places)
        with waiting(say("Erasing")):
            receipt = await person_erasure.erase(stores, user)
        try:
            documents = await _documents(settings, user, stores, remove=True)
        except StorageError as error:
            raise StorageError(
                worded(
                    "{problem} All else of this person is erased; their documents may be left.",
                    problem=error.message,
                ),
                hint=error.hint,
            ) from None
    joined = {
        place: {**receipt.places.get(place, {}), **documents.get(place, {})}
        for place in {**receipt.places, **documents}
    }
    return Receipt(receipt.calls_ended, joined)


async def _documents(settings: Settings, user: str, stores: Stores, *, remove: bool) -> Places:
    """How many documents are a person's, or were and are removed."""
    if stores.api is None and not settings.knowledge_path.exists():
        return {}
    from sonora_app.knowledge.removal import documents_of

    return await documents_of(settings, user, stores.api, remove=remove)


def _confirm(user: str, stores: Stores, places: Places) -> None:
    conversations = max(counts.get("conversations", 0) for counts in places.values())
    facts = max(counts.get("memories", 0) for counts in places.values())
    question = say(
        "Erase all there is of {user}? Conversations: {conversations}. Facts: {facts}.",
        user=plain(user),
        conversations=conversations,
        facts=facts,
    )
    where = say("Here and in Supabase.") if stores.api else say("From the journal.")
    confirm(f"{question} {where} {say('It cannot be brought back.')}")


def _table(places: Places) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(say("Where"))
    table.add_column(say("Table"))
    table.add_column(say("Rows"), justify="right")
    for place, counts in places.items():
        for name, number in counts.items():
            table.add_row(place, name, str(number))
    return table

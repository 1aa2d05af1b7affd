"""`sonora knowledge push`: the documents brought to Supabase."""

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from sonora_app.commands.knowledge_data import document_data
from sonora_app.commands.options import AsJson
from sonora_app.commands.output import print_json
from sonora_app.commands.progress import progress_bar
from sonora_app.settings import KnowledgeIn, Settings, load_settings
from sonora_app.wording.translation import say

if TYPE_CHECKING:
    from sonora_app.knowledge.supabase.pushing import Pushed

_PUSH_SECS = 60.0
"""How long Supabase may take for one batch of passages."""


def push(
    remove_missing: Annotated[
        bool,
        typer.Option(
            "--remove-missing", help=say("Remove there what this index does not have, of any user.")
        ),
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Bring the documents to Supabase. What broke off goes on where it was."""
    settings = load_settings()
    patient = settings.model_copy(
        update={"supabase_timeout_secs": max(settings.supabase_timeout_secs, _PUSH_SECS)}
    )
    pushed = asyncio.run(_push(patient, remove_missing=remove_missing))
    if json_output:
        print_json(
            {
                "pushed": [document_data(document) for document in pushed.pushed],
                "unchanged": pushed.unchanged,
                "removed": pushed.removed,
            }
        )
        return
    typer.echo(
        say(
            "Pushed: {pushed}. Unchanged: {unchanged}. Removed: {removed}.",
            pushed=len(pushed.pushed),
            unchanged=pushed.unchanged,
            removed=pushed.removed,
        )
    )
    if settings.knowledge is not KnowledgeIn.SUPABASE:
        typer.echo(say("Calls search there with SONORA_KNOWLEDGE=supabase."))


async def _push(settings: Settings, *, remove_missing: bool) -> "Pushed":
    from sonora_app.knowledge.index import Index
    from sonora_app.knowledge.supabase.project import KnowledgeProject
    from sonora_app.knowledge.supabase.pushing import Progress as Told
    from sonora_app.knowledge.supabase.pushing import push
    from sonora_app.storage.supabase.api import SupabaseApi

    api = await SupabaseApi.connect(settings)
    try:
        with closing(Index(settings.knowledge_path)) as index, progress_bar() as bar:
            told = Told(
                document=lambda document, number, count: bar.begin(document.title, number, count),
                passages=bar.reached,
            )
            project = KnowledgeProject(api)
            return await push(index, project, remove_missing=remove_missing, progress=told)
    finally:
        await api.aclose()

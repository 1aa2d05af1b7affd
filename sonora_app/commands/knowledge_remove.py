"""`sonora knowledge remove`: documents taken out of the index, by id or by where they came from."""

from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from sonora_app.commands.knowledge_data import document_data
from sonora_app.commands.options import AsJson, Yes, named_path, user_id
from sonora_app.commands.output import confirm, plain, print_json
from sonora_app.errors import NotFoundError
from sonora_app.knowledge.records import Document
from sonora_app.settings import load_settings
from sonora_app.wording.translation import say, worded


def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="ID|PATH…", help=say("Ids, files, or folders that they came from.")),
    ],
    user: Annotated[
        str | None,
        typer.Option(
            "--user", parser=user_id, help=say("Only this user's; everybody's too if not given.")
        ),
    ] = None,
    yes: Yes = False,
    json_output: AsJson = False,
) -> None:
    """Remove documents. Asks before a file or a folder takes documents of single users along."""
    from sonora_app.knowledge.index import Index

    with closing(Index(load_settings().knowledge_path)) as index:
        documents = [each for each in index.documents() if user in (None, each.user_id)]
        chosen = {document.id: document for name in names for document in _named(name, documents)}
        unnamed = [each for each in chosen.values() if str(each.id) not in names]
        if user is None and not yes:
            _ask_about(unnamed, len(chosen))
        index.remove(chosen)
    if json_output:
        print_json([document_data(document) for document in chosen.values()])
    else:
        typer.echo(say("Removed: {count}.", count=len(chosen)))


def _named(name: str, documents: Iterable[Document]) -> list[Document]:
    """The documents of this id, or that came from this file or folder.

    Raises:
        NotFoundError: There is none.
    """
    place = named_path(name).resolve()
    found = [
        each
        for each in documents
        if str(each.id) == name or Path(each.source) == place or place in Path(each.source).parents
    ]
    if not found:
        raise NotFoundError(
            worded("There is no document {id}.", id=plain(name)),
            hint=worded("`uv run sonora knowledge list` shows them."),
        )
    return found


def _ask_about(unnamed: Collection[Document], count: int) -> None:
    """Ask where a path means documents of single users, which whoever names it may not think of.

    Raises:
        typer.Exit: They are to stay.
    """
    users = dict.fromkeys(plain(each.user_id) for each in unnamed if each.user_id)
    if users:
        confirm(
            say(
                "Documents to remove: {count}, also those of {users} alone. Go on?",
                count=count,
                users=", ".join(users),
            )
        )

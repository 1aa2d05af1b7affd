"""`sonora knowledge`: the documents that the bot answers from."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from sonora_app.commands import knowledge_push, knowledge_remove
from sonora_app.commands.knowledge_data import document_data, findings_data
from sonora_app.commands.options import AsJson, named_path, user_id
from sonora_app.commands.output import FAILED, SonoraGroup, console, plain, print_json, waiting
from sonora_app.commands.progress import progress_bar
from sonora_app.commands.readable import local_time
from sonora_app.knowledge.records import Findings
from sonora_app.settings import Settings, load_settings
from sonora_app.wording.translation import say

if TYPE_CHECKING:
    from sonora_app.knowledge.adding import AddedFile
    from sonora_app.knowledge.adding import Progress as Told
    from sonora_app.knowledge.index import Index
    from sonora_app.knowledge.records import Document

app = typer.Typer(
    cls=SonoraGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=say("Look after the documents that the bot answers from."),
)


User = Annotated[
    str | None,
    typer.Option("--user", parser=user_id, help=say("Whose documents; everybody's if not given.")),
]


@app.command(help=say("Add files and folders: Markdown, text, HTML, PDF, Word."))
def add(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", parser=named_path, help=say("Files and folders.")),
    ],
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            parser=user_id,
            help=say("Only this user's calls find them; else everybody's do."),
        ),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Add files. One that is unchanged is skipped. Exits with 1 when one, or none, can be read."""
    from sonora_app.knowledge.adding import Outcome, add_files, without_file
    from sonora_app.knowledge.embedding import LocalEmbedder

    with _index(load_settings()) as index, _progress() as progress:
        added = add_files(index, paths, LocalEmbedder(), user_id=user, progress=progress)
        gone = without_file(index, paths, user)
    unreadable = [each for each in added if each.outcome is Outcome.UNREADABLE]
    if json_output:
        print_json(
            [
                {
                    "file": str(each.path),
                    "outcome": each.outcome,
                    "reason": each.reason or None,
                    "document": document_data(each.document) if each.document else None,
                }
                for each in added
            ]
        )
    else:
        _tell_of(added, gone)
    if unreadable or not added:
        raise typer.Exit(FAILED)


def _tell_of(added: "list[AddedFile]", gone: "list[Document]") -> None:
    """What became of the files, and which documents are as they no longer are in a file."""
    from sonora_app.knowledge.adding import Outcome

    unreadable = [each for each in added if each.outcome is Outcome.UNREADABLE]
    for each in unreadable:
        typer.echo(
            say(
                "{file} cannot be read: {reason}.",
                file=plain(str(each.path)),
                reason=say(each.reason),
            ),
            err=True,
        )
    for document in (*(each.document for each in unreadable if each.document), *gone):
        typer.echo(
            say(
                "Still found as it was when it was read last: {file}. To take it out: "
                "uv run sonora knowledge remove {id}",
                file=plain(document.source),
                id=document.id,
            ),
            err=True,
        )
    counts = {outcome: sum(each.outcome is outcome for each in added) for outcome in Outcome}
    typer.echo(
        say(
            "Added: {added}. Changed: {changed}. Unchanged: {unchanged}. Not read: {unreadable}.",
            **{outcome.value: count for outcome, count in counts.items()},
        )
    )
    if not added:
        typer.echo(say("There is no file there that can be read."), err=True)


@app.command("list", help=say("List the documents."))
def list_documents(user: User = None, json_output: AsJson = False) -> None:
    """List the documents."""
    with _index(load_settings()) as index:
        documents = [d for d in index.documents() if user is None or d.user_id == user]
    if json_output:
        print_json([document_data(document) for document in documents])
    elif documents:
        table = Table(box=None, pad_edge=False)
        for heading in (
            say("Document"),
            say("Passages"),
            say("Added"),
            say("User"),
            say("Id"),
            say("Source"),
        ):
            table.add_column(heading, overflow="fold")
        for document in documents:
            table.add_row(
                Text(plain(document.title)),
                str(document.passages),
                local_time(document.created_at),
                Text(plain(document.user_id or "")),
                str(document.id),
                Text(plain(document.source)),
            )
        console().print(table)
    else:
        typer.echo(say("No documents. Add some: uv run sonora knowledge add PATH"))


app.command(help=say("Remove documents, with every word of theirs."))(knowledge_remove.remove)


@app.command(help=say("Search, as a call would: the first passages, and what a turn is given."))
def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help=say("As one would say it."))],
    user: Annotated[
        str | None,
        typer.Option("--user", parser=user_id, help=say("Search as this user's call would.")),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help=say("How many at most."))] = 3,
    json_output: AsJson = False,
) -> None:
    """Search the documents."""
    with waiting(say("Searching")):
        findings = asyncio.run(_search(load_settings(), question, user, limit))
    if json_output:
        print_json(findings_data(findings))
        return
    if not findings.found:
        typer.echo(say("Nothing was found."))
        return
    for number, found in enumerate(findings.found, 1):
        passage = found.passage
        where = " › ".join((passage.title, *passage.headings))
        page = say(", page {page}", page=passage.page) if passage.page else ""
        typer.echo(f"{number}. {plain(where)}{page} ({found.score:.2f})")
        typer.echo(f"   {plain(passage.source)}")
        typer.echo(f"   {plain(passage.content)}\n")
    given = len(findings.given)
    told = (
        say("A turn is given the first {count} of them.", count=given)
        if given
        else say("A turn is given none of them: nothing fits well enough.")
    )
    typer.echo(f"{told} ({findings.fits:.2f}, {findings.took_ms:.0f} ms)")


app.command(help=say("Bring the documents to Supabase: what changed since the last time."))(
    knowledge_push.push
)


@app.command(help=say("How many documents there are, and which model made the index."))
def status(json_output: AsJson = False) -> None:
    """Tell what the index holds. Exits with 1 when it must be rebuilt."""
    from sonora_app.knowledge.embedding import LOCAL_MODEL

    settings = load_settings()
    with _index(settings) as index:
        documents = index.documents()
        model = index.model
    usable = model in (None, LOCAL_MODEL)
    data = {
        "file": str(settings.knowledge_path),
        "bytes": settings.knowledge_path.stat().st_size,
        "documents": len(documents),
        "passages": sum(document.passages for document in documents),
        "model": model,
        "usable": usable,
    }
    if json_output:
        print_json(data)
    else:
        typer.echo(
            say(
                "Documents: {documents}. Passages: {passages}. Model: {model}. File: {file}.",
                documents=data["documents"],
                passages=data["passages"],
                model=model or "–",
                file=data["file"],
            )
        )
        if not usable:
            typer.echo(
                say(
                    "Another model is used now. Make the index anew: "
                    "uv run sonora knowledge rebuild"
                ),
                err=True,
            )
    if not usable:
        raise typer.Exit(FAILED)


@app.command(help=say("Make every vector anew, after the model changed."))
def rebuild(json_output: AsJson = False) -> None:
    """Make every vector anew. Calls go on meanwhile."""
    from sonora_app.knowledge.embedding import LocalEmbedder

    with _index(load_settings()) as index, _progress() as progress:
        count = index.rebuild(LocalEmbedder(), on_passage=progress.passage)
    if json_output:
        print_json({"passages": count, "model": LocalEmbedder.model})
    else:
        typer.echo(say("Passages made anew: {count}.", count=count))


async def _search(settings: Settings, question: str, user: str | None, limit: int) -> Findings:
    from sonora_app.knowledge.making import make_search

    search = await make_search(settings)
    if search is None:
        return Findings(question)
    try:
        # The first search of a process opens what the next ones have.
        await search.find("horario", user, limit=1)
        return await search.find(question, user, limit=limit)
    finally:
        await search.aclose()


@contextmanager
def _index(settings: Settings) -> Generator["Index"]:
    from sonora_app.knowledge.index import Index

    index = Index(settings.knowledge_path)
    try:
        yield index
    finally:
        index.close()


@contextmanager
def _progress() -> Generator["Told"]:
    from sonora_app.knowledge.adding import Progress as Told

    with progress_bar() as bar:
        yield Told(
            file=lambda path, number, count: bar.begin(path.name, number, count),
            passage=bar.reached,
        )

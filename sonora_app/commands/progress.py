"""Shows on a terminal how far something is."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)

from sonora_app.commands.output import plain


@dataclass(frozen=True)
class Bar:
    """What shows how far a document is.

    Parameters:
        begin: A document is begun: its name, its number from 1, how many there are.
        reached: Of it, how many passages are ready, and how many there are.
    """

    begin: Callable[[str, int, int], None]
    reached: Callable[[int, int], None]


@contextmanager
def progress_bar() -> Generator[Bar]:
    """Progress on a terminal's stderr; nothing where stderr is no terminal."""
    shown = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
    )
    task = shown.add_task("", total=None)

    def begin(name: str, number: int, count: int) -> None:
        shown.update(task, description=f"{number}/{count} {plain(name)}", completed=0, total=None)

    def reached(done: int, count: int) -> None:
        shown.update(task, completed=done, total=count)

    with shown:
        yield Bar(begin, reached)


@contextmanager
def fetching_bar(name: str) -> Generator[Callable[[int, int], None]]:
    """What shows on a terminal's stderr how much of something has come, in bytes of how many."""
    shown = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
    )
    task = shown.add_task(plain(name), total=None)

    def reached(done: int, size: int) -> None:
        shown.update(task, completed=done, total=size)

    with shown:
        yield reached

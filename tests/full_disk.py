"""Journals whose disk is full, in truth or as SQLite sees it."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sonora_app.storage.journal.journal import Journal

_PLENTY = 1_000_000


async def fill_up(journal: Journal) -> None:
    """Let the journal's file grow no more, as on a disk that is full."""
    await _limit(journal, 1)


async def free_space(journal: Journal) -> None:
    """Let it grow again."""
    await _limit(journal, _PLENTY)


async def _limit(journal: Journal, pages: int) -> None:
    await journal._connection.transact(  # pyright: ignore[reportPrivateUsage]
        lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall(),
        write=False,
    )


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Generator[bool]:
    """A disk of that size mounted on `folder`. Gives whether this user may mount one."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

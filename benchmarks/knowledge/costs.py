"""What documents cost a process: its event loop, its memory, and the time to add them.

Each is measured in a process of its own. Times are of a processor, so that what else the machine
does counts for little.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.knowledge.corpora import MANUALS, fetch, questions
from benchmarks.knowledge.speed import memory_mb
from sonora_app.errors import SonoraError
from sonora_app.knowledge.adding import add_files
from sonora_app.knowledge.database import open_index
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.passages import cut
from sonora_app.knowledge.reading.files import read_file
from sonora_app.knowledge.search import Search

if TYPE_CHECKING:
    from sonora_app.knowledge.embedding import Meaning

LOOP_TARGET_MS = 2.0
MEMORY_TARGET_MB = 90.0

PAGE_WORDS = 300
"""What a page is taken to hold: as much as one of the manuals', in the mean."""

_FILE_PAGES = 50
_BEAT_SECS = 0.001


def report(small: Path, large: Path, folder: Path, pages: int) -> str:
    """The table of costs.

    Args:
        small: The index of the manuals.
        large: One of 20,000 passages.
        folder: Where the manuals are.
        pages: How many pages to add.
    """
    rows = ["| | | |", "|---|---|---|"]
    for index in (small, large):
        rows += _in_own_process("loop", index)
        rows += _in_own_process("memory", index)
    return "\n".join(rows + _in_own_process("adding", folder, pages))


def _in_own_process(*arguments: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.knowledge.costs", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


async def _loop(index: Path) -> list[str]:
    """How late a beat of the loop is, as far as the search's thread was at work meanwhile.

    A beat is also late because the machine does something else. A search holds the loop no longer
    than the beat is late, and no longer than the search's own thread computed meanwhile.
    """
    search = Search(index)
    await search.warm_up()
    (thread,) = [t for t in threading.enumerate() if t.name.startswith("sonora-knowledge")]
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    held: list[float] = []
    late: list[float] = []
    for question in questions():
        finding = asyncio.create_task(search.find(question.text))
        while not finding.done():
            due, computed = time.perf_counter() + _BEAT_SECS, time.clock_gettime(clock)
            await asyncio.sleep(_BEAT_SECS)
            late.append((time.perf_counter() - due) * 1000)
            held.append(min(late[-1], (time.clock_gettime(clock) - computed) * 1000))
        await finding
    await search.aclose()
    return [_spread(f"the loop held by a search, ms ({_size(index)})", held, f"< {LOOP_TARGET_MS}")]


async def _memory(index: Path) -> list[str]:
    """Memory that a process has more once it has searched."""
    from pipecat.audio.vad.silero import SileroVADAnalyzer

    # What runs models is in every process that has calls.
    analyzer = SileroVADAnalyzer(sample_rate=16_000)
    before = memory_mb()
    search = Search(index)
    await search.warm_up()
    for question in questions()[:20]:
        await search.find(question.text)
    more = memory_mb() - before
    del analyzer
    await search.aclose()
    return [
        f"| memory with model and index, MB ({_size(index)}) | {more:.0f} "
        f"| ≤ {MEMORY_TARGET_MB:.0f} |"
    ]


class _TimedEmbedder(LocalEmbedder):
    """The model, with the processor time that its vectors took."""

    def __init__(self) -> None:
        super().__init__()
        self.secs = 0.0
        self.texts = 0

    def passage(self, text: str) -> "Meaning":
        began = time.thread_time()
        meaning = super().passage(text)
        self.secs += time.thread_time() - began
        self.texts += 1
        return meaning


def _adding(folder: Path, pages: int) -> list[str]:
    """The processor time of adding so many pages of the manuals' text."""
    with tempfile.TemporaryDirectory() as made:
        files = Path(made) / "pages"
        files.mkdir()
        words = _write_pages(folder, files, pages)
        embedder = _TimedEmbedder()
        path = Path(made) / "knowledge.db"
        began = time.process_time()
        with closing(Index(path)) as index:
            add_files(index, [files], embedder)
        secs = time.process_time() - began
        megabytes = path.stat().st_size / 1_000_000
    return [
        f"| adding {pages} pages ({words:,} words), seconds of a core | {secs:.0f} | |",
        f"| · the vectors of {embedder.texts:,} windows | {embedder.secs:.0f} | |",
        f"| · the index's file, MB | {megabytes:.1f} | |",
    ]


def _write_pages(folder: Path, target: Path, pages: int) -> int:
    """Write so many pages of `PAGE_WORDS` words into files; returns how many words there are."""
    words = 0
    texts = _texts(folder)
    for first in range(0, pages, _FILE_PAGES):
        written = [f"# {first}"]
        for page in range(first, min(first + _FILE_PAGES, pages)):
            written.append(f"## {page}")
            count = 0
            while count < PAGE_WORDS:
                written.append(next(texts))
                count += len(written[-1].split())
            words += count
        (target / f"{first:05}.txt").write_text("\n\n".join(written), "utf-8")
    return words


def _texts(folder: Path) -> Iterator[str]:
    """The manuals' passages, over and over."""
    found: list[str] = []
    for manual in MANUALS:
        for file in fetch(manual, folder):
            try:
                found += [passage.content for passage in cut(read_file(file))]
            except SonoraError:
                continue
    return cycle(found)


def _size(index: Path) -> str:
    with closing(open_index(index)) as opened:
        return f"{opened.execute('SELECT count(*) FROM passages').fetchone()[0]:,} passages"


def _spread(name: str, values: list[float], target: str) -> str:
    median, most = np.percentile(values, [50, 99])
    spread = f"{median:.2f} in the median, {most:.2f} in 99 %, {max(values):.1f} at most"
    return f"| {name} | {spread} | {target} |"


def _main(what: str, path: Path, *pages: str) -> list[str]:
    match what:
        case "loop":
            return asyncio.run(_loop(path))
        case "memory":
            return asyncio.run(_memory(path))
        case _:
            return _adding(path, int(pages[0]))


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])))

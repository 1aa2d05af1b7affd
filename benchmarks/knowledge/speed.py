"""What a search costs: time, memory, and what it holds of the event loop."""

import asyncio
import time
from pathlib import Path
from uuid import UUID

import numpy as np

from benchmarks.knowledge.corpora import questions
from sonora_app.knowledge.database import open_index, set_fact, writing
from sonora_app.knowledge.embedding import LOCAL_MODEL
from sonora_app.knowledge.rows import packed
from sonora_app.knowledge.search import Search
from sonora_app.knowledge.words import keys_of


def grown(source: Path, target: Path, passages: int) -> None:
    """An index of so many passages: those of `source` over and over, each with some noise."""
    random = np.random.default_rng(7)
    known, made = open_index(source), open_index(target)
    rows = known.execute(
        "SELECT headings, page, anchor, content, language, embeddings, words FROM passages"
    ).fetchall()
    document = str(UUID(int=1))
    with writing(made):
        made.execute("INSERT INTO documents VALUES (?, NULL, 't', 's', 'h', 'es', '')", (document,))
        for number in range(passages):
            row = rows[number % len(rows)]
            vectors = np.frombuffer(row[5], "<f2").astype(np.float32).reshape(-1, 384)
            vectors = vectors + random.normal(0, 0.01, vectors.shape)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            made.execute(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    number + 1,
                    str(UUID(int=number)),
                    document,
                    number,
                    *row[:5],
                    packed(vectors),
                    row[6],
                ],
            )
            made.execute(
                "INSERT INTO passage_keys (rowid, headings, content) VALUES (?, ?, ?)",
                (number + 1, " ".join(keys_of(row[0])), " ".join(keys_of(row[3]))),
            )
        set_fact(made, "model", LOCAL_MODEL)
    known.close()
    made.close()


def memory_mb() -> float:
    """What this process holds, in MB."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def measure(path: Path) -> str:
    """The processor time of a search, how long it takes, what holds the loop, and memory."""
    before = memory_mb()
    search = Search(path)
    await search.warm_up()
    loaded = memory_mb()
    times: list[float] = []
    computed: list[float] = []
    held: list[float] = []
    stopped = asyncio.Event()

    async def watch() -> None:
        while not stopped.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0)
            held.append(time.perf_counter() - began)
            await asyncio.sleep(0.0005)

    watching = asyncio.create_task(watch())
    for question in questions():
        began = time.perf_counter()
        await search.find(question.text)
        times.append((time.perf_counter() - began) * 1000)
    stopped.set()
    await watching
    # In this thread, so that nothing else is counted.
    for question in questions():
        used = time.thread_time()
        search.find_now(question.text)
        computed.append((time.thread_time() - used) * 1000)
    await search.aclose()
    return "\n".join(
        [
            "| | median | 95 % | worst |",
            "|---|---|---|---|",
            _row("processor time of a search, ms", computed),
            _row("a search in its thread, ms", times),
            _row("the loop held, ms", [each * 1000 for each in held]),
            "",
            f"memory: {loaded - before:.0f} MB more with model and index",
        ]
    )


def _row(name: str, values: list[float]) -> str:
    median, late = np.percentile(values, [50, 95])
    return f"| {name} | {median:.1f} | {late:.1f} | {max(values):.1f} |"

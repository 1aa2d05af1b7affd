"""How long it takes to list, to find and to add up, with many conversations.

    uv run python -m benchmarks.finding [--supabase] [--conversations N] [--repetitions N] [--quick]

Fills a journal in a folder of its own, and asks it through `Journal`, as the console and the
command line do. With `--supabase`, that journal is shipped to a project in a PostgreSQL of its own,
which takes some minutes, and the project is asked too, through `MirroredStore`, as they ask where
Supabase is set; both have to say the same. Prints a table in Markdown: how many conversations, or
calls, each question found, and of each store the median and the 95th percentile, and the processor
time, which other programs of the machine change little, in milliseconds.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from statistics import median, quantiles

from benchmarks.ending import end_by_signals
from benchmarks.finding.project import Project, running_project
from benchmarks.finding.questions import Answer, found, questions, told
from benchmarks.finding.stores import filled_stores

_CONVERSATIONS, _QUICK = 20_000, 1_000


async def _measure(conversations: int, repetitions: int, project: Project | None) -> None:
    async with filled_stores(conversations, project) as stores:
        print(f"{conversations:,} conversations, each question {repetitions} times\n")
        columns = "".join(f" {name}, median ms | 95th percentile | processor |" for name in stores)
        print(f"| question | found |{columns}\n|---|---|{'---|---|---|' * len(stores)}")
        for name, ask in questions(conversations).items():
            answers = [await ask(store) for store in stores.values()]
            if any(told(answer) != told(answers[0]) for answer in answers):
                raise SystemExit(f"{name}: the stores do not say the same")
            cells = [f"{found(answers[0]):,}"]
            for store in stores.values():
                times = await _timed(partial(ask, store), repetitions, project)
                cells += [f"{each * 1_000:.1f}" for each in times]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


async def _timed(
    ask: Callable[[], Awaitable[Answer]], repetitions: int, project: Project | None
) -> tuple[float, float, float]:
    """The median, the 95th percentile, and the mean of the processor time, in seconds."""
    times: list[float] = []
    worked = _processor_secs(project)
    for _ in range(repetitions):
        begun = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - begun)
    worked = _processor_secs(project) - worked
    return median(times), quantiles(times, n=20, method="inclusive")[-1], worked / repetitions


def _processor_secs(project: Project | None) -> float:
    """What this process, which serves Supabase's API, and PostgreSQL have used so far."""
    return time.process_time() + (project.processor_secs if project else 0.0)


def main() -> None:
    """Measure what the command line asks for, and print it."""
    end_by_signals()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.finding", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--supabase", action="store_true", help="ask Supabase too")
    parser.add_argument("--conversations", type=int, default=_CONVERSATIONS)
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="fewer conversations")
    arguments = parser.parse_args()
    conversations: int = _QUICK if arguments.quick else arguments.conversations
    with running_project() if arguments.supabase else nullcontext() as project:
        asyncio.run(_measure(conversations, arguments.repetitions, project))


if __name__ == "__main__":
    main()

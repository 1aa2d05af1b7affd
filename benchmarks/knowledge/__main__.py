"""`python -m benchmarks.knowledge WHAT [--folder FOLDER] [--passages N] [--pages N] [--quick]`.

`turns` times answers from documents in calls, beside the same Sonora without and a bot with a tool.
`costs` is what documents cost a process: the loop, memory, and adding so many pages.
`found` is the table of docs/knowledge.md; `fit` gives the weights of `ranking.py`; `speed` asks an
index of so many passages; `common` makes what `space.py` and `late_interaction.py` read, from other
texts, into FOLDER. The first run fetches the manuals (apt-get) and indexes them, which takes some
five minutes of one core.
"""

import argparse
import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ending import end_by_signals

# One core, as in a call: set before numpy and the model are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run what was asked for."""
    end_by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.knowledge", description=__doc__)
    parser.add_argument("what", choices=("turns", "costs", "found", "fit", "speed", "common"))
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache/sonora/knowledge")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--pages", type=int, default=1000, help="how many to add (costs)")
    parser.add_argument("--quick", action="store_true", help="fewer calls (turns)")
    arguments = parser.parse_args()

    from benchmarks.knowledge.common import write_common
    from benchmarks.knowledge.costs import report as report_costs
    from benchmarks.knowledge.fit import fit
    from benchmarks.knowledge.found import Asked, build, report
    from benchmarks.knowledge.speed import grown, measure

    if arguments.what == "common":
        folder = arguments.folder
        print(write_common(folder, folder / "common.npy", folder / "word_basis.npy"))
        return
    path = build(arguments.folder)
    if arguments.what in ("speed", "costs"):
        large = arguments.folder / f"grown-{arguments.passages}.db"
        if not large.exists():
            grown(path, large, arguments.passages)
        if arguments.what == "costs":
            print(report_costs(path, large, arguments.folder, arguments.pages))
        else:
            print(asyncio.run(measure(large)))
        return
    if arguments.what == "turns":
        print(asyncio.run(_turns(path, rounds=1 if arguments.quick else 10)))
        return
    asked = Asked(path)
    print(report(asked) if arguments.what == "found" else fit(asked))


async def _turns(index: Path, *, rounds: int) -> str:
    """The table of `turns`, of so many calls with each bot."""
    from benchmarks.knowledge.turns import all_contenders, answered_questions, measure_turns

    asked = await answered_questions(index)
    with TemporaryDirectory() as folder:
        async with all_contenders(Path(folder), index) as contenders:
            return (await measure_turns(contenders, index, asked, rounds=rounds)).report()


if __name__ == "__main__":
    main()

"""`python -m benchmarks.knowledge found | fit | speed | common [--folder FOLDER] [--passages N]`.

`found` is the table of docs/knowledge.md; `fit` gives the weights of `ranking.py`; `speed` asks an
index of so many passages; `common` writes what `space.py` reads, from other texts. The first run
fetches the manuals (apt-get) and indexes them, which takes some five minutes of one core.
"""

import argparse
import asyncio
import os
from pathlib import Path

# One core, as in a call: set before numpy and the model are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.knowledge", description=__doc__)
    parser.add_argument("what", choices=("found", "fit", "speed", "common"))
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache/sonora/knowledge")
    parser.add_argument("--passages", type=int, default=20_000)
    arguments = parser.parse_args()

    from benchmarks.knowledge.common import write_common
    from benchmarks.knowledge.fit import fit
    from benchmarks.knowledge.found import Asked, build, report
    from benchmarks.knowledge.speed import grown, measure
    from sonora_app.knowledge.space import COMMON_FILE

    if arguments.what == "common":
        write_common(arguments.folder, COMMON_FILE)
        return
    path = build(arguments.folder)
    if arguments.what == "speed":
        large = arguments.folder / f"grown-{arguments.passages}.db"
        if not large.exists():
            grown(path, large, arguments.passages)
        print(asyncio.run(measure(large)))
        return
    asked = Asked(path)
    print(report(asked) if arguments.what == "found" else fit(asked))


if __name__ == "__main__":
    main()

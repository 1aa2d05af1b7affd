"""The command: `uv run python -m benchmarks.soak --help`."""

import argparse
import asyncio
import random
import sys
from datetime import datetime
from pathlib import Path

from loguru import logger

from benchmarks.ending import end_by_signals
from benchmarks.soak.run import Options, soak


def main() -> int:
    """Soak, print the report, and give 1 if anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=2, help="callers at a time (2)")
    parser.add_argument("--minutes", type=float, default=60, help="how long they call (60)")
    parser.add_argument("--seed", type=int, help="what everything is drawn from (at random)")
    parser.add_argument("--round-minutes", type=float, default=5, help="between checks (5)")
    parser.add_argument("--first-round", type=int, default=0, help="to see a round again (0)")
    parser.add_argument("--journal-only", action="store_true", help="without Supabase")
    parser.add_argument("--stt", choices=("nova-3", "flux"), default="nova-3")
    parser.add_argument("--processes", type=int, default=2, help="that share a journal (2)")
    parser.add_argument("--output", type=Path, help="a folder (artifacts/soak/<time>)")
    arguments = parser.parse_args()
    if arguments.output is not None and arguments.output.exists():
        parser.error(
            f"{arguments.output} is there already; the database would not know its journal"
        )
    end_by_signals()
    logger.remove()
    logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss} {message}")
    report = asyncio.run(
        soak(
            Options(
                seed=random.randrange(2**31) if arguments.seed is None else arguments.seed,
                sessions=arguments.sessions,
                minutes=arguments.minutes,
                round_minutes=arguments.round_minutes,
                first_round=arguments.first_round,
                supabase=not arguments.journal_only,
                stt=arguments.stt,
                processes=arguments.processes,
                output=arguments.output
                or Path("artifacts/soak") / f"{datetime.now():%Y%m%d-%H%M%S}",
            )
        )
    )
    sys.stdout.write(report.readable())
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())

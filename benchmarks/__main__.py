"""Measures Sonora beside the bot that `pipecat init` scaffolds.

    uv run python -m benchmarks                        # everything; takes about half an hour
    uv run python -m benchmarks voice-to-voice --quick # one measurement, with fewer repetitions

Both bots run on this machine, against the same simulated vendors, with the same client, and take
turns. Results are kept as JSON; what was measured earlier stays there until it is measured again.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from loguru import logger

from benchmarks import voice_to_voice
from benchmarks.figures import Measurement, Results, this_machine
from benchmarks.report import table
from benchmarks.vendors import NONE, REALISTIC

Quick = bool

MEASUREMENTS: dict[str, Callable[[Quick], Awaitable[Measurement]]] = {
    "voice-to-voice": lambda quick: voice_to_voice.measure(
        REALISTIC, rounds=1 if quick else 3, target=0.65
    ),
    "voice-to-voice-no-delay": lambda quick: voice_to_voice.measure(
        NONE, rounds=1 if quick else 3, target=0.7
    ),
}
"""Every measurement, by its name on the command line, in the order of the report."""


def main() -> None:
    """Measure what the command line names, print it and keep it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("benchmark-results.json"),
        help="where results are kept (default: %(default)s)",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    logger.remove()
    logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss} {message}")
    for name in arguments.names or MEASUREMENTS:
        measurement = asyncio.run(MEASUREMENTS[name](arguments.quick))
        results = Results.load(arguments.results)
        results.machine = this_machine()
        results.measurements[name] = measurement
        results.save(arguments.results)
        sys.stdout.write(f"\n## {measurement.title}\n\n{table(measurement)}\n")


if __name__ == "__main__":
    main()

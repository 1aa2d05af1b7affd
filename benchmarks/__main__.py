"""Measures Sonora beside the bot that `pipecat init` scaffolds.

    uv run python -m benchmarks                        # everything; takes most of an hour
    uv run python -m benchmarks voice-to-voice --quick # one measurement, with fewer repetitions
    uv run python -m benchmarks publish                # results into docs/benchmarks.md

Both bots run on this machine, against the same simulated vendors, with the same client, and take
turns. Results are kept as JSON; what was measured earlier stays there until it is measured again.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from benchmarks import barge_in, endpointing, joining, load, resources, start, voice_to_voice
from benchmarks.figures import Measurement, Results, this_machine
from benchmarks.report import publish, table
from benchmarks.speakers import VoiceMissingError
from benchmarks.vendors import NONE, REALISTIC
from simulators.clients.network import Network

Quick = bool

_LOSSY = Network(loss=0.03, jitter_secs=0.03)

_DOCS = Path(__file__).resolve().parents[1] / "docs"

MEASUREMENTS: dict[str, Callable[[Quick], Coroutine[Any, Any, Measurement]]] = {
    # Sound goes in packets of 20 ms, and how they fall is another matter in each call.
    "voice-to-voice": lambda quick: voice_to_voice.measure(
        REALISTIC, rounds=1 if quick else 4, target=0.65
    ),
    "voice-to-voice-no-delay": lambda quick: voice_to_voice.measure(
        NONE, rounds=1 if quick else 2, target=0.7
    ),
    "voice-to-voice-browser": lambda quick: voice_to_voice.measure(
        REALISTIC, rounds=1 if quick else 2, target=0.65, in_browser=True
    ),
    "joining": lambda quick: joining.measure(repetitions=2 if quick else 10),
    "barge-in": lambda quick: barge_in.measure(rounds=1 if quick else 2),
    "voice-to-voice-lossy": lambda quick: voice_to_voice.measure(
        REALISTIC, rounds=1 if quick else 2, target=0.65, network=_LOSSY
    ),
    "barge-in-lossy": lambda quick: barge_in.measure(rounds=1 if quick else 2, network=_LOSSY),
    **{
        name: partial(endpointing.measure, conversations)
        for name, conversations in endpointing.CONVERSATIONS.items()
    },
    "memory": lambda quick: resources.measure(calls=4 if quick else 20),
    "simultaneous": lambda quick: load.measure_simultaneous(),
    "many-calls": lambda quick: load.measure_many(calls=20 if quick else 200),
    "long-call": lambda quick: load.measure_long(turns=40 if quick else 120),
    "start": lambda quick: start.measure(processes=1 if quick else 5),
}
"""Every measurement, by its name on the command line, in the order of the report."""


_PUBLISH = "publish"


def main() -> None:
    """Measure what the command line names, print it and keep it."""
    # A run that is ended ends what it has started: bots, and the database's server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logger.remove()
    logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss} {message}")
    arguments = _arguments()
    names: list[str] = arguments.names or list(MEASUREMENTS)
    try:
        asyncio.run(endpointing.require_voices(names))
    except VoiceMissingError as error:
        sys.exit(str(error))
    for name in names:
        results = Results.load(arguments.results)
        if name == _PUBLISH:
            publish(results, _DOCS)
            continue
        measurement = asyncio.run(MEASUREMENTS[name](arguments.quick))
        results.machine = this_machine()
        results.measurements[name] = measurement
        results.save(arguments.results)
        sys.stdout.write(f"\n## {measurement.title}\n\n{table(measurement.figures)}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(MEASUREMENTS)}; or {_PUBLISH}, which brings docs/benchmarks.md up to "
        "date with the results that are kept (default: every measurement)",
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("benchmark-results.json"),
        help="where results are kept (default: %(default)s)",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*MEASUREMENTS, _PUBLISH}
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()

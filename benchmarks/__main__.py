"""Measures Sonora beside the bot that `pipecat init` scaffolds, or beside another checkout.

    uv run python -m benchmarks                        # everything; takes most of an hour
    uv run python -m benchmarks voice-to-voice --quick # one measurement, with fewer repetitions
    uv run python -m benchmarks publish                # results into docs/benchmarks.md
    uv run python -m benchmarks --quick --against DIR  # beside the Sonora in DIR

Both bots run on this machine, against the same simulated vendors, with the same client, and take
turns. Results are kept as JSON; what was measured earlier stays there until it is measured again.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from benchmarks import (
    barge_in,
    calls,
    endpointing,
    eot,
    joining,
    load,
    observing,
    over_the_bot,
    pictures,
    recognition,
    remembered,
    resources,
    start,
    tools,
    voice_to_voice,
)
from benchmarks.contenders import Rival, rival
from benchmarks.ending import end_by_signals
from benchmarks.figures import Measurement, Results, this_machine
from benchmarks.report import publish, table
from benchmarks.speakers import VoiceMissingError
from benchmarks.vendors import NONE, REALISTIC
from simulators.clients.network import Network
from simulators.local_models import ModelMissingError


@dataclass(frozen=True)
class Run:
    """How to measure.

    Parameters:
        quick: Whether fewer repetitions have to do.
        checkout: Another Sonora to measure beside this one, in place of the scaffold.
    """

    quick: bool
    checkout: Path | None

    @property
    def beside(self) -> Rival:
        """Makes the other bot."""
        return rival(self.checkout)


_LOSSY = Network(loss=0.03, jitter_secs=0.03)

_DOCS = Path(__file__).resolve().parents[1] / "docs"


async def _endpointing(conversations: endpointing.Conversations, run: Run) -> Measurement:
    return await endpointing.measure(conversations, run.quick, run.beside)


MEASUREMENTS: dict[str, Callable[[Run], Coroutine[Any, Any, Measurement]]] = {
    # Sound goes in packets of 20 ms, and how they fall is another matter in each call.
    "voice-to-voice": lambda run: voice_to_voice.measure(
        REALISTIC, rounds=1 if run.quick else 4, target=0.65, beside=run.beside
    ),
    "voice-to-voice-no-delay": lambda run: voice_to_voice.measure(
        NONE, rounds=1 if run.quick else 2, target=0.7, beside=run.beside
    ),
    "voice-to-voice-browser": lambda run: voice_to_voice.measure(
        REALISTIC, rounds=1 if run.quick else 2, target=0.65, in_browser=True, beside=run.beside
    ),
    "joining": lambda run: joining.measure(
        repetitions=2 if run.quick else 10, checkout=run.checkout
    ),
    "remembered": lambda run: remembered.measure(
        repetitions=40 if run.quick else 100, checkout=run.checkout
    ),
    "remembered-supabase": lambda run: remembered.measure(
        repetitions=10 if run.quick else 40, checkout=run.checkout, in_supabase=True
    ),
    "tools": lambda run: tools.measure(calls=1 if run.quick else 4, checkout=run.checkout),
    "pictures": lambda run: pictures.measure(
        repetitions=2 if run.quick else 6, checkout=run.checkout
    ),
    "barge-in": lambda run: barge_in.measure(rounds=1 if run.quick else 2, beside=run.beside),
    "voice-to-voice-lossy": lambda run: voice_to_voice.measure(
        REALISTIC, rounds=1 if run.quick else 2, target=0.65, network=_LOSSY, beside=run.beside
    ),
    "barge-in-lossy": lambda run: barge_in.measure(
        rounds=1 if run.quick else 2, network=_LOSSY, beside=run.beside
    ),
    "over-the-bot": lambda run: over_the_bot.measure(
        rounds=1 if run.quick else 5, beside=run.beside
    ),
    **{
        name: partial(_endpointing, conversations)
        for name, conversations in endpointing.CONVERSATIONS.items()
    },
    "eot": lambda run: eot.measure(quick=run.quick),
    "memory": lambda run: resources.measure(calls=4 if run.quick else 20, beside=run.beside),
    "simultaneous": lambda run: load.measure_simultaneous(beside=run.beside),
    "calls": lambda run: calls.measure(
        at_a_time=(1, 8),
        turns=4 if run.quick else 8,
        rounds=1 if run.quick else 2,
        checkout=run.checkout,
    ),
    "many-calls": lambda run: load.measure_many(calls=20 if run.quick else 200),
    "long-call": lambda run: load.measure_long(turns=40 if run.quick else 120, beside=run.beside),
    "long-prompt": lambda run: load.measure_prompts(
        turns=120 if run.quick else 480, beside=run.beside
    ),
    "observing": lambda run: observing.measure(rounds=2 if run.quick else 8),
    "recognition": lambda run: recognition.measure(quick=run.quick),
    "start": lambda run: start.measure(processes=1 if run.quick else 5, beside=run.beside),
}
"""Every measurement, by its name on the command line, in the order of the report."""


_PUBLISH = "publish"
_RESULTS, _AGAINST = Path("benchmark-results.json"), Path("benchmark-against.json")


def main() -> None:
    """Measure what the command line names, print it and keep it."""
    end_by_signals()
    logger.remove()
    logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss} {message}")
    arguments = _arguments()
    run = Run(arguments.quick, arguments.against)
    names: list[str] = arguments.names or list(MEASUREMENTS)
    try:
        # What is judged offline is said by all of them.
        heard = list(endpointing.CONVERSATIONS) if "eot" in names else names
        asyncio.run(endpointing.require_voices(heard))
        if "recognition" in names:
            asyncio.run(recognition.require_parts())
    except (ModelMissingError, VoiceMissingError) as error:
        sys.exit(str(error))
    for name in names:
        results = Results.load(_results_file(arguments))
        if name == _PUBLISH:
            publish(results, _DOCS)
            continue
        measurement = asyncio.run(MEASUREMENTS[name](run))
        results.machine = this_machine()
        results.measurements[name] = measurement
        results.save(_results_file(arguments))
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
        "--against",
        type=Path,
        metavar="DIR",
        help="measure beside the Sonora of another checkout, run in its own environment if it "
        "has one (.venv), and not beside the scaffold",
    )
    parser.add_argument(
        "--results",
        type=Path,
        help=f"where results are kept (default: {_RESULTS}, or with --against {_AGAINST})",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*MEASUREMENTS, _PUBLISH}
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    try:
        rival(arguments.against)
    except FileNotFoundError as error:
        parser.error(str(error))
    if arguments.against is not None and _PUBLISH in arguments.names:
        parser.error("what is published is measured beside the scaffold")
    return arguments


def _results_file(arguments: argparse.Namespace) -> Path:
    """Where the results go: those beside a checkout never mix with those that are published."""
    return arguments.results or (_RESULTS if arguments.against is None else _AGAINST)


if __name__ == "__main__":
    main()

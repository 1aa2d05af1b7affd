"""Measures how many calls this machine holds at a time.

The measurement is `benchmarks/capacity.py`: it starts a bot of its own, which rehearses, and calls
it by WebRTC. It runs in a process of its own, and only from a checkout of the project.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sonora_app.errors import SettingsError
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.wording.translation import worded

TARGET = 1.25
"""What the slowest twentieth of answers among many calls may be, as a ratio to that of one call."""

NEEDED = "cartesia"
"""What the measurement imports that only the tests' group of packages has."""

_PROJECT = FLOWS_DIR.parent


@dataclass(frozen=True)
class Tried:
    """What came of so many calls at a time.

    Parameters:
        calls: How many.
        p95_ms: The wait for an answer that a twentieth exceeds, in milliseconds.
        ratio: That wait to the one of a single call.
        unanswered: How many turns had no answer.
    """

    calls: int
    p95_ms: float
    ratio: float
    unanswered: int

    @property
    def holds(self) -> bool:
        """Whether answers were as quick as they are to be."""
        return self.ratio <= TARGET and not self.unanswered


def advised(tried: Sequence[Tried]) -> int:
    """The most calls whose answers were quick, and those of fewer; 0 where none were."""
    most = 0
    for step in tried:
        if not step.holds:
            break
        most = step.calls
    return most


async def try_calls(project: Path = _PROJECT) -> AsyncGenerator[Tried]:
    """Hold more and more calls on this machine. Takes up to two minutes.

    Args:
        project: The folder of the checkout.

    Raises:
        SettingsError: This is no checkout of the project, a package is missing, or the
            measurement failed.
    """
    if not (project / "benchmarks" / "capacity.py").exists():
        raise SettingsError(
            worded("Calls can be tried from a checkout of the project only."),
            hint=worded("Run it there, on the machine that the bot is to run on."),
        )
    if find_spec(NEEDED) is None:
        raise SettingsError(
            worded(
                "To try calls, the packages of the tests are needed: {name} is not there.",
                name=NEEDED,
            ),
            hint=worded("Run it with them: uv run --group dev sonora doctor --calls"),
        )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.capacity",
        cwd=project,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None  # noqa: S101  # it was asked for
    try:
        async for line in process.stdout:
            yield Tried(**json.loads(line))
        if await process.wait():
            raise SettingsError(
                worded("The calls could not be held."),
                hint=worded("`uv run --group dev python -m benchmarks.capacity` says why."),
            )
    finally:
        if process.returncode is None:
            # So that it ends the bot that it has started, too.
            process.send_signal(signal.SIGINT)
            await process.wait()

"""`bot.py` with the limits of a deployment and the vendors of a rehearsal.

Run as a program by `test_limits.py`: what a call does that nobody opens differs in a deployment,
where there are no stand-ins to speak the line offline.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bot as sonora
from sonora_app.settings import Settings

Settings.is_local = property(lambda self: False)  # type: ignore[assignment, method-assign]
Settings.check_deployable = lambda self: None  # type: ignore[method-assign]


async def bot(runner_args: Any) -> None:
    await sonora.bot(runner_args)


if __name__ == "__main__":
    sonora.main()

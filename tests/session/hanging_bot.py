"""`bot.py`, whose first call holds the event loop for good. Run as a program by tests."""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bot as sonora


async def bot(runner_args: Any) -> None:
    print("HANGING", flush=True)
    time.sleep(600)  # noqa: ASYNC251  # the fault that the test is about


if __name__ == "__main__":
    sonora.main()

"""`bot.py`, whose calls fail as soon as they begin. A program of `test_console_troubles.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bot as sonora


async def bot(runner_args: object) -> None:
    """Fail, as a bot does whose code is broken."""
    raise RuntimeError("this bot is broken")


if __name__ == "__main__":
    sonora.bot = bot
    sonora.main()

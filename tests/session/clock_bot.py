"""`bot.py` in a process whose clock is set, once the file named by CLOCK_FILE is there, by as many
seconds as it says. Run as a program by tests.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SET = Path(os.environ["CLOCK_FILE"])
_told = time.time


def _time() -> float:
    return _told() + (float(SET.read_text() or 0) if SET.exists() else 0.0)


# Before anything that tells the time is imported.
time.time = _time

import bot as sonora  # noqa: E402

bot = sonora.bot

if __name__ == "__main__":
    sonora.main()

"""`bot.py`, for whose transport the clock is set back an hour once the file named by CLOCK_FILE is
there. Run as a program by tests.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pipecat.transports.smallwebrtc.transport as transport

import bot as sonora

bot = sonora.bot
FLAG = Path(os.environ["CLOCK_FILE"])


def _time() -> float:
    return time.time() - 3600 * FLAG.exists()


transport.time = SimpleNamespace(time=_time)  # type: ignore[assignment]

if __name__ == "__main__":
    sonora.main()

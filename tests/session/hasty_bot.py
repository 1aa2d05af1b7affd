"""`bot.py` in a process whose WebRTC gives up a network that is gone in a seventh of the time.

Run as a program by tests.
"""

import sys
from pathlib import Path

import aioice.ice

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# How often the other side has to answer: six times in a row without an answer end the connection.
aioice.ice.CONSENT_INTERVAL /= 7

import bot as sonora  # noqa: E402

bot = sonora.bot

if __name__ == "__main__":
    sonora.main()

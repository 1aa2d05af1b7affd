"""`bot.py` in a process in which typed text enters the model's context four seconds after it came.

It is kept when it comes, so what happens in between can be made to. Run as a program by tests.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sonora_app.page.rtvi

sonora_app.page.rtvi._TOGETHER_SECS = 4.0

import bot as sonora  # noqa: E402

bot = sonora.bot

if __name__ == "__main__":
    sonora.main()

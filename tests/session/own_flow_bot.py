"""`bot.py` with the flow of the folder FLOWS. A program of tests."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sonora_app.flow import lines

# Before anything else takes it from there.
lines.FLOWS_DIR = Path(os.environ["FLOWS"])

import bot as sonora  # noqa: E402

bot = sonora.bot

if __name__ == "__main__":
    sonora.main()

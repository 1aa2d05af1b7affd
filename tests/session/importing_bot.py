"""`bot.py`, which says after each call what was imported in it. Run as a program by tests."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bot as sonora


async def bot(runner_args: Any) -> None:
    await asyncio.to_thread(sonora._warm_up.join)
    before = set(sys.modules)
    try:
        await sonora.bot(runner_args)
    finally:
        print("IMPORTED", json.dumps(sorted(set(sys.modules) - before)), flush=True)


if __name__ == "__main__":
    sonora.main()

"""`bot.py`, with a monitor of its event loop. Run as a program by `test_loop_lag.py`.

A heartbeat runs on the loop, and a thread looks, every two milliseconds, at what the loop's thread
is doing. When the heartbeat is late, the looks taken since the last beat say whose code held the
loop: that of the innermost frame that is Sonora's or Pipecat's, with whatever it called.

Writes one JSON line for each late beat to the file that `SONORA_TEST_STALLS` names.
"""

import asyncio
import collections
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

import bot as sonora  # noqa: E402

BEAT_SECS = 0.004
LOOK_SECS = 0.002
LATE_SECS = 0.020
LOOPS = ("/asyncio/events.py", "/asyncio/base_events.py")
OURS = (str(PROJECT / "sonora_app"), str(PROJECT / "flows"), str(PROJECT / "bot.py"))

_beat = time.monotonic()
_started = threading.Event()


def owner(frame: Any) -> str:
    """Whose code a stack is in, and where, such as `sonora page.py:tell`; `idle` when nobody's."""
    other = "idle"
    while frame is not None:
        filename = frame.f_code.co_filename
        if "/uvicorn/" in filename or filename.endswith(LOOPS):
            break  # from here out it is what runs the loop
        where = f"{Path(filename).name}:{frame.f_code.co_name}"
        if filename.startswith(OURS):
            return f"sonora {where}"
        if "/site-packages/" in filename:
            package = filename.split("/site-packages/")[1].split("/")[0]
            if package == "pipecat":
                return f"pipecat {where}"
            if other == "idle":
                other = f"{package} {where}"
        frame = frame.f_back
    return other


def watch(loop_thread: int, output: Path) -> None:
    global _beat
    _beat = time.monotonic()
    looks: list[str] = []
    seen = _beat
    with output.open("a", encoding="utf-8") as stalls:
        while True:
            time.sleep(LOOK_SECS)
            if _beat != seen:
                late = _beat - seen - BEAT_SECS
                if late > LATE_SECS:
                    counted = collections.Counter(looks)
                    line = {
                        "late_ms": round(late * 1000, 1),
                        "ms": {
                            name: round(late * 1000 * count / len(looks), 1)
                            for name, count in counted.most_common()
                        },
                    }
                    stalls.write(json.dumps(line) + "\n")
                    stalls.flush()
                seen = _beat
                looks = []
            looks.append(owner(sys._current_frames().get(loop_thread)))


async def beat() -> None:
    global _beat
    while True:
        _beat = time.monotonic()
        await asyncio.sleep(BEAT_SECS)


async def bot(runner_args: Any) -> None:
    if not _started.is_set():
        _started.set()
        loop_thread = threading.get_ident()
        globals()["_beating"] = asyncio.create_task(beat())
        output = Path(os.environ["SONORA_TEST_STALLS"])
        threading.Thread(target=watch, args=(loop_thread, output), daemon=True).start()
    await sonora.bot(runner_args)


if __name__ == "__main__":
    sonora.main()

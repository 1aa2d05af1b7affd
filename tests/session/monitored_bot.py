"""`bot.py`, with a monitor of its event loop. Run as a program by tests.

A heartbeat runs on the loop, and a thread looks, every two milliseconds, at what the loop's thread
is doing: whose code it is in (that of the innermost frame that is Sonora's or Pipecat's, with
whatever it called), and whether it computes or waits for the system. When the heartbeat is late,
the processor time that the thread used since the last beat is shared out among the code it was seen
computing in, and each look that found it waiting counts as the time between two looks. Waiting for
a processor or for the interpreter, because somebody else has it, is nobody's. A call into C that
keeps the interpreter to itself cannot be looked at, and is not told from what comes after it.

Writes one JSON line for each late beat to the file that `SONORA_TEST_STALLS` names, and to the one
that `SONORA_TEST_BEATS` names, if it does, a line for every beat: when, in monotonic seconds, and
how many milliseconds late.

`SONORA_TEST_HOLD_MS` has it hold the loop itself, once, in the first call: what shows that the
monitor watches.
"""

import asyncio
import collections
import dataclasses
import json
import os
import platform
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
# The number of futex(2), by which a thread waits for a lock: arch/*/entry/syscalls of Linux.
FUTEX = {"x86_64": "202", "aarch64": "98"}.get(platform.machine(), "")
LOOPS = ("/asyncio/events.py", "/asyncio/base_events.py")
OURS = (str(PROJECT / "sonora_app"), str(PROJECT / "flows"), str(PROJECT / "bot.py"))

HELD = "the monitor's own"

_beat = time.monotonic()
_beats: collections.deque[tuple[float, float]] = collections.deque(maxlen=10_000)
_started = threading.Event()


def owner(frame: Any) -> str:
    """Whose code a stack is in, and where, such as `sonora page.py:tell`; `idle` when nobody's."""
    other = "idle"
    while frame is not None:
        filename = frame.f_code.co_filename
        if "/uvicorn/" in filename or filename.endswith(LOOPS):
            break  # from here out it is what runs the loop
        where = f"{Path(filename).name}:{frame.f_code.co_name}"
        if frame.f_code is hold.__code__:
            return HELD
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


def waits_for(native_thread: int) -> str:
    """What a thread waits for: nothing (""), the interpreter, or the system."""
    try:
        call = Path(f"/proc/self/task/{native_thread}/syscall").read_text().split()[0]
    except OSError:  # another system, or not allowed
        return ""
    if call == "running":
        return ""
    return "interpreter" if call == FUTEX else "system"


@dataclasses.dataclass
class Looks:
    """What was seen since the last beat."""

    used_secs: float
    computing: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    waiting: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def shared_out(self, used_secs: float) -> dict[str, float]:
        """Milliseconds by whose code it was."""
        ms = {name: count * LOOK_SECS * 1000 for name, count in self.waiting.items()}
        for name, count in self.computing.items():
            share = count / self.computing.total()
            ms[name] = ms.get(name, 0.0) + share * (used_secs - self.used_secs) * 1000
        return {name: round(part, 1) for name, part in ms.items()}


def watch(loop_thread: int, native_thread: int, output: Path) -> None:
    global _beat
    _beat = seen = time.monotonic()
    clock = time.pthread_getcpuclockid(loop_thread)
    looks = Looks(time.clock_gettime(clock))
    with output.open("a", encoding="utf-8") as stalls:
        while True:
            time.sleep(LOOK_SECS)
            if _beat != seen:
                late_secs = _beat - seen - BEAT_SECS
                used_secs = time.clock_gettime(clock)
                if late_secs > LATE_SECS:
                    stall = {
                        "late_ms": round(late_secs * 1000, 1),
                        "ms": looks.shared_out(used_secs),
                    }
                    stalls.write(json.dumps(stall) + "\n")
                    stalls.flush()
                seen, looks = _beat, Looks(used_secs)
            waits = waits_for(native_thread)
            if waits != "interpreter":
                seen_in = owner(sys._current_frames().get(loop_thread))
                (looks.waiting if waits else looks.computing)[seen_in] += 1


async def beat() -> None:
    global _beat
    while True:
        _beat = time.monotonic()
        await asyncio.sleep(BEAT_SECS)
        now = time.monotonic()
        _beats.append((now, (now - _beat - BEAT_SECS) * 1000))


def hold(ms: float) -> None:
    """Use the processor for so long."""
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        pass


def keep_beats(output: Path) -> None:
    with output.open("a", encoding="utf-8") as lines:
        while True:
            time.sleep(0.5)
            while _beats:
                at_secs, late_ms = _beats.popleft()
                lines.write(f"{at_secs:.6f} {late_ms:.3f}\n")
            lines.flush()


async def bot(runner_args: Any) -> None:
    if not _started.is_set():
        _started.set()
        loop_thread = threading.get_ident()
        globals()["_beating"] = asyncio.create_task(beat())
        output = Path(os.environ["SONORA_TEST_STALLS"])
        watched = (loop_thread, threading.get_native_id(), output)
        threading.Thread(target=watch, args=watched, daemon=True).start()
        if ms := os.environ.get("SONORA_TEST_HOLD_MS"):
            asyncio.get_running_loop().call_later(1.0, hold, float(ms))
        if beats := os.environ.get("SONORA_TEST_BEATS"):
            threading.Thread(target=keep_beats, args=(Path(beats),), daemon=True).start()
    await sonora.bot(runner_args)


if __name__ == "__main__":
    sonora.main()

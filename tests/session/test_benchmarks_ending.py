"""A benchmark that is ended by a signal ends what it has started."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.clients.bot_process import PROJECT

pytestmark = [pytest.mark.session, pytest.mark.slow]


def is_there(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def bots_of(process: int) -> list[int]:
    children = [
        int(child)
        for task in Path(f"/proc/{process}/task").glob("*/children")
        for child in task.read_text("ascii").split()
    ]
    return [each for each in children if b"bot.py" in Path(f"/proc/{each}/cmdline").read_bytes()]


async def until(true: Callable[[], bool], *, within_secs: float) -> None:
    async with asyncio.timeout(within_secs):
        while not true():
            await asyncio.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("calls", [False, True], ids=["starting", "calling"])
async def test_a_signal_ends_the_benchmark_and_its_bot(
    tmp_path: Path, number: signal.Signals, calls: bool
) -> None:
    def calling() -> bool:
        logs = [log.read_text("utf-8", "replace") for log in tmp_path.rglob("bot-*.log")]
        return any("assistant in greeting" in log for log in logs)

    # As a shell starts what is to go on in the background.
    command = [sys.executable, "-m", "benchmarks", "calls", "--quick", "--results", "none.json"]
    with (tmp_path / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=output,
            stderr=output,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
    started: list[int] = []
    try:
        await until(lambda: bool(bots_of(process.pid)), within_secs=60)
        started = bots_of(process.pid)
        if calls:
            await until(calling, within_secs=60)
        process.send_signal(number)
        await asyncio.wait_for(process.wait(), 60)
        assert process.returncode != 0
        assert not any(map(is_there, started))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        for bot in filter(is_there, started):
            os.kill(bot, signal.SIGKILL)

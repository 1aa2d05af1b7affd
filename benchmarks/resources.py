"""The processor time and the memory of a bot's process. Linux only: read from /proc."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Contender, Rival, Scaffold, both_running, clean_environment
from benchmarks.figures import Figure, Measurement
from benchmarks.utterance import Utterance
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from simulators.clients.bot_process import PROJECT, BotProcess
from simulators.clients.webrtc import page

_TARGET = 0.8
_PATIENCE_SECS = 30.0
"""Time does not matter here."""
_CLOSED_SECS = 1.5
"""After a call, before its memory is read: its last writes and its farewell to the transport."""


async def measure(*, calls: int, beside: Rival = Scaffold) -> Measurement:
    """Call both bots again and again, by turns, and read what memory they hold.

    Args:
        calls: How many calls each bot has, one after another.
        beside: The other bot.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            vendors.delay(REALISTIC)
            utterance = await Utterance.spoken("Quiero viajar a Oaxaca en abril")
            held = {contender.name: [resident_mb(bot)] for contender, bot in bots}
            for number in range(1, calls + 1):
                for contender, bot in bots:
                    held[contender.name].append(
                        await _memory_after_a_call(contender, bot, vendors, utterance)
                    )
                shown = ", ".join(f"{name} {mb[-1]:.0f} MB" for name, mb in held.items())
                logger.info(f"after call {number}: {shown}")

    libraries = await _libraries_mb()

    def figure(name: str, number: int, target: float | None = None) -> Figure:
        return Figure(
            name=name,
            unit="MB",
            values={bot: [mb[number]] for bot, mb in held.items()},
            target=target,
        )

    late = calls // 2
    return Measurement(
        title="Memory",
        how="Resident memory of the bot's process, after calls one after another: a greeting that "
        "the user cuts off, and a turn. Pipecat's parts alone are its libraries, its clients of "
        "the vendors and both models, imported and built in a process that holds no call, by "
        "Sonora's means but with nothing else of it (`benchmarks/libraries.py`).",
        figures=[
            Figure(name="Pipecat's parts alone", unit="MB", values={next(iter(held)): [libraries]}),
            figure("before the first call", 0),
            figure("after the first call", 1, _TARGET),
            figure(f"after {calls} calls", calls, _TARGET),
            Figure(
                name=f"growth per call, from call {late} to {calls}",
                unit="MB",
                values={
                    bot: [round((mb[calls] - mb[late]) / (calls - late), 2)]
                    for bot, mb in held.items()
                },
            ),
        ],
        series=held,
    )


async def _memory_after_a_call(
    contender: Contender, bot: BotProcess, vendors: Vendors, utterance: Utterance
) -> float:
    async with page(bot.url) as client:
        asked_at = await contender.open(client)
        await client.sound(since=asked_at, timeout_secs=_PATIENCE_SECS)
        vendors.deepgram.expect(utterance.words, utterance.loudness)
        client.microphone.say(utterance.pcm)
        await client.microphone.said()
        await client.silence(0.4)
        await client.sound(since=client.microphone.ended_at, timeout_secs=_PATIENCE_SECS)
    await asyncio.sleep(_CLOSED_SECS)
    return resident_mb(bot)


async def _libraries_mb() -> float:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.libraries"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=PROJECT,
        env=clean_environment(),
    )
    printed, _ = await process.communicate()
    return float(printed)


def cpu_secs(bot: BotProcess) -> float:
    """Processor time of a bot's process so far, all its threads, in seconds."""
    fields = Path(f"/proc/{bot.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_mb(bot: BotProcess) -> float:
    """Memory that a bot's process has of the machine's, in MB."""
    return process_mb(bot.process.pid)


def process_mb(pid: int) -> float:
    """Memory that a process has of the machine's, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(int(kilobytes) / 1024, 1)

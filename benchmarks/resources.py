"""The processor time and the memory of a bot's process. Linux only: read from /proc."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Contender, both_running
from benchmarks.figures import Figure, Measurement
from benchmarks.turns import ANSWER_SECS, Utterance, take_turn
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from benchmarks.voice_to_voice import ANSWERS
from tests.clients.bot_process import BotProcess
from tests.clients.webrtc import page

_CPU_TARGET = 0.8
_MEMORY_TARGET = 0.8
_CLOSED_SECS = 1.5
"""After a call, before its memory is read: its last writes and its farewell to the transport."""


async def measure_cpu(*, rounds: int) -> Measurement:
    """Have a conversation with both bots by turns, and count their processor time.

    Args:
        rounds: How many calls each bot has, besides one that is not counted.
    """
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with serving_vendors() as vendors, both_running(Path(folder), vendors) as bots:
            vendors.answers = ANSWERS
            vendors.delay(REALISTIC)
            utterances = [await Utterance.spoken(text) for text in ANSWERS]
            for number in range(rounds + 1):
                for contender, bot in bots if number % 2 else reversed(bots):
                    secs = await _cpu_of_a_call(contender, bot, vendors, utterances)
                    if number:
                        values.setdefault(contender.name, []).append(round(secs, 2))
                    logger.info(f"{contender.name}, call {number}: {secs:.1f} s a minute")
    return Measurement(
        title="Processor time",
        how="Of the bot's process, while it greets and takes four turns, per minute of that. Each "
        "bot logs as it does when it is installed: the scaffold at DEBUG, Sonora at INFO.",
        figures=[
            Figure(
                name="CPU seconds per minute of conversation",
                unit="s",
                values=values,
                target=_CPU_TARGET,
            )
        ],
    )


async def measure_memory(*, calls: int) -> Measurement:
    """Call both bots again and again, by turns, and read what memory they hold.

    Args:
        calls: How many calls each bot has, one after another.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors) as bots,
        ):
            vendors.delay(REALISTIC)
            utterance = await Utterance.spoken(next(iter(ANSWERS)))
            held = {contender.name: [_resident_mb(bot)] for contender, bot in bots}
            for number in range(1, calls + 1):
                for contender, bot in bots:
                    held[contender.name].append(
                        await _memory_after_a_call(contender, bot, vendors, utterance)
                    )
                shown = ", ".join(f"{name} {mb[-1]:.0f} MB" for name, mb in held.items())
                logger.info(f"after call {number}: {shown}")

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
        "the user cuts off, and a turn.",
        figures=[
            figure("before the first call", 0),
            figure("after the first call", 1, _MEMORY_TARGET),
            figure(f"after {calls} calls", calls, _MEMORY_TARGET),
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


async def _cpu_of_a_call(
    contender: Contender, bot: BotProcess, vendors: Vendors, utterances: list[Utterance]
) -> float:
    """Processor seconds per minute of a call."""
    async with page(bot.url) as client:
        before, started_at = _cpu_secs(bot), time.monotonic()
        await contender.join(client)
        for utterance in utterances:
            await take_turn(client, vendors, utterance)
        used, elapsed = _cpu_secs(bot) - before, time.monotonic() - started_at
    return used / elapsed * 60


async def _memory_after_a_call(
    contender: Contender, bot: BotProcess, vendors: Vendors, utterance: Utterance
) -> float:
    async with page(bot.url) as client:
        asked_at = await contender.open(client)
        await client.sound(since=asked_at, timeout_secs=ANSWER_SECS)
        vendors.deepgram.expect(utterance.words)
        client.microphone.say(utterance.pcm)
        await client.microphone.said()
        await client.silence(0.4)
        await client.sound(since=client.microphone.ended_at, timeout_secs=ANSWER_SECS)
    await asyncio.sleep(_CLOSED_SECS)
    return _resident_mb(bot)


def _cpu_secs(bot: BotProcess) -> float:
    """Processor time of the process so far, all threads."""
    fields = Path(f"/proc/{bot.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _resident_mb(bot: BotProcess) -> float:
    status = Path(f"/proc/{bot.process.pid}/status").read_text(encoding="utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(int(kilobytes) / 1024, 1)

"""A picture from the page to the model: how long it takes, and what it takes from the calls."""

import asyncio
import base64
import io
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from loguru import logger
from PIL import Image

from benchmarks.contenders import Checkout, Sonora
from benchmarks.figures import Figure, Measurement
from benchmarks.held_loop import longest_hold_secs
from benchmarks.resources import process_mb, resident_mb
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from simulators.clients.bot_process import PROJECT, BotProcess
from simulators.clients.rtvi import RtviClient
from simulators.clients.webrtc import page

_WIDTH, _HEIGHT = 4_000, 3_000
_SIDEWAYS = 6
"""The camera lay on its side, as a phone's mostly does: EXIF's orientation."""
_PART_CHARS = 48_000
_HELD_LIMIT_MS = 5.0
_ANSWERED_SECS = 30.0
_TEXT = "Mira esto"

_WHOLE = "from the page's first part to the model's request"
_SHOWN = "from the page's last message to the model's request"
_BYTES = "size of the model's request"
_HELD = "longest hold of the event loop, until the picture is at the model"
_IDLE = "longest hold of the event loop, in a turn without a picture"
_GROWN = "memory of the bot's process, grown by"
_READER = "memory of the process that reads pictures"
_UNITS = {_WHOLE: "ms", _SHOWN: "ms", _BYTES: "kB", _HELD: "ms", _IDLE: "ms"}


@dataclass(frozen=True)
class _Bot:
    """A bot that runs, in a call that goes on."""

    sonora: Sonora
    process: BotProcess
    client: RtviClient
    holds: Path


async def measure(*, repetitions: int, checkout: Path | None = None) -> Measurement:
    """Show the bots a picture by turns.

    Args:
        repetitions: How often each figure is taken, besides once that is not counted.
        checkout: Another Sonora to measure beside.
    """
    kinds = {"JPEG": photo("JPEG", quality=88), "WebP": photo("WEBP", quality=86)}
    samples: dict[str, dict[str, list[float]]] = {}
    memory: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            vendors = await stack.enter_async_context(serving_vendors())
            vendors.delay(REALISTIC)
            contenders: list[Sonora] = [Sonora(Path(folder) / "this")]
            if checkout:
                contenders.insert(0, Checkout(checkout, Path(folder) / "other"))
            bots = [await stack.enter_async_context(_calling(each, vendors)) for each in contenders]
            before = {bot.sonora.name: resident_mb(bot.process) for bot in bots}
            for number in range(repetitions + 1):
                for kind, picture in kinds.items():
                    for bot in bots if number % 2 else reversed(bots):
                        taken = await _show(bot, vendors, picture)
                        if number:
                            for name, value in taken.items():
                                of_bots = samples.setdefault(f"{kind}: {name}", {})
                                of_bots.setdefault(bot.sonora.name, []).append(value)
                logger.info(f"pictures, repetition {number}")
            for bot in bots:
                name, now = bot.sonora.name, resident_mb(bot.process)
                memory.setdefault(_GROWN, {})[name] = [round(now - before[name], 1)]
                readers = _children_mb(bot.process.process.pid)
                memory.setdefault(_READER, {})[name] = [readers]
    sizes = " and ".join(f"{len(data) / 1e6:.1f} MB as {kind}" for kind, data in kinds.items())
    return Measurement(
        title="Pictures",
        how=f"A picture of {_WIDTH} × {_HEIGHT} pixels with the noise of a camera, {sizes}, "
        "sideways, sent in parts over the data channel in the middle of a call, each part after "
        "the one before was accepted. A hold is how late a beat of a millisecond is on the event "
        "loop, less the time for which its thread waited for a processor.",
        figures=[
            *(_figure(name, values) for name, values in samples.items()),
            *(Figure(name=name, unit="MB", values=values) for name, values in memory.items()),
        ],
    )


def photo(kind: str, **options: Any) -> bytes:  # noqa: ANN401  # Pillow's
    """A picture as large as a camera's, of soft shapes with noise on them."""
    random = np.random.default_rng(7)
    shapes = random.normal(128, 60, (_HEIGHT // 40, _WIDTH // 40, 3)).clip(0, 255)
    soft = Image.fromarray(shapes.astype(np.uint8)).resize((_WIDTH, _HEIGHT))
    noise = random.normal(0, 12, (_HEIGHT, _WIDTH, 3))
    pixels = (np.asarray(soft, np.float32) + noise).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = _SIDEWAYS
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, exif=exif, **options)
    return file.getvalue()


@asynccontextmanager
async def _calling(sonora: Sonora, vendors: Vendors) -> AsyncGenerator[_Bot]:
    """A bot whose loop is watched, and a call to it that has been greeted."""
    holds = sonora.folder / "holds"
    watched = str(PROJECT / "benchmarks" / "held_loop.py")
    command = [sonora.python, watched, str(holds), str(sonora.bot_file), "--local"]
    async with (
        sonora.running(vendors, command=command) as process,
        page(process.url) as client,
    ):
        await sonora.join(client)
        await client.event("node-changed", node="conversation", timeout_secs=_ANSWERED_SECS)
        yield _Bot(sonora, process, client, holds)


async def _show(bot: _Bot, vendors: Vendors, picture: bytes) -> dict[str, float]:
    """Take a turn without the picture, and one with it."""
    client = bot.client
    began_at = time.monotonic()
    await _answered(client, lambda: client.action("user_text_message", text="Hola"))
    idle_until = time.monotonic()

    file, data = str(uuid4()), base64.b64encode(picture).decode()
    parts = [data[at : at + _PART_CHARS] for at in range(0, len(data), _PART_CHARS)]
    sent_at = time.monotonic()
    for index, part in enumerate(parts):
        await _accepted(
            client.action("file_part", id=file, index=index, total=len(parts), data=part)
        )
    shown_at, asked = time.monotonic(), len(vendors.openai.log.of("request"))
    await _answered(
        client, lambda: client.action("user_multimodal_message", text=_TEXT, files=[file])
    )
    request = next(
        each for each in vendors.openai.log.of("request")[asked:] if "image_url" in str(each.facts)
    )
    await asyncio.sleep(0.1)
    return {
        _WHOLE: (request.at_secs - sent_at) * 1000,
        _SHOWN: (request.at_secs - shown_at) * 1000,
        _BYTES: len(str(request["body"])) / 1000,
        _HELD: longest_hold_secs(bot.holds, sent_at, request.at_secs) * 1000,
        _IDLE: longest_hold_secs(bot.holds, began_at, idle_until) * 1000,
    }


async def _answered(client: RtviClient, act: Callable[[], Any]) -> None:
    """Do something that is answered, and hear the answer out."""
    before = len(client.messages)
    await _accepted(act())
    await client.event(
        "message-recorded", role="assistant", after=before, timeout_secs=_ANSWERED_SECS
    )


async def _accepted(answer: Any) -> None:  # noqa: ANN401  # awaitable
    told = await answer
    if told["type"] != "server-response":
        raise RuntimeError(f"the bot refused it: {told['data']}")


def _figure(name: str, values: dict[str, list[float]]) -> Figure:
    what = name.partition(": ")[2]
    return Figure(
        name=name,
        unit=_UNITS[what],
        values={bot: [round(each, 1) for each in taken] for bot, taken in values.items()},
        limit=_HELD_LIMIT_MS if what == _HELD else None,
    )


def _children_mb(pid: int) -> float:
    """The memory of a process's children, in MB."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = {int(each) for task in tasks for each in task.read_text("ascii").split()}
    return round(sum(map(process_mb, children)), 1)

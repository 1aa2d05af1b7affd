"""What goes wrong for everybody at once: database, disk and clock, vendors that let nobody in."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus

from benchmarks.soak.process import fill_disk, set_clock
from benchmarks.soak.studio import Studio
from simulators.clients.bot_process import BotProcess
from simulators.vendors.websocket import WebSocketVendor
from tests.supabase.proxy import (
    GARBAGE,
    HEALTHY,
    STALLED,
    Fault,
    FaultProxy,
    How,
    answering,
    at_random,
)

_CALM_SECS = (5.0, 25.0)
_BAD_SECS = (4.0, 15.0)
_DISK_CALM_SECS = (30.0, 80.0)
_CLOCK_CALM_SECS = (60.0, 150.0)
_HOUR_SECS = 3600
_REFUSALS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class Weather:
    """Good and bad spells, drawn from a seed, until `run` is cancelled.

    Args:
        numbers: Where spells are drawn from.
        studio: The vendors.
        proxy: In front of the database, or None without one.
        bots: Whose disks and clocks go wrong.
        note: Told of each spell as it begins.

    Attributes:
        spells: How often each thing happened.
        refusing: When a vendor let nobody in, as monotonic seconds.
        full: When a disk was full.
        clocks: When a clock was set.
    """

    def __init__(
        self,
        numbers: random.Random,
        studio: Studio,
        proxy: FaultProxy | None,
        bots: Sequence[BotProcess],
        note: Callable[[str], None],
    ) -> None:
        """Set up; all is well until `run`."""
        self._numbers = numbers
        self._studio = studio
        self._proxy = proxy
        self._bots = bots
        self._note = note
        self.spells: Counter[str] = Counter()
        self.refusing: list[tuple[float, float]] = []
        self.full: list[tuple[float, float]] = []
        self.clocks: list[tuple[float, float]] = []

    async def run(self) -> None:
        """Change the weather until cancelled; then all is well again."""
        async with asyncio.TaskGroup() as spells:
            if self._proxy is not None:
                spells.create_task(self._database(self._proxy))
            spells.create_task(self._vendors())
            if self._bots:
                spells.create_task(self._disks())
                spells.create_task(self._clocks())

    async def _database(self, proxy: FaultProxy) -> None:
        try:
            while True:
                await self._pause(_CALM_SECS)
                kind, fault = self._numbers.choice(_DATABASE)
                self._begins(f"database: {kind}")
                if kind == "gone":
                    await proxy.stop()
                elif fault is None:
                    proxy.choose = at_random(self._numbers.randrange(2**32), rate=0.5)
                else:
                    proxy.always(fault)
                try:
                    await self._pause(_BAD_SECS)
                finally:
                    proxy.always(HEALTHY)
                    if kind == "gone":
                        await proxy.start()
        finally:
            proxy.always(HEALTHY)

    async def _disks(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._pause(_DISK_CALM_SECS)
            bot = self._numbers.choice(self._bots)
            self._begins("disk: full")
            started = loop.time()
            await fill_disk(bot, full=True)
            try:
                await self._pause(_BAD_SECS)
            finally:
                await fill_disk(bot, full=False)
                self.full.append((started, loop.time()))

    async def _clocks(self) -> None:
        while True:
            await self._pause(_CLOCK_CALM_SECS)
            bot = self._numbers.choice(self._bots)
            ahead_secs = self._numbers.choice((_HOUR_SECS, -_HOUR_SECS))
            self._begins(f"clock: an hour {'on' if ahead_secs > 0 else 'back'}")
            await self._set(bot, ahead_secs)
            try:
                await self._pause(_DISK_CALM_SECS)
            finally:
                # Which is a step as well.
                await self._set(bot, 0)

    async def _set(self, bot: BotProcess, ahead_secs: int) -> None:
        now = asyncio.get_running_loop().time()
        self.clocks.append((now, now))
        await set_clock(bot, ahead_secs=ahead_secs)

    async def _vendors(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._pause((40.0, 90.0))
            name, vendor = self._numbers.choice(
                (("recogniser", self._studio.deepgram), ("voice", self._studio.cartesia))
            )
            status = self._numbers.choice(_REFUSALS)
            self._begins(f"{name}: lets nobody in ({status.value})")
            started = loop.time()
            await self._refuse(vendor, status)
            self.refusing.append((started, loop.time()))

    async def _refuse(self, vendor: WebSocketVendor, status: HTTPStatus) -> None:
        vendor.refuse_with = status
        try:
            await self._pause((3.0, 8.0))
        finally:
            vendor.refuse_with = None

    def _begins(self, what: str) -> None:
        self.spells[what] += 1
        self._note(what)

    async def _pause(self, between: tuple[float, float]) -> None:
        await asyncio.sleep(self._numbers.uniform(*between))


_DATABASE: tuple[tuple[str, Fault | None], ...] = (
    ("faults at random", None),
    ("gone", HEALTHY),
    ("never answers", STALLED),
    ("503", answering(503)),
    ("401", answering(401)),
    ("429", answering(429, Retry_After="1")),
    ("garbage", GARBAGE),
    ("slow", Fault(latency_secs=0.8)),
    ("breaks off", Fault(How.CUT)),
)

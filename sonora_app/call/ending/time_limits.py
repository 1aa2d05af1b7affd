"""The time limits of a call: until a conversation is named, of silence, and of the whole call.

Each limit only sends an event to the flow; the flow decides what follows. All times are settings,
in seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger
from pipecat.frames.frames import UserIdleTimeoutUpdateFrame

from sonora_app.call.call import Call
from sonora_app.call.ending.leaving import fail, leave
from sonora_app.call.presence.who_speaks import WhoSpeaks
from sonora_app.flow.driver import Move
from sonora_app.storage.records import EndReason

_QUIET_MOMENT_SECS = 10.0
"""How long an announcement waits for nobody to be speaking before it is made anyway."""

_GREETING_SECS = 20.0
"""How long a greeting may take before the conversation goes on without its end."""

_UNANSWERED_SECS = 20.0
"""How long the bot may be silent after the user's turn, before it apologises; and then again,
before the call ends. Longer than a model may take to begin (llm.py): it is for answers that were
lost without an error, such as one with no words or no sound in it."""


class CallLimits:
    """Keeps the time of one call.

    Args:
        call: The call.
        who_speaks: Who is speaking.
        nobody_asked: Sees to a call whose page named no conversation in time.
    """

    def __init__(
        self, call: Call, who_speaks: WhoSpeaks, *, nobody_asked: Callable[[], Awaitable[None]]
    ) -> None:
        """Create clocks that do not run yet."""
        self._call = call
        self._who_speaks = who_speaks
        self._nobody_asked = nobody_asked
        self._nudges = 0
        self._waiting_since_connected = asyncio.Event()
        self._moved_to: asyncio.Queue[str] = asyncio.Queue()
        self._unanswered: asyncio.Queue[bool] = asyncio.Queue()
        call.driver.moved.add(self._moved)
        who_speaks.bot_began.add(self._bot_speaks)

    def client_connected(self) -> None:
        """Start waiting for the conversation id anew: only now can the page send it."""
        self._waiting_since_connected.set()

    async def run(self) -> None:
        """Keep the time until cancelled."""
        async with asyncio.TaskGroup() as clocks:
            clocks.create_task(self._watch_waiting(), name="sonora-waiting-limit")
            clocks.create_task(self._watch_length(), name="sonora-call-limit")
            clocks.create_task(self._watch_answers(), name="sonora-answer-limit")
            while True:
                match await self._moved_to.get():
                    case "greeting":
                        clocks.create_task(self._watch_greeting(), name="sonora-greeting-limit")
                    case "farewell":
                        clocks.create_task(self._watch_farewell(), name="sonora-farewell-limit")
                    case _:
                        pass

    def user_said(self) -> None:
        """The user said or typed something that is to be answered."""
        self._nudges = 0
        self._unanswered.put_nowait(True)

    def answered(self) -> None:
        """The user got an answer: the bot speaks, or has written."""
        self._unanswered.put_nowait(False)

    async def user_active(self) -> None:
        """The user did something: silence is counted from here, and so are the nudges."""
        self._nudges = 0
        await self.count_silence()

    async def count_silence(self) -> None:
        """Silence is counted from here, where Pipecat does not: it counts from what is spoken."""
        await self._call.worker.queue_frame(
            UserIdleTimeoutUpdateFrame(timeout=self._call.settings.idle_secs)
        )

    async def user_idle(self) -> None:
        """The user has been silent: nudge, or wind up. Nobody is asked where nobody is there."""
        call = self._call
        if not call.presence.there:
            return
        if call.driver.node == "wrap_up":
            await leave(call, EndReason.USER_IDLE)
        elif call.driver.talking:
            nudges = call.lines.all("nudge")
            if self._nudges < call.settings.idle_nudges:
                await call.say(nudges[min(self._nudges, len(nudges) - 1)])
                self._nudges += 1
            elif not await call.wind_up(EndReason.USER_IDLE):
                await leave(call, EndReason.USER_IDLE)

    async def _moved(self, move: Move) -> None:
        self._moved_to.put_nowait(move.to_node)

    async def _bot_speaks(self) -> None:
        self.answered()

    async def _watch_greeting(self) -> None:
        """Move on from a greeting whose end is never reported, as when the voice is down."""
        await asyncio.sleep(_GREETING_SECS)
        if await self._call.driver.fire_if_possible("greeting_finished", cause="greeting_limit"):
            logger.warning(f"The greeting did not end within {_GREETING_SECS:g} s")

    async def _watch_farewell(self) -> None:
        """Cut a call whose farewell is never heard to its end, for the same reason."""
        await asyncio.sleep(self._call.settings.closing_secs)
        await self._call.worker.cancel(reason="the farewell did not end by itself")

    async def _watch_answers(self) -> None:
        """Break a silence that Pipecat does not count: it does so from the end of the bot's
        speech, and after an answer that was lost there is none."""
        call = self._call
        silences = 0
        waiting = False
        while True:
            try:
                async with asyncio.timeout(_UNANSWERED_SECS if waiting else None):
                    waiting = await self._unanswered.get()
                silences = 0
                continue
            except TimeoutError:
                # Where nobody is there, nobody waits.
                waiting = call.presence.there and self._who_speaks.free and call.driver.talking
            if not waiting:
                continue
            silences += 1
            logger.warning(f"No answer was heard within {_UNANSWERED_SECS:g} s")
            if silences == 1:
                await call.say(call.lines.text("apology.answer"))
            else:
                await fail(call)

    async def _watch_waiting(self) -> None:
        call = self._call
        limit = call.settings.waiting_limit_secs
        try:
            async with asyncio.timeout(limit if not call.settings.is_local else None):
                await self._waiting_since_connected.wait()
        except TimeoutError:
            logger.info("Nobody joined the call in time")
            await call.worker.cancel(reason="nobody joined")
            return
        await asyncio.sleep(limit)
        if call.driver.node != "waiting":
            return
        logger.info(f"No conversation was named within {limit:g} s")
        await self._nobody_asked()

    async def _watch_length(self) -> None:
        call, settings = self._call, self._call.settings
        await asyncio.sleep(max(0.0, settings.max_call_secs - settings.call_warning_secs))
        if settings.call_warning_secs > 0:
            await self._who_speaks.wait_until_free(timeout_secs=_QUIET_MOMENT_SECS)
            if call.driver.talking:
                await call.say(call.lines.text("time_warning"))
            await asyncio.sleep(settings.call_warning_secs)
        logger.info(f"The call reached its limit of {settings.max_call_secs:g} s")
        await self._who_speaks.wait_until_free(timeout_secs=_QUIET_MOMENT_SECS)
        await call.wind_up(EndReason.TIME_LIMIT)
        await asyncio.sleep(settings.closing_secs)
        await leave(call, EndReason.TIME_LIMIT)

"""Tells whether the bot or the user is speaking, so that events can wait for silence."""

import asyncio

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed

from sonora_app.runtime.listeners import Listeners


class WhoSpeaks(BaseObserver):
    """Watches the turns of a call.

    Attributes:
        bot_began: Told when the bot begins to speak.
    """

    def __init__(self) -> None:
        """Start with nobody speaking."""
        super().__init__(observe_every_push=False)
        self.bot_began = Listeners[()]("the bot speaking")
        self._bot = False
        self._user = False
        self._changed = asyncio.Condition()

    @property
    def free(self) -> bool:
        """Whether nobody is speaking."""
        return not (self._bot or self._user)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow who starts and stops."""
        match data.frame:
            case BotStartedSpeakingFrame():
                await self.bot_began.tell()
                await self._set(bot=True)
            case BotStoppedSpeakingFrame():
                await self._set(bot=False)
            case UserStartedSpeakingFrame():
                await self._set(user=True)
            case UserStoppedSpeakingFrame():
                await self._set(user=False)
            case _:
                pass

    async def wait_until_free(self, *, timeout_secs: float) -> bool:
        """Wait for a moment when nobody speaks.

        Args:
            timeout_secs: How long to wait at most, in seconds.

        Returns:
            Whether there was one.
        """
        try:
            async with asyncio.timeout(timeout_secs), self._changed:
                await self._changed.wait_for(lambda: self.free)
        except TimeoutError:
            return False
        return True

    async def _set(self, *, bot: bool | None = None, user: bool | None = None) -> None:
        async with self._changed:
            self._bot = self._bot if bot is None else bot
            self._user = self._user if user is None else user
            self._changed.notify_all()

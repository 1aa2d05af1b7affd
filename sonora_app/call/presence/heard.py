"""Keeps of what the bot says only what somebody can have heard: see `presence.py`."""

import asyncio
from collections import deque

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    SystemFrame,
    TextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from sonora_app.call.presence.presence import Presence
from sonora_app.turns.bot_speech import BotSpeech

_AHEAD_NS = 20_000_000
"""A word that comes this much before its time is not played yet, in nanoseconds: its sound is held
back. Pipecat waits for the time of one word at once, whatever the clock does meanwhile."""

_TURNS_UNTIL_READ = 4
"""How many turns of the event loop a processor needs to read a frame and see to it: one to take it
from each of its two queues, and as many to spare."""


class HeardWords(FrameProcessor):
    """Stands before the end of the pipeline that remembers what was said.

    A word passes at once while packets arrive from the client. Otherwise it waits, and what comes
    after it, until the next packet tells whether it was heard; what was not is left out. A word
    whose sound is held back waits for it.

    Args:
        presence: Whether somebody is there.
        speech: The bot's speech.
    """

    def __init__(self, presence: Presence, speech: BotSpeech) -> None:
        """Create the processor, which sees to frames at once and has no queue of its own."""
        super().__init__(enable_direct_mode=True)
        self._presence = presence
        self._speech = speech
        self._waiting: deque[Frame] = deque()
        self._passing_on = False
        self._cut_off = False
        presence.arrived.add(self._pass_on)
        presence.lost.add(self._nobody_heard)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, hold it back, or leave it out."""
        await super().process_frame(frame, direction)
        if self._presence.on_played is not None and isinstance(frame, OutputAudioRawFrame):
            self._presence.on_played(frame)
        if isinstance(frame, InterruptionFrame):
            # As Pipecat does with what waits in a queue.
            self._waiting = deque(waits for waits in self._waiting if not waits.interruptible)
            await self._pass_on(heard=False)
            # Pipecat's queues put an interruption first. A word that was passed on just before
            # would be read after it, and begin the next answer. A word that comes meanwhile would
            # as well: the output cuts off what it has to say only after it passed this on.
            self._cut_off = True
            for _ in range(_TURNS_UNTIL_READ):
                await asyncio.sleep(0)
            self._cut_off = False
        if direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame):
            await self.push_frame(frame, direction)
        elif isinstance(frame, TextFrame) and self._is_unheard(frame):
            return
        elif self._is_ahead(frame):
            self._waiting.append(frame)
            self.create_task(self._pass_on_at(frame.pts or 0))
        elif self._waiting or (isinstance(frame, TextFrame) and self._presence.doubtful):
            self._waiting.append(frame)
        else:
            await self.push_frame(frame, direction)

    def _is_unheard(self, word: TextFrame) -> bool:
        return not self._presence.there or (self._cut_off and word.interruptible)

    def _is_ahead(self, frame: Frame) -> bool:
        if not isinstance(frame, TextFrame) or not frame.pts:
            return False
        now = self._speech.clock.get_time()
        # Where the bot is held back from its first sound on, its first word is due, and not played.
        return frame.pts > now + _AHEAD_NS or (self._speech.held and frame.pts >= now)

    async def _pass_on_at(self, pts: int) -> None:
        await self._speech.reached(pts)
        if not self._presence.doubtful:
            await self._pass_on(heard=True)

    async def _nobody_heard(self) -> None:
        await self._pass_on(heard=False)

    async def _pass_on(self, heard: bool) -> None:
        """Pass on what waits; the words only if they were heard."""
        if self._passing_on:
            return
        self._passing_on = True
        try:
            while self._waiting:
                frame = self._waiting[0]
                if heard and self._is_ahead(frame):
                    break
                if heard or not isinstance(frame, TextFrame):
                    await self.push_frame(frame)
                # An interruption may have emptied it meanwhile.
                if self._waiting and self._waiting[0] is frame:
                    self._waiting.popleft()
        finally:
            self._passing_on = False

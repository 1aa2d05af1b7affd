"""Reports the user's voice, and not the bot's own, which comes back out of a loudspeaker.

Whoever is told of a voice takes it for the user's: it would hold the bot back, a recogniser would
look for words in it, and the silence after it would end a turn.
"""

from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    UserSpeakingFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.detectors import Silero

_JUDGED_SECS = 0.08
"""How often a voice that was the bot's is judged again, in seconds: the user may speak over it."""

_SURE = 3
"""So often in a row somebody is heard over it who does speak. Once is not enough: where the delay
has just changed, it is not alike for a moment."""


class UsersVADProcessor(VADProcessor):
    """Pipecat's voice activity processor, which reports no voice that is the bot's own.

    Args:
        silero: Hears the user.
        speech: The bot's speech, which tells its own voice; None: no voice is taken for that.
    """

    def __init__(self, silero: Silero, speech: BotSpeech | None = None) -> None:
        """Create the processor, which hears audio at once and has no queue of its own."""
        super().__init__(vad_analyzer=silero, enable_direct_mode=True)
        self._speech = speech
        # How the voice would have been reported that is the bot's, and how long ago it was judged.
        self._unreported: dict[str, Any] | None = None
        self._unjudged_secs = 0.0
        self._over = 0  # how often in a row somebody seemed to speak over it

    @property
    def hears_bot(self) -> bool:
        """Whether the voice that is heard at the moment is the bot's."""
        return self._unreported is not None

    def is_bots(self) -> bool:
        """Judge whether the voice that has just been noticed is the bot's."""
        return self._speech is not None and self._speech.own_voice.is_alone()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Listen, and judge again what was the bot's voice."""
        if isinstance(frame, InputAudioRawFrame) and self._speech is not None:
            self._speech.own_voice.hear(frame.audio, frame.sample_rate)
        await super().process_frame(frame, direction)
        if self._unreported is None or self._speech is None:
            return
        if isinstance(frame, InputAudioRawFrame):
            self._unjudged_secs += len(frame.audio) / 2 / frame.sample_rate
            if self._unjudged_secs >= _JUDGED_SECS:
                self._unjudged_secs = 0.0
                await self._judge_again(self._speech)
        elif isinstance(frame, UserStartedSpeakingFrame):
            # The words have told that the user speaks over it.
            await self._report()

    async def broadcast_frame(self, frame_cls: type[Frame], **kwargs: Any) -> None:  # noqa: ANN401
        """Tell everybody of a voice, unless it is the bot's."""
        if frame_cls is VADUserStartedSpeakingFrame and self.is_bots():
            self._unreported, self._unjudged_secs = kwargs, 0.0
        elif self._unreported is None or frame_cls not in (
            UserSpeakingFrame,
            VADUserStoppedSpeakingFrame,
        ):
            await super().broadcast_frame(frame_cls, **kwargs)
        elif frame_cls is VADUserStoppedSpeakingFrame:
            self._unreported = None
            self._go_on()

    async def _judge_again(self, speech: BotSpeech) -> None:
        """Hold the bot back as soon as somebody seems to speak over it, until that is sure."""
        if not speech.own_voice.is_spoken_over():
            self._go_on()
            return
        speech.hold()
        self._over += 1
        if self._over >= _SURE:
            await self._report()

    def _go_on(self) -> None:
        if self._over and self._speech is not None:
            self._speech.go_on()
        self._over = 0

    async def _report(self) -> None:
        """It is the user's after all, or they speak as well."""
        began, self._unreported = self._unreported, None
        # Whoever is told of the voice holds the bot back or not.
        self._go_on()
        await super().broadcast_frame(VADUserStartedSpeakingFrame, **(began or {}))

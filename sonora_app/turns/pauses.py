"""Notices that the user pauses, before Silero reports the end of their speech.

Silero reports the end of speech after `stop_secs` of silence. A pause is reported here after the
first part of that silence, `PAUSE_SECS`. The silence inside most consonants is shorter, so a
consonant rarely counts as a pause.

Silero goes on hearing a voice for about 60 ms after the last sound. So the silence is measured
twice, by loudness and by Silero, and the longer result counts. In a noisy room only Silero finds a
silence.

Deepgram needs time to answer. So it is asked for the transcript even sooner, when the sound has
become very quiet. The silence inside a consonant is rarely this deep, because reverberation fills
it.

Silero reports no speech that is shorter than 0.2 s, as many a “sí” or “no” is, and most letters.
Deepgram is asked for the words of such a voice as well, and the pause is counted from its end.
"""

from collections.abc import Awaitable, Callable

import numpy as np
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.detectors import Silero
from sonora_app.turns.users_voice import UsersVADProcessor
from sonora_app.vendors.frames import (
    UserHushedFrame,
    UserPausedFrame,
    UserResumedFrame,
    UserSpokeBrieflyFrame,
    UserStirredFrame,
)

PAUSE_SECS = 0.06
"""Silence that counts as a pause, in seconds: two of Silero's windows of 32 ms."""

HUSH_SECS = 0.02
"""A silence that may be a pause, in seconds, provided it is deep: one packet of audio."""

HUSH = 0.05
"""The loudness below which sound is silence, as a part of the loudness of the words before it (root
mean square): 26 dB less."""

DEEP = 0.02
"""The loudness of deep silence, as a part of the same: 34 dB less."""

STIR = 0.1
"""The loudness from which a sound breaks the silence, as a part of the same: 20 dB less than the
words, 6 dB more than the silence."""

_FADING = 0.5
"""How much of a loudness still counts a second later: 6 dB a second, as voices trail off."""


class Loudness:
    """Measures how long a stretch of speech has been silent, by its loudness.

    Attributes:
        hushed_secs: For how long, in seconds.
        hushes: Whether the silence may be a pause.
        stirs: Whether the last sound is well above the silence.
    """

    def __init__(self) -> None:
        """Begin with a stretch of which nothing was heard."""
        self._loudest = 0.0
        self.hushed_secs = 0.0
        self.hushes = self.stirs = False

    def reset(self) -> None:
        """Begin with another stretch of speech."""
        self._loudest = self.hushed_secs = 0.0

    def hear(self, audio: bytes, sample_rate: int) -> None:
        """Take in what was heard next, as 16-bit mono samples."""
        samples = np.frombuffer(audio, np.int16).astype(np.float32)
        if not len(samples):
            return
        secs = len(samples) / sample_rate
        loudness = float(np.sqrt(np.mean(samples**2)))
        if not self.hushed_secs:
            self._loudest *= _FADING**secs
        self._loudest = max(loudness, self._loudest)
        self.stirs = loudness >= self._loudest * STIR
        if loudness < self._loudest * HUSH:
            self.hushed_secs += secs
        else:
            self.hushed_secs = 0.0
        self.hushes = self.hushed_secs >= HUSH_SECS and loudness < self._loudest * DEEP


class PauseNoticingVADProcessor(UsersVADProcessor):
    """The processor that reports the user's voice, which also reports pauses in it.

    Args:
        silero: Hears the user.
        sound_came: Told of each piece of sound that arrives; tells whether to listen to it.
        speech: The bot's speech, which tells its own voice; None: no voice is taken for that.
    """

    def __init__(
        self,
        silero: Silero,
        sound_came: Callable[[InputAudioRawFrame], Awaitable[bool]] | None = None,
        speech: BotSpeech | None = None,
    ) -> None:
        """Create the processor, which hears audio at once and has no queue of its own."""
        super().__init__(silero, speech)
        self._silero = silero
        self._sound_came = sound_came
        self._loudness = Loudness()
        self._hushed = self._paused = False
        # What Silero made of the sound before, and whether a voice has just been too short for it.
        self._state, self._brief = VADState.QUIET, False
        # Whether the last pause was silent, and has been since.
        self._silent = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, and report a pause that begins or ends with it."""
        if isinstance(frame, InputAudioRawFrame) and not await self._is_heard(frame):
            return
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            return
        before, self._state = self._state, self._silero.state
        if self._state is VADState.QUIET:
            self._brief = self._brief or before is VADState.STARTING
        else:
            self._brief = False
        if before is VADState.STARTING and self._is_speech:
            # Whoever hears of speech now is told anew of the silence that it has ended in.
            self._hushed = False
        if self._state is VADState.QUIET and not self._brief:
            self._hushed = self._paused = False
            if not self._silent:
                self._loudness.reset()
                return
        self._loudness.hear(frame.audio, frame.sample_rate)
        if self._silent and self._loudness.stirs:
            self._silent = False
            await self.push_frame(UserStirredFrame())
        if not self.hears_bot and (self._state is not VADState.QUIET or self._brief):
            await self._follow_voice()

    @property
    def _is_speech(self) -> bool:
        return self._state in (VADState.SPEAKING, VADState.STOPPING)

    async def _follow_voice(self) -> None:
        """Report the silences of a voice, be it one that Silero has not reported, or never will."""
        # What does not stir is too soft to tell by loudness whether it is over.
        measured = self._is_speech or not self._silent
        quiet_secs = self._loudness.hushed_secs if measured else 0.0
        if self._state in (VADState.STOPPING, VADState.QUIET):
            quiet_secs = max(quiet_secs, self._silero.quiet_secs)
        pauses = quiet_secs >= PAUSE_SECS
        if not self._hushed and (pauses or (measured and self._loudness.hushes)):
            self._hushed = True
            await self.push_frame(UserHushedFrame(quiet_secs=quiet_secs))
        if self._brief and pauses:
            self._brief = False
            if not self.is_bots():
                await self.push_frame(UserSpokeBrieflyFrame(quiet_secs=quiet_secs))
        elif self._is_speech and pauses and not self._paused:
            self._paused = True
            self._silent = self._loudness.hushed_secs >= PAUSE_SECS
            await self.push_frame(UserPausedFrame(quiet_secs=quiet_secs))
        elif self._hushed and quiet_secs == 0:
            self._hushed = self._paused = False
            await self.push_frame(UserResumedFrame())

    async def _is_heard(self, frame: InputAudioRawFrame) -> bool:
        return self._sound_came is None or await self._sound_came(frame)

"""Notices that the person speaks the other language, before anybody answers them."""

from collections.abc import Callable, Sequence

from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    Frame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from sonora_app.settings import Language
from sonora_app.turns.spoken_language import SpokenLanguage, written_in
from sonora_app.vendors.frames import NoTurnFrame


class LanguageListener(FrameProcessor):
    """Follows the language of what is recognised. Stands right after the recogniser.

    Args:
        language: What is spoken at first.

    Attributes:
        change: Changes the language of the call, and gives the frames that tell the services of
            it. They go ahead of the transcript, and so ahead of the request for an answer.
        goes_on: Tells whether the turn that has begun goes on with the one before.
    """

    def __init__(self, language: Language) -> None:
        """Create the processor, which sees to frames at once and has no queue of its own."""
        super().__init__(enable_direct_mode=True)
        self.change: Callable[[Language], Sequence[Frame]] | None = None
        self.goes_on: Callable[[], bool] = bool
        self._spoken = SpokenLanguage(language)

    def expect(self, language: Language) -> None:
        """The call is in this language from here on."""
        if language is not self._spoken.language:
            self._spoken = SpokenLanguage(language)

    def typed(self, text: str) -> Sequence[Frame]:
        """Judge a turn that was typed.

        Returns:
            What tells the services of another language, if it changes that of the call.
        """
        self._spoken.turn_ended()
        told = self._judge(text, written_in(text))
        self._spoken.turn_ended()
        return told

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Judge what was said before it is passed on."""
        await super().process_frame(frame, direction)
        match frame:
            case TranscriptionFrame() | EagerTranscriptionFrame():
                guessed = isinstance(frame, EagerTranscriptionFrame)
                for told in self._judge(frame.text, frame.language, guessed=guessed):
                    await self.push_frame(told)
            case UserStartedSpeakingFrame() if self.goes_on():
                self._spoken.turn_goes_on()
            case UserStoppedSpeakingFrame():
                self._spoken.turn_ended()
            case NoTurnFrame():
                self._spoken.forget_turn()
            case _:
                pass
        await self.push_frame(frame, direction)

    def _judge(self, text: str, code: str | None, *, guessed: bool = False) -> Sequence[Frame]:
        changed = self._spoken.heard(text, code, guessed=guessed)
        return self.change(self._spoken.language) if changed and self.change else ()

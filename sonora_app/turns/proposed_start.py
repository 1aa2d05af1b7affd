"""Begins the user's turn where the recogniser finds the turns by itself, as Deepgram's Flux does.

Flux proposes a turn with its first word. While the bot is silent, that begins the turn. While the
bot speaks, the words decide, as in `start.py`. A voice alone holds nothing back: Flux would never
tell that it had no words. It only tells that the words are not the bot's own.
"""

from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.replies.grammar import Replies
from sonora_app.turns.start import OverBotTurnStart
from sonora_app.vendors.frames import UserSpokeBrieflyFrame

_WORDS_SECS = 2.0
"""How long after the first words of a turn the others may take to come, in seconds: a short turn,
and the silence by which Flux knows its end."""


class ProposedTurnStart(OverBotTurnStart):
    """Begins the turns that a recogniser proposes, unless their words take no turn.

    Args:
        speech: The bot's speech.
        replies: Tells by the words what takes no turn.
    """

    def __init__(self, speech: BotSpeech, replies: Replies) -> None:
        """Create a strategy for one call."""
        super().__init__(speech, replies, tells_interims=True)
        self._unheard_secs = _WORDS_SECS

    @property
    def resolves_proposed_turn_start_frames(self) -> bool:
        """Whether it decides on proposals: it does."""
        return True

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow who speaks, and what."""
        match frame:
            case ProposedUserStartedSpeakingFrame():
                if not self._over_bot(self._unheard_secs):
                    await self.trigger_user_turn_started()
            case VADUserStartedSpeakingFrame() | UserSpokeBrieflyFrame():
                self.words.of_voice = True
                self._voice_noticed()
            case VADUserStoppedSpeakingFrame():
                if not (self._in_turn or self._listening or self.words.text):
                    await self._waiting.wait(self._unheard_secs, self._dismiss)
            case STTMetadataFrame():
                pass
            case EagerTranscriptionFrame():
                # Words that no interim transcript told may be in it.
                told = InterimTranscriptionFrame(frame.text, frame.user_id, frame.timestamp)
                return await super().process_frame(told)
            case TranscriptionFrame():
                # It is the whole turn, also where the connection broke off.
                self._all_transcribed = True
                return await super().process_frame(frame)
            case _:
                return await super().process_frame(frame)
        return ProcessFrameResult.CONTINUE

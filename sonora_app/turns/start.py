"""Begins the user's turn, and tells a turn from what is only said, or heard, beside the bot's.

While the bot is silent, a voice begins a turn, as with Pipecat's own strategies. While its answer
is awaited, words do: a cough would cost the answer, which is only held back until it is over. While
the bot speaks, a voice holds its speech back as quickly, but what happens then depends on the
words:

- Words that take the turn begin it. What was held back is dropped.
- Words that only tell that somebody listens (“ajá”, “claro”) are reported as such, and the bot goes
  on. Where the bot asks something, or is about to end, they are an answer.
- Without words (a cough, a knock, keys) the bot goes on.
- Words that the bot has just said itself are its own voice, which comes back from a loudspeaker.
  From then on a voice holds nothing back in this call: only words can tell whose it is.
"""

import time
from functools import partial

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    UserBackchannelFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import BaseUserTurnStartStrategy

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.over_bot import WordsOverBot
from sonora_app.turns.replies.grammar import Replies
from sonora_app.turns.waiting import Waiting
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from sonora_app.vendors.frames import (
    NoTurnFrame,
    UserHushedFrame,
    UserResumedFrame,
    UserSpokeBrieflyFrame,
)

WORDLESS_SECS = 1.4
"""A voice that lasts this long over the bot's without a word being recognised says none, in
seconds. Interim transcripts may come a second apart."""

UNHEARD_SECS = 1.0
"""How long after the end of a sound its words may take to come, in seconds, before it counts as one
without words. Deepgram tells sooner that there are none. A recogniser has longer if it says so."""

_HELD_SECS = 2.5
"""The longest time for which the bot is held back, in seconds, however many sounds come."""

TRAILING_SECS = 0.3
"""A voice that is noticed so long after the bot has stopped may still be its own, in seconds."""

_LATE_SECS = 5.0
"""So long after the bot has stopped, its own words may still be told, in seconds, if no voice of
the user's came since: nobody asks for the words of a voice that is the bot's."""

_CUT_SECS = 0.3
"""How long Pipecat may take to drop the speech that a turn cuts off, in seconds."""


class OverBotTurnStart(BaseUserTurnStartStrategy):
    """Begins the user's turn.

    Args:
        speech: The bot's speech.
        replies: Tells by the words what takes no turn.
        tells_interims: Whether the recogniser tells words while they are spoken. If it does not, a
            voice that lasts begins a turn.

    Attributes:
        words: The words that are said over the bot's speech.
    """

    def __init__(self, speech: BotSpeech, replies: Replies, *, tells_interims: bool) -> None:
        """Create a strategy for one call."""
        super().__init__()
        self.words = WordsOverBot(speech, replies)
        self._speech = speech
        self._tells_interims = tells_interims
        self._unheard_secs = UNHEARD_SECS
        self._bot_speaks = self._in_turn = False
        self._answer_due = False  # whether what was said is still to be answered
        # Whether there is a sound over the bot's speech, whether that still lasts, and whether all
        # the words in it are known.
        self._listening = self._voice = self._all_transcribed = False
        self._stopped_at = 0.0  # the bot
        self._held_until = 0.0
        self._waiting = Waiting(self)

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow who speaks, and what."""
        match frame:
            case BotStartedSpeakingFrame():
                # What is held back from its first sound on is still awaited.
                self._bot_speaks, self._answer_due = True, self._answer_due and self._speech.held
            case BotStoppedSpeakingFrame():
                await self._bot_stopped()
            case InterruptionFrame():
                # Somebody else's, as when the user types.
                self._answer_due = False
                await self._pass_over(cut=True)
            case STTMetadataFrame():
                self._unheard_secs = max(UNHEARD_SECS, frame.ttfs_p99_latency)
            case VADUserStartedSpeakingFrame():
                await self._voice_began()
            case VADUserStoppedSpeakingFrame():
                self._voice = False
                if self._listening:
                    await (self._decide() if self._all_transcribed else self._wait_for_words())
            case UserHushedFrame() | UserResumedFrame():
                self._all_transcribed = False
            case UserSpokeBrieflyFrame():
                await self._voice_was_brief()
            case AllTranscribedFrame():
                self._all_transcribed = True
                if not self._voice and (self._listening or self.words.are_final):
                    await self._decide()
            case InterimTranscriptionFrame() | TranscriptionFrame() if frame.text.strip():
                await self._heard(frame)
                self._answer_due |= self._in_turn
            case _:
                pass
        return ProcessFrameResult.CONTINUE

    async def handle_user_turn_started(self) -> None:
        """Leave the words to the turn."""
        self._in_turn, self._stopped_at = True, 0.0
        self._leave()
        await self._waiting.stop()
        await super().handle_user_turn_started()

    async def handle_user_turn_stopped(self) -> None:
        """Listen for the next turn."""
        self._in_turn = False
        self.words.turn_over()
        await super().handle_user_turn_stopped()

    async def cleanup(self) -> None:
        """Hold nothing back any more."""
        await self._waiting.stop()
        self._speech.go_on()
        await super().cleanup()

    # --- What comes

    async def _voice_began(self) -> None:
        self._voice, self._all_transcribed = True, False
        awaited = self._answer_due and self._tells_interims
        if self._in_turn or not (awaited or self._voice_over_bot):
            return await self.trigger_user_turn_started()
        self._listen()
        await self._waiting.wait(self._at_most(WORDLESS_SECS), self._voice_lasts)

    async def _voice_was_brief(self) -> None:
        """A recogniser that hears words only in what Silero reports has none of these."""
        self._voice_noticed()
        known = self._in_turn or self._voice or self._all_transcribed
        if self._bot_speaks and self._tells_interims and not known:
            self._listen()
            await self._wait_for_words()

    def _voice_noticed(self) -> None:
        """After the bot's end a voice is the user's, and so are the words that come."""
        if not (self._voice_over_bot or self._answer_due):
            self._stopped_at, self._listening = 0.0, False

    def _listen(self) -> None:
        """Hold the bot's speech back, until it is known what the voice is."""
        if not self._listening:
            self.words.take_back()
        self.words.of_voice = True
        self._hold()

    def _hold(self) -> None:
        holds = not (self.words.may_be_own or self._speech.held)
        if holds or not self._listening:
            self._held_until = time.monotonic() + _HELD_SECS
        self._listening = True
        if holds:
            self._speech.hold()

    async def _heard(self, frame: InterimTranscriptionFrame | TranscriptionFrame) -> None:
        self.words.note(frame)
        if self._in_turn:
            return
        self.words.hear(frame)
        late_secs = _LATE_SECS if self._speech.surely_comes_back else TRAILING_SECS
        over = self._listening or self._answer_due or self._over_bot(late_secs)
        awaited = self._answer_due
        if not over or (awaited and not self.words.take_no_turn(yet=True, awaited=True)):
            return await self._take_turn()
        final = isinstance(frame, TranscriptionFrame)
        self._all_transcribed = final and (self._all_transcribed or frame.finalized)
        few_yet = self._voice and self.words.are_few
        if self.words.are_final and self.words.echo() and not few_yet:
            self._speech.has_heard_itself(self.words.text)
            self.words.clear()
            await self._forget()
        elif not self.words.take_no_turn(yet=True, awaited=awaited):
            return await self._take_turn()
        elif not (self._listening or self.words.only_acknowledge()):
            # Words may come before a voice is noticed. What these are is not known yet.
            self._hold()
            await self._wait_for_words()
        elif not self._listening and self.words.are_final:
            # Others may follow, or the recogniser tells that there are none.
            await self._waiting.wait(self._unheard_secs, self._pass_over)
        if self._all_transcribed and not self._voice:
            await self._decide()

    async def _bot_stopped(self) -> None:
        self._bot_speaks, self._stopped_at = False, time.monotonic()
        # A word or two of a voice that goes on may begin an answer.
        begins = self._voice and self.words.are_few
        if self._listening and not self.words.may_be_own and (begins or not self.words.echo()):
            if self._voice or self.words.text:
                # It came with the bot's last. Pipecat has to know first that that has stopped, or
                # takes it for cut off.
                await self._waiting.wait(0.0, partial(self._take_turn, by_words=False))
            else:
                await self._dismiss()  # words that come begin a turn
        elif not self._listening and self.words.are_final:
            await self._pass_over()
        self._speech.go_on()

    # --- What it means

    @property
    def _voice_over_bot(self) -> bool:
        """Whether a voice that is noticed is over the bot's, or may be its own."""
        return self._over_bot(TRAILING_SECS if self._speech.only_words_tell else 0.0)

    def _over_bot(self, trailing_secs: float) -> bool:
        """Whether the bot speaks, or its own voice may still come back."""
        trails = time.monotonic() - self._stopped_at < trailing_secs
        return self._bot_speaks or (self._speech.comes_back and trails)

    async def _wait_for_words(self) -> None:
        await self._waiting.wait(self._at_most(self._unheard_secs), self._decide)

    def _at_most(self, secs: float) -> float:
        return max(0.0, min(secs, self._held_until - time.monotonic()))

    async def _voice_lasts(self) -> None:
        wordless = self._tells_interims and not self.words.text
        if self._speech.only_words_tell or self.words.echo() or wordless:
            await self._pass_over()
        else:
            await self._take_turn(by_words=False)

    async def _decide(self) -> None:
        """The sound is over, and what words it had are known."""
        if self.words.text and not self.words.take_no_turn(awaited=self._answer_due):
            await self._take_turn(by_words=False)
        else:
            await self._pass_over()

    async def _pass_over(self, *, cut: bool = False) -> None:
        """What came was no turn; an acknowledgement is told."""
        text, spoken_at = self.words.text, self.words.spoken_at
        if self.words.are_final and self.words.echo():
            self._speech.has_heard_itself(text)
        acknowledges = self.words.only_acknowledge()
        if text:
            await self._forget()
        if acknowledges:
            await self.push_frame(UserBackchannelFrame(text=text, user_id="", timestamp=spoken_at))
        await self._dismiss(cut=cut)

    async def _forget(self) -> None:
        """Have everybody forget the words."""
        self.words.forget()
        await self.trigger_reset_aggregation()
        await self.broadcast_frame(NoTurnFrame)

    async def _dismiss(self, *, cut: bool = False) -> None:
        """What came was no turn."""
        self._leave()
        self._answer_due &= not self._bot_speaks
        await self._waiting.stop()
        if cut and self._speech.held:
            await self._drop()
        else:
            self._speech.go_on()

    async def _take_turn(self, *, by_words: bool = True) -> None:
        """Begin the turn, and drop what was held back of the bot's speech.

        Args:
            by_words: Whether a transcript begins it, which the turn's end is told of next.
        """
        told = self._all_transcribed and not self._voice and not by_words
        held = self._speech.held
        await self.trigger_user_turn_started()
        if held:
            await self._drop()
        if told:
            await self.push_frame(AllTranscribedFrame())

    async def _drop(self) -> None:
        """Drop what is held back. Pipecat tells when it has, unless the bot has said nothing."""
        self._speech.cut()
        await self._waiting.wait(_CUT_SECS, self._flow)

    async def _flow(self) -> None:
        self._speech.go_on()

    def _leave(self) -> None:
        self._listening = self.words.of_voice = False
        self.words.clear()

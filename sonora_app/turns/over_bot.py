"""What is said over the bot's speech, and whether its words take a turn.

Words that the bot has just said itself are its own voice, which comes back from a loudspeaker.
"""

import time

from pipecat.frames.frames import InterimTranscriptionFrame, TranscriptionFrame

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.replies.grammar import Replies, words_of

_ECHO_WORDS = 3
"""So many words that the bot has just said are its own, in a final transcript. Interim ones may be
the beginning of as many."""

_REPLYING_WORDS = 3
"""So many words, at either end of what sounds like the bot's own, may be a reply to it."""

_FRESH_WORDS = 6
"""Fewer are its own if it has said no more than so many since, in some two seconds. Where a voice
holds the bot back, its own is over after a word or two."""

_ADDED_SECS = 3.0
"""Thanks, or a “please”, of which the first word is known so long after a turn belong to it, in
seconds. People pause for up to a second after “sí”."""


class WordsOverBot:
    """The words of one sound over the bot's speech, or before it, as far as they are known.

    Args:
        speech: The bot's speech.
        replies: Tells by the words what takes no turn.

    Attributes:
        replies: The same. Replaced when the language changes.
        of_voice: Whether a voice was noticed that they may be of.
        spoken_at: When the last of the words were spoken, as the recogniser tells it.
    """

    def __init__(self, speech: BotSpeech, replies: Replies) -> None:
        """Nothing has been said yet."""
        self.replies = replies
        self.of_voice = False
        self.spoken_at = ""
        self._speech = speech
        self._said: list[str] = []
        self._interim = ""
        self._since = 0.0  # when the first of them was known
        # What belongs to a turn that is not over, and what the last one was.
        self._noted: list[str] = []
        self._turn, self._turn_over_at = "", 0.0

    @property
    def text(self) -> str:
        """All of them."""
        return " ".join([*self._said, self._interim]).strip()

    @property
    def are_final(self) -> bool:
        """Whether there are any, and none of them may change any more."""
        return bool(self._said) and not self._interim

    @property
    def are_few(self) -> bool:
        """Whether somebody else may say the same just after the bot, as “y” or “para”."""
        return len(self.text.split()) < _ECHO_WORDS

    @property
    def may_be_own(self) -> bool:
        """Whether they may be the bot's. A voice whose sound is told apart is not."""
        return self._speech.comes_back and not self._told_apart

    @property
    def _told_apart(self) -> bool:
        """Whether a voice was noticed where the bot's own is not: its sound is known."""
        return self._speech.own_voice.found and self.of_voice

    def hear(self, frame: InterimTranscriptionFrame | TranscriptionFrame) -> None:
        """Take in a transcript."""
        if not self.text:
            self._since = time.monotonic()
        self.spoken_at = frame.timestamp
        if isinstance(frame, TranscriptionFrame):
            self._said.append(frame.text.strip())
            self._interim = ""
        else:
            self._interim = frame.text.strip()

    def clear(self) -> None:
        """Begin with another sound."""
        self._said.clear()
        self.take_back()

    def take_back(self) -> None:
        """What is not final was not said."""
        self._interim = ""

    def note(self, frame: InterimTranscriptionFrame | TranscriptionFrame) -> None:
        """Note a transcript, which may be of a turn."""
        if isinstance(frame, TranscriptionFrame):
            self._noted.append(frame.text)

    def forget(self) -> None:
        """What was noted since the last turn was none."""
        self._noted.clear()

    def turn_over(self) -> None:
        """What was noted was a turn, which is over."""
        self._turn, self._turn_over_at = " ".join(self._noted), time.monotonic()
        self._noted.clear()

    def only_acknowledge(self) -> bool:
        """Whether they only tell that somebody listens, or are thanks after an answer."""
        return self.replies.only_acknowledges(self.text) or self._only_add_politeness()

    def take_no_turn(self, *, yet: bool = False, awaited: bool = False) -> bool:
        """Whether they take no turn.

        Args:
            yet: Whether more of them may come: then they take none yet.
            awaited: Whether nothing was heard of the bot's answer. It is not acknowledged then.
        """
        # What may become a “please” costs no answer, however late the rest of it comes.
        polite = self._only_add_politeness(begun=bool(self._interim))
        if polite and (awaited or not self._speech.has_asked):
            return True
        if awaited:
            return False
        begun = yet and bool(self._interim)
        acknowledge = self.replies.only_acknowledges(self.text, begun=begun)
        return self.echo() or (acknowledge and not self._speech.asks)

    def _only_add_politeness(self, *, begun: bool = False) -> bool:
        """Whether they add nothing to a turn but thanks, or a “please”, as “por favor” to “sí”."""
        late_secs = self._since - self._turn_over_at
        if late_secs > _ADDED_SECS or not self.replies.answers(self._turn):
            return False
        return self.replies.only_polite(self.text, begun=begun)

    def echo(self) -> bool:
        """Whether they are the bot's own; a word or two may as well be the user's.

        Where its voice is known to come back, they may be its own that were heard badly.
        """
        text, speech = self.text, self._speech
        few = not self._interim and self.are_few
        users = self._told_apart or not speech.surely_comes_back
        if few and users and (speech.asks or self.replies.stops(text)):
            return False
        exactly = speech.echoes(text, _FRESH_WORDS) if few else speech.echoes(text)
        return exactly or self._sound_like_its_own()

    def _sound_like_its_own(self) -> bool:
        """Whether they may be its own, heard badly, and are no reply to it.

        An answer is like the question: “quiero” like “¿quieres?”. So where the bot asks, nothing
        but the sound tells that its words are not the user's.
        """
        speech = self._speech
        return (
            speech.surely_comes_back
            and self.may_be_own
            and (speech.own_voice.found or not speech.asks)
            and speech.sounds_like(self.text, begun=bool(self._interim))
            and not self._reply()
        )

    def _reply(self) -> bool:
        """Whether they begin or end in a reply which the bot has not just said."""
        words = words_of(self.text)
        counts = range(1, _REPLYING_WORDS + 1)
        ends = {" ".join(part) for n in counts for part in (words[:n], words[-n:])}
        replies = (end for end in ends if self.replies.answers(end) or self.replies.stops(end))
        return any(not self._speech.echoes(reply) for reply in replies)

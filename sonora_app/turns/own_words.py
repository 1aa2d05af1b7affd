"""Tells the user's words from the bot's own, which came back ahead of them in one turn.

A recogniser that finds the turns by itself begins one with the bot's voice, out of a loudspeaker,
and goes on with it as the user speaks: “llenos de colores y una espera”. What the user said is
“espera”.
"""

from collections.abc import Sequence

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.replies.grammar import after_words, words_of

_FEWEST_WORDS = 3
"""So many words in a row that the bot has just said are its own, where its voice comes back. Fewer
may as well be the user's, who takes them up."""

_SURE_WORDS = 6
"""So many tell that its voice comes back: nobody repeats as much while the bot speaks."""


_LAST_WORDS = 3
"""So many words may have been made of the last one that the bot said, as “o a jaca” of “Oaxaca”."""


class OwnWords:
    """The bot's own words in what is recognised.

    Args:
        speech: The bot's speech.
    """

    def __init__(self, speech: BotSpeech) -> None:
        """Its voice has not come back yet."""
        self._speech = speech
        self._comes_back = False
        self._own: tuple[str, ...] = ()

    def leave_out(self, text: str, *, over: bool) -> str:
        """Leave the bot's own words out at the beginning of a turn.

        They are looked for while the bot speaks, and then left out to the end of the turn.

        Args:
            text: What was recognised of the turn so far, from its beginning.
            over: Whether that is all of it.

        Returns:
            The words that follow; the whole text if none do, or if they may all be the user's.
        """
        words = words_of(text)
        if words[: len(self._own)] != self._own:
            self._own = ()  # another turn, or what was recognised has changed
        if self._speech.speaks:
            own = self._speech.own_words(words)
            self._own = max(self._own, words[:own], key=len)
        own, only_own = len(self._own), words == self._own
        if own >= _SURE_WORDS or (own >= _FEWEST_WORDS and only_own and over):
            self._comes_back = True
        if over:
            self._own = ()
        if only_own or own < _FEWEST_WORDS or not self._comes_back:
            return text
        return after_words(text, own)

    def count_own(self, words: Sequence[str]) -> int:
        """How many words, from the first on, are what the bot has just said, maybe heard badly.

        Args:
            words: Words that were spoken before the user's voice was noticed, for which it takes a
                moment: the last of them may be the user's. So may a few, unless they were spoken
                over the bot.
        """
        own = len(words)
        while own and not any(
            self._sounds_own(words[max(0, own - last) : own]) for last in range(1, _LAST_WORDS + 1)
        ):
            own -= 1
        speech = self._speech
        over = (speech.speaks or speech.cut_off) and not speech.asks
        are_own = speech.surely_comes_back and self._sounds_own(words[:own])
        return own if are_own and (over or own >= _FEWEST_WORDS) else 0

    def _sounds_own(self, words: Sequence[str]) -> bool:
        return self._speech.sounds_like(" ".join(words))

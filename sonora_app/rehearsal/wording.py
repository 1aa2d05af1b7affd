"""Guesses from typed words whether the person wants to finish, and what the topic is."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from sonora_app.flow.lines import Lines

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W_]+(?:['’-][^\W_]+)*")
_CLAUSE_END = re.compile(r"[¿¡«»“”\"()\n]|[.,;:!?…]+(?=\s|$)")
_SENTENCE_END = re.compile(r"[.;:!?…]+(?=\s|$)")
_INVERTED = re.compile(r"[¿¡]")

_TOPIC_WORDS = 5
_TOPICS = 5
_ECHO_WORDS = 24


def means_finishing(text: str, lines: Lines) -> bool:
    """Whether a person who says this in mid-conversation wants to finish it."""
    words = _plain_words(text)
    return len(_without(words, lines.all("rehearsal.finish_words"))) < len(words)


def means_done(text: str, lines: Lines) -> bool:
    """Whether a person who is asked for more, and says this, has nothing more.

    Unlike a farewell, a "no" counts only when nothing else is said: "no, wait" is no end.
    """
    words = _plain_words(text)
    only_done = bool(words) and not _without(words, lines.all("rehearsal.done_words"))
    return only_done or means_finishing(text, lines)


def consists_of(text: str, keys: Iterable[str], lines: Lines) -> bool:
    """Whether `text` consists of nothing but phrases that stand at `keys`, and not of none."""
    words = _plain_words(text)
    phrases = (phrase for key in keys for phrase in lines.all(key))
    return bool(words) and not _without(words, phrases)


def rest_after(text: str, key: str, lines: Lines) -> str | None:
    """What follows the first of the phrases at `key` in `text`; None where there is none of them.

    Args:
        text: What was said.
        key: Where the phrases stand in the lines.
        lines: In the language they speak.
    """
    found = [(match.group(), match.end()) for match in _WORD.finditer(text)]
    plain = [_plain(word) for word, _ in found]
    for phrase in lines.all(key):
        wanted = _phrase(phrase)
        for start in range(len(plain) - len(wanted) + 1):
            if plain[start : start + len(wanted)] == wanted:
                return text[found[start + len(wanted) - 1][1] :].strip(" ,.:;!?¿¡…")
    return None


def words_of(text: str) -> list[str]:
    """The words of a text, with neither capitals nor accents."""
    return _plain_words(text)


def echo_of(text: str) -> str:
    """What was said, shortened and punctuated so that it can stand inside a sentence."""
    words = _SENTENCE_END.sub(",", _INVERTED.sub("", text)).split()
    return " ".join(words[:_ECHO_WORDS]).rstrip(",")


def topics_of(texts: Iterable[str], lines: Lines) -> list[str]:
    """What was talked about, each in one to five words, the first said first, five at most.

    Args:
        texts: What the person said, in order.
        lines: In the language they speak.
    """
    topics = dict[str, str]()
    for text in texts:
        topic = _topic(text, lines)
        plain = " ".join(_plain_words(topic))
        if plain:
            topics.pop(plain, None)
            topics[plain] = topic
    return list(topics.values())[-_TOPICS:]


def _topic(text: str, lines: Lines) -> str:
    """The longest clause, without farewells and without words that say nothing at its ends."""
    finish = lines.all("rehearsal.finish_words")
    ending = (*finish, *lines.all("rehearsal.done_words"))
    small = {_phrase(word)[0] for word in lines.all("rehearsal.small_words")}
    asking = [phrase.split() for phrase in lines.all("rehearsal.asking_words")]
    longest: Sequence[str] = ()
    for clause in _CLAUSE_END.split(text):
        words = [match.group() for match in _WORD.finditer(clause)]
        left = _without([_plain(word) for word in words], finish)
        kept = _trimmed(left, small)
        if _without([word for _, word in kept], ending):
            asked = _asking_before(kept[0][0], words, asking)
            topic = [*asked, *(words[index] for index, _ in kept)][:_TOPIC_WORDS]
            while _plain(topic[-1]) in small:
                topic.pop()
            longest = max(longest, topic, key=len)
    return " ".join(longest)


def _trimmed(words: Sequence[tuple[int, str]], small: set[str]) -> Sequence[tuple[int, str]]:
    start = next((i for i, (_, word) in enumerate(words) if word not in small), len(words))
    topic = words[start : start + _TOPIC_WORDS]
    while topic and topic[-1][1] in small:
        topic = topic[:-1]
    return topic


def _asking_before(
    start: int, words: Sequence[str], asking: Iterable[Sequence[str]]
) -> Sequence[str]:
    """The question word before a topic, which would be half a question without it."""
    for phrase in asking:
        before = words[max(0, start - len(phrase)) : start]
        if [word.casefold() for word in before] == phrase:
            return before
    return ()


def _without(words: Sequence[str], phrases: Iterable[str]) -> list[tuple[int, str]]:
    """The words, with their place, that belong to none of the phrases."""
    taken = set[int]()
    for phrase in phrases:
        wanted = _phrase(phrase)
        if wanted[0] not in words:
            continue
        for start in range(len(words) - len(wanted) + 1):
            if words[start : start + len(wanted)] == wanted:
                taken.update(range(start, start + len(wanted)))
    return [(index, word) for index, word in enumerate(words) if index not in taken]


@cache
def _phrase(line: str) -> list[str]:
    """The plain words of a phrase in the lines, of which there are a few dozen."""
    return _plain_words(line)


def _plain_words(text: str) -> list[str]:
    return [_plain(match.group()) for match in _WORD.finditer(text)]


def _plain(word: str) -> str:
    """A word with neither capitals, accents, apostrophes nor hyphens."""
    decomposed = unicodedata.normalize("NFD", word.casefold())
    return "".join(letter for letter in decomposed if letter.isalnum())

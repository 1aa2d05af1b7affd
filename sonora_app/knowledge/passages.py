"""Documents cut into passages: short, of whole sentences, each under its headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sonora_app.knowledge.reading.blocks import Block, BlockKind, ReadDocument

ENOUGH_WORDS = 100
"""Words from which a passage is complete. Read aloud that is three quarters of a minute."""

MAX_WORDS = 150
"""Words that a passage has at most, unless a single sentence is longer."""

_WINDOW_WORDS = 50
"""Words that are compared with a question at once: about what one question asks for."""

_SHORTEST_WINDOW = 15

_LONGEST_SENTENCE = 160
"""Words of what has no full stop, such as a table or code, before it is cut all the same."""

_LONGEST_WORD = 200
"""Characters of what has no space in it, from which it is no word and not to be read aloud."""

_KEPT_OF_IT = 40
_LONGEST_HEADING = 300
_WORD_LETTERS = 25
"""Letters that count as a word where words are longer: links, code, figures."""

_STOPS = re.compile(r"(?<=[。！？；，、])(?=\S)")
"""Where texts that are written without spaces have a stop."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])['\"»”)\]]*\s+(?=[¿¡\"«“(\[]*[A-ZÁÉÍÓÚÜÑ0-9])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:p|ej|etc|sr|sra|srta|dr|dra|ud|uds|vd|núm|nº|pág|págs|art|fig|cap|vol|ed|aprox|máx|"
    r"mín|tel|av|avda|c|no|vs|mr|mrs|ms|st|e\.g|i\.e|[a-zA-Z]))\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CutPassage:
    """A passage before it is kept.

    Parameters:
        headings: What it stands under, outermost first, without the document's title.
        content: Its sentences.
        page: The page that it begins on, from 1; None where there are no pages.
        anchor: The name by which a link reaches it.
    """

    headings: tuple[str, ...]
    content: str
    page: int | None
    anchor: str | None


def cut(document: ReadDocument) -> list[CutPassage]:
    """The passages of `document`, in order."""
    passages: list[CutPassage] = []
    headings: list[Block] = []
    section: list[Block] = []
    title = _same(document.title)
    for block in document.blocks:
        if block.kind is not BlockKind.HEADING:
            section.append(block)
            continue
        passages += _of_section(section, headings, title)
        section = []
        while headings and headings[-1].level >= block.level:
            headings.pop()
        headings.append(replace(block, text=block.text[:_LONGEST_HEADING]))
    passages += _of_section(section, headings, title)
    return passages


def sentences(text: str) -> list[str]:
    """The sentences of `text`."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if _ABBREVIATED.search(text[start : end.start()].rstrip("'\"»”)]")):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _length(text: str) -> int:
    """How many words a text counts as."""
    return max(len(text.split()), len(text) // _WORD_LETTERS)


def windows(content: str) -> list[str]:
    """What of a passage is compared with a question, each by itself: a few sentences."""
    found: list[str] = []
    held: list[str] = []
    words = 0
    for sentence in sentences(content):
        length = _length(sentence)
        if held and words + length > _WINDOW_WORDS:
            found.append(" ".join(held))
            held, words = [], 0
        held.append(sentence)
        words += length
    if held and found and words < _SHORTEST_WINDOW:
        found[-1] = " ".join([found[-1], *held])
    elif held:
        found.append(" ".join(held))
    return found


def _of_section(blocks: list[Block], headings: list[Block], title: str) -> Iterator[CutPassage]:
    path = tuple(each.text for each in headings if _same(each.text) != title)
    anchor = next((each.anchor for each in reversed(headings) if each.anchor), None)
    held: list[tuple[str, Block]] = []
    words = 0
    for piece, block in _pieces(blocks):
        length = _length(piece)
        if held and (
            words + length > MAX_WORDS
            or (words >= ENOUGH_WORDS and not _continues(held[-1][0], held[-1][1], block))
        ):
            yield _passage(path, held, anchor)
            held, words = [], 0
        held.append((piece, block))
        words += length
    if held:
        yield _passage(path, held, anchor)


def _continues(last: str, last_block: Block, block: Block) -> bool:
    """Whether a cut here would part what belongs together."""
    return last.endswith(":") or (last_block is block and len(last.split()) < 6)


def _pieces(blocks: list[Block]) -> Iterator[tuple[str, Block]]:
    for block in blocks:
        whole = [block.text] if block.kind is BlockKind.CODE else sentences(block.text)
        for sentence in whole:
            held: list[str] = []
            letters = 0
            for word in _words(sentence):
                if max(len(held), letters // _WORD_LETTERS) >= _LONGEST_SENTENCE:
                    yield " ".join(held), block
                    held, letters = [], 0
                held.append(word)
                letters += len(word) + 1
            if held:
                yield " ".join(held), block


def _words(text: str) -> Iterator[str]:
    """The words of a text; of what is no word, such as data in letters, only the beginning."""
    for word in _STOPS.sub(" ", text).split():
        yield word if len(word) <= _LONGEST_WORD else f"{word[:_KEPT_OF_IT]}…"


def _passage(
    path: tuple[str, ...], held: list[tuple[str, Block]], anchor: str | None
) -> CutPassage:
    text = ""
    last: Block | None = None
    for piece, block in held:
        if last is not None and last is not block:
            stop = "" if re.search(r"[.!?…:;,]['\"»”)\]]*$", text) else "."
            text = f"{text}{stop} {piece}"
        else:
            text = f"{text} {piece}" if text else piece
        last = block
    first = held[0][1]
    return CutPassage(path, text, first.page, first.anchor or anchor)


def _same(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())

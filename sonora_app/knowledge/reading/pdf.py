"""PDF files, read with pdfium, the reader of Chromium.

It reads a page in some 6 ms where pypdf takes 70, and marks the hyphens that only break a line
(79 pages of `eyes17-manuals-es`, one core).
"""

import re
from collections import Counter
from typing import Any, cast

from pypdfium2 import (  # pyright: ignore[reportMissingTypeStubs]
    PdfDocument,
    PdfiumError,
)

from sonora_app.knowledge.reading.blocks import Block, BlockKind, ReadDocument
from sonora_app.knowledge.reading.errors import UnreadableError
from sonora_app.knowledge.reading.limits import Limits
from sonora_app.wording.translation import worded

_SOFT_HYPHEN = "\ufffe"
_EDGE_LINES = 2
"""Lines at the top and the foot of a page that may be a running header."""

_REPEATED = 0.05
"""Share of the pages from which a line at their edge counts as a running header: chapters have
headers of their own."""

_LEADERS = re.compile(r"(?:\.\s?){5,}")
"""What a table of contents is recognised by."""

_BULLET = re.compile(r"^\s*(?:[•◦▪‣·∙*]|[-–—]\s|\(?[a-z0-9]{1,2}[.)]\s)")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+([^\W\d_].{2,70})$")
_ENDED = re.compile(r"[.!?:;…]['\"»”)]*$")
_SPACE = re.compile(r"\s+")
_MIN_LETTERS_A_PAGE = 8


def read_pdf(data: bytes, limits: Limits) -> ReadDocument:
    """Read a PDF file, with its headings and pages.

    Args:
        data: The file.
        limits: How much of it is read.

    Raises:
        UnreadableError: It is damaged, wants a password, holds no text, or more than is read.
    """
    try:
        pdf = PdfDocument(data)
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableError(worded("it wants a password")) from None
        raise UnreadableError(worded("it is not a whole PDF file")) from None
    with pdf:
        pages: list[list[str]] = []
        chars = 0
        for number in range(min(len(pdf), limits.pages or len(pdf))):
            pages.append(_lines(pdf, number))
            chars += sum(map(len, pages[-1]))
            limits.check(chars)
        outline = _outline(pdf)
        title = str(pdf.get_metadata_dict().get("Title") or "").strip()
    if chars < _MIN_LETTERS_A_PAGE * max(len(pages), 1):
        raise UnreadableError(worded("it holds no text, only pictures of pages"))
    running = _running_lines(pages)
    document = ReadDocument(title=title)
    for number, lines in enumerate(pages):
        kept = [
            line
            for line in lines
            if _shape(line) not in running and not line.isdigit() and not _LEADERS.search(line)
        ]
        document.blocks += _page_blocks(kept, number + 1, dict(outline.get(number, ())), outline)
    document.blocks = _joined_across_pages(document.blocks)
    return document


def _lines(pdf: PdfDocument, number: int) -> list[str]:
    page = pdf[number]
    text_page = page.get_textpage()
    text = text_page.get_text_range()
    text_page.close()
    page.close()
    lines = text.replace(f"{_SOFT_HYPHEN}\r\n", _SOFT_HYPHEN).splitlines()
    return [line for line in (_SPACE.sub(" ", raw).strip() for raw in lines) if line]


def _outline(pdf: PdfDocument) -> dict[int, list[tuple[str, int]]]:
    """The titles of the outline, by page: each normalised, with its level from 1."""
    by_page: dict[int, list[tuple[str, int]]] = {}
    toc: Any = cast(Any, pdf).get_toc(max_depth=8)
    for bookmark in toc:
        destination = bookmark.get_dest()
        page: int | None = destination.get_index() if destination else None
        if page is not None:
            by_page.setdefault(page, []).append(
                (_heading_shape(bookmark.get_title()), bookmark.level + 1)
            )
    return by_page


def _running_lines(pages: list[list[str]]) -> set[str]:
    counted = Counter(
        shape
        for lines in pages
        for shape in {_shape(line) for line in lines[:_EDGE_LINES] + lines[-_EDGE_LINES:]}
    )
    enough = max(3, round(_REPEATED * len(pages)))
    return {shape for shape, count in counted.items() if count >= enough}


def _page_blocks(
    lines: list[str],
    page: int,
    titles: dict[str, int],
    outline: dict[int, list[tuple[str, int]]],
) -> list[Block]:
    blocks: list[Block] = []
    paragraph: list[str] = []
    width = max((len(line) for line in lines), default=0)

    def flush() -> None:
        if paragraph:
            text = _joined(paragraph)
            kind = BlockKind.ITEM if _BULLET.match(text) else BlockKind.TEXT
            blocks.append(Block(kind, _BULLET.sub("", text).strip() or text, page=page))
            paragraph.clear()

    for line in lines:
        level = _heading_level(line, titles, outline)
        if level:
            flush()
            blocks.append(Block(BlockKind.HEADING, line.strip(" :"), level=level, page=page))
            continue
        if paragraph and (
            _BULLET.match(line)
            or (_ENDED.search(paragraph[-1]) and len(paragraph[-1]) < 0.8 * width)
        ):
            flush()
        paragraph.append(line)
    flush()
    return blocks


def _heading_level(
    line: str, titles: dict[str, int], outline: dict[int, list[tuple[str, int]]]
) -> int:
    level = titles.get(_heading_shape(line), 0)
    if level or outline:
        return level
    numbered = _NUMBERED.match(line)
    if numbered and not _ENDED.search(line) and numbered[2][0].isupper():
        return numbered[1].count(".") + 1
    return 0


def _joined(lines: list[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        broken = text.endswith("-") and line[:1].islower()
        text = text[:-1] + line if broken else f"{text} {line}"
    return text.replace(_SOFT_HYPHEN, "")


def _joined_across_pages(blocks: list[Block]) -> list[Block]:
    """Join a paragraph that a page's end cut in mid-sentence."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.page != block.page
            and BlockKind.HEADING not in (last.kind, block.kind)
            and block.kind is BlockKind.TEXT
            and not _ENDED.search(last.text)
        ):
            text = _joined([last.text, block.text])
            joined[-1] = Block(last.kind, text, level=last.level, page=last.page)
        else:
            joined.append(block)
    return joined


def _shape(line: str) -> str:
    return re.sub(r"[\divxlc]+", "#", line.casefold())


def _heading_shape(text: str) -> str:
    return re.sub(r"^[\d.\s]+|[\W_]+", "", text.casefold())

"""Which files can be read, and the reading of one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sonora_app.knowledge.reading.blocks import Block, BlockKind, ReadDocument
from sonora_app.knowledge.reading.errors import UnreadableError
from sonora_app.wording.translation import worded

MAX_BYTES = 100_000_000
"""The largest file that is read. A manual of 1,000 pages with pictures has some 50 MB."""


def _read_html(path: Path) -> ReadDocument:
    from sonora_app.knowledge.reading.html import read_html

    return read_html(path.read_bytes())


def _read_markdown(path: Path) -> ReadDocument:
    from markdown_it import MarkdownIt

    from sonora_app.knowledge.reading.html import read_html

    text = _text(path)
    if text.startswith("---\n"):
        text = text.partition("\n---\n")[2] or text
    return read_html(MarkdownIt("commonmark").enable("table").render(text))


def _read_word(path: Path) -> ReadDocument:
    import zipfile

    import mammoth  # pyright: ignore[reportMissingTypeStubs]

    from sonora_app.knowledge.reading.html import read_html

    try:
        with path.open("rb") as file:
            converted: Any = mammoth.convert_to_html(file, convert_image=_no_image)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, AttributeError):
        raise UnreadableError(worded("it is not a whole Word file")) from None
    return read_html(str(converted.value))


def _no_image(image: object) -> list[object]:
    return []


def _read_pdf(path: Path) -> ReadDocument:
    from sonora_app.knowledge.reading.pdf import read_pdf

    return read_pdf(path)


def _read_text(path: Path) -> ReadDocument:
    document = ReadDocument(title="")
    for paragraph in _text(path).replace("\r\n", "\n").split("\n\n"):
        words = " ".join(paragraph.split())
        if words:
            document.blocks.append(Block(BlockKind.TEXT, words))
    return document


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if b"\0" in raw[:4096]:
        raise UnreadableError(worded("it is not text"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


_READERS: dict[str, Callable[[Path], ReadDocument]] = {
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".txt": _read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".xhtml": _read_html,
    ".pdf": _read_pdf,
    ".docx": _read_word,
}


def readable_files(path: Path) -> Iterator[Path]:
    """The files to read at `path`: itself, or all in the folder that can be, in order of name."""
    if not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix.lower() in _READERS and not hidden and file.is_file():
            yield file


def read_file(path: Path) -> ReadDocument:
    """Read a file's text.

    Raises:
        UnreadableError: It is of another kind, damaged, too large or without text.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableError(
            worded("files of this kind are not read; {kinds} are", kinds=", ".join(_READERS))
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableError(worded("it is larger than 100 MB"))
        document = reader(path)
    except OSError as error:
        raise UnreadableError(worded("{error}", error=error.strerror or str(error))) from None
    if not any(block.kind is not BlockKind.HEADING for block in document.blocks):
        raise UnreadableError(worded("it holds no text"))
    document.title = document.title or path.stem.replace("_", " ")
    return document

"""Which files can be read, and the reading of one."""

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sonora_app.knowledge.reading.blocks import Block, BlockKind, ReadDocument
from sonora_app.knowledge.reading.errors import UnreadableError
from sonora_app.knowledge.reading.limits import Limits
from sonora_app.wording.translation import worded

MAX_BYTES = 100_000_000
"""The largest file that is read. A manual of 1,000 pages with pictures has some 50 MB."""

_XML = re.compile(r"\.(xml|rels)$", re.IGNORECASE)

_DEFAULT = Limits()


def _read_html(data: bytes, limits: Limits) -> ReadDocument:
    from sonora_app.knowledge.reading.html import read_html

    return read_html(data)


def _read_markdown(data: bytes, limits: Limits) -> ReadDocument:
    from markdown_it import MarkdownIt

    from sonora_app.knowledge.reading.html import read_html

    text = _text(data)
    if text.startswith("---\n"):
        text = text.partition("\n---\n")[2] or text
    return read_html(MarkdownIt("commonmark").enable("table").render(text))


def _read_word(data: bytes, limits: Limits) -> ReadDocument:
    import io
    import zipfile

    import mammoth  # pyright: ignore[reportMissingTypeStubs]

    from sonora_app.knowledge.reading.html import read_html

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            # Pictures are not unpacked.
            parts = (each for each in packed.infolist() if _XML.search(each.filename))
            limits.check(sum(each.file_size for each in parts))
        converted: Any = mammoth.convert_to_html(io.BytesIO(data), convert_image=_no_image)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, AttributeError):
        raise UnreadableError(worded("it is not a whole Word file")) from None
    return read_html(str(converted.value))


def _no_image(image: object) -> list[object]:
    return []


def _read_pdf(data: bytes, limits: Limits) -> ReadDocument:
    from sonora_app.knowledge.reading.pdf import read_pdf

    return read_pdf(data, limits)


def _read_text(data: bytes, limits: Limits) -> ReadDocument:
    document = ReadDocument(title="")
    for paragraph in _text(data).replace("\r\n", "\n").split("\n\n"):
        words = " ".join(paragraph.split())
        if words:
            document.blocks.append(Block(BlockKind.TEXT, words))
    return document


def _text(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw[:4096]:
        raise UnreadableError(worded("it is not text"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


_READERS: dict[str, Callable[[bytes, Limits], ReadDocument]] = {
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


def read_file(path: Path, limits: Limits = _DEFAULT) -> ReadDocument:
    """Read a file's text.

    Args:
        path: The file.
        limits: How much of it is read.

    Raises:
        UnreadableError: It is of another kind, damaged, too large or without text.
    """
    suffix = path.suffix.lower()
    _reader(suffix)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableError(worded("it is larger than 100 MB"))
        document = read_bytes(suffix, path.read_bytes(), limits)
    except OSError as error:
        raise UnreadableError(worded("{error}", error=error.strerror or str(error))) from None
    document.title = document.title or path.stem.replace("_", " ")
    return document


def read_bytes(suffix: str, data: bytes, limits: Limits = _DEFAULT) -> ReadDocument:
    """Read a document's text from its bytes.

    Args:
        suffix: What its file's name would end in, such as `.pdf`.
        data: Its bytes.
        limits: How much of it is read.

    Raises:
        UnreadableError: It is of another kind, damaged, without text, or unpacks to too much.
        ImportError: The extra `knowledge`, which has the reader, is not installed.
    """
    reader = _reader(suffix)
    try:
        document = reader(data, limits)
    except (UnreadableError, ImportError):
        raise
    except Exception:  # noqa: BLE001  # the readers raise whatever damaged bytes lead to
        raise UnreadableError(worded("it is damaged, or built in a way that is not read")) from None
    if not any(block.kind is not BlockKind.HEADING for block in document.blocks):
        raise UnreadableError(worded("it holds no text"))
    return document


def _reader(suffix: str) -> Callable[[bytes, Limits], ReadDocument]:
    reader = _READERS.get(suffix)
    if reader is None:
        raise UnreadableError(
            worded("files of this kind are not read; {kinds} are", kinds=", ".join(_READERS))
        )
    return reader

"""Documents that a person sends: what they say, as far as a model is told of it."""

import codecs
from dataclasses import dataclass
from pathlib import PurePath

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import FileError
from sonora_app.knowledge.reading.errors import UnpackedTooLargeError, UnreadableError
from sonora_app.knowledge.reading.files import read_bytes
from sonora_app.knowledge.reading.limits import Limits
from sonora_app.storage.history import shortened
from sonora_app.wording.translation import worded

MAX_TEXT_CHARS = 6_000
"""How much of a document a model is told: two to three pages. A call's prompt has 8,000 characters
of talk before what is old in it is summed up (SONORA_PROMPT_CHARS)."""

_MAX_DOCUMENT_BYTES = 10_000_000
_LIMITS = Limits(pages=60, unpacked_bytes=6_000_000)
"""Pdfium reads a page in some 6 ms. A book of 300 pages has some 3 MB of XML as a Word file."""

DOCUMENT_KINDS = "PDF, DOCX, TXT, Markdown"


@dataclass(frozen=True)
class DocumentKind:
    """A kind of document: how its files' names end, and what a browser calls it."""

    suffix: str
    media_type: str


_PDF = DocumentKind(".pdf", "application/pdf")
_WORD = DocumentKind(
    ".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
)
_TEXT = DocumentKind(".txt", "text/plain")
_MARKDOWN = DocumentKind(".md", "text/markdown")
_PLAIN = {
    **{suffix: _TEXT for suffix in ("", ".txt", ".csv", ".json", ".log", ".xml", ".yaml", ".yml")},
    **{suffix: _MARKDOWN for suffix in (".md", ".markdown")},
}
"""What is read as it is written, by how its name ends."""

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a text begins that Windows calls "Unicode": the editor's, or a table saved as text."""


@dataclass(frozen=True)
class DocumentText:
    """What a document says.

    Parameters:
        words: Its text, within the limit.
        chars: How long the whole of it is, as far as it was read.
    """

    words: str
    chars: int


def kind_of_document(name: str, data: bytes) -> DocumentKind | None:
    """What kind of document this is, by its bytes and then by its name; None for none that is read.

    Args:
        name: The file's name; may be empty.
        data: Its bytes.
    """
    suffix = PurePath(name).suffix.lower()
    if b"%PDF-" in data[:1024]:
        return _PDF
    if data.startswith(b"PK\x03\x04"):
        return _WORD if suffix == ".docx" or b"word/" in data[:4096] else None
    if data.startswith(UTF_16):
        return _PLAIN.get(suffix)
    return None if b"\0" in data[:4096] else _PLAIN.get(suffix)


def read_text(kind: DocumentKind, data: bytes) -> DocumentText:
    """What a document says. Takes up to some seconds, and is for one thread at a time (Pdfium).

    Raises:
        FileError: It is damaged, too large, wants a password, or holds no text.
    """
    if len(data) > _MAX_DOCUMENT_BYTES:
        raise FileError(
            ErrorCode.FILE_TOO_LARGE,
            worded(
                "The document has {size} MB; at most {most} are taken.",
                size=f"{len(data) / 1e6:.1f}",
                most=f"{_MAX_DOCUMENT_BYTES / 1e6:.0f}",
            ),
        )
    whole = _plain(data) if kind in (_TEXT, _MARKDOWN) else _converted(kind, data)
    if not whole.strip():
        raise FileError(ErrorCode.FILE_UNREADABLE, worded("The document holds no text."))
    return DocumentText(shortened(whole, MAX_TEXT_CHARS), len(whole))


def _plain(data: bytes) -> str:
    """Text as it is written, Markdown too: a model reads it well."""
    if data.startswith(UTF_16):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _converted(kind: DocumentKind, data: bytes) -> str:
    try:
        document = read_bytes(kind.suffix, data, _LIMITS)
    except UnreadableError as error:
        too_large = isinstance(error, UnpackedTooLargeError)
        raise FileError(
            ErrorCode.FILE_TOO_LARGE if too_large else ErrorCode.FILE_UNREADABLE,
            worded("The document cannot be read: {reason}.", reason=error.message),
        ) from None
    except ImportError:
        raise FileError(
            ErrorCode.FILE_UNSUPPORTED,
            worded("Documents of this kind cannot be read here."),
            hint=worded(
                "Whoever runs this bot can install its extra `knowledge`, which reads them."
            ),
        ) from None
    except Exception:  # noqa: BLE001  # the readers raise whatever damaged bytes lead to
        raise FileError(
            ErrorCode.FILE_UNREADABLE,
            worded("The document cannot be read: it is damaged."),
        ) from None
    return "\n".join(block.text for block in document.blocks)

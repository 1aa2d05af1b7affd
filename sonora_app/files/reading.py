"""Reads what a person sent: tells by its bytes what it is, and makes an attachment of it."""

import re
import unicodedata

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import Attachment, AttachmentKind, FileError
from sonora_app.files.documents import DOCUMENT_KINDS, kind_of_document, read_text
from sonora_app.files.pictures import make_small, name_of_unread
from sonora_app.wording.translation import worded

MAX_FILE_BYTES = 20_000_000
"""The largest file that is taken. A phone's picture of 50 megapixels has some 15 MB."""

_MAX_NAME_CHARS = 120

_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)


def read_attachment(name: str, data: bytes) -> Attachment:
    """Read a picture or a document. Takes up to some seconds: never on the event loop.

    Args:
        name: What the person calls it; may be empty. Of a picture it decides nothing.
        data: Its bytes, as they came.

    Raises:
        FileError: It is too large, of a kind that is not read, or damaged.
    """
    if len(data) > MAX_FILE_BYTES:
        raise FileError(
            ErrorCode.FILE_TOO_LARGE,
            worded(
                "The file has {size} MB; at most {most} are taken.",
                size=f"{len(data) / 1e6:.1f}",
                most=f"{MAX_FILE_BYTES / 1e6:.0f}",
            ),
        )
    if not data:
        raise FileError(ErrorCode.FILE_UNREADABLE, worded("The file is empty."))
    called = clean_name(name)
    if is_picture(data):
        small = make_small(data)
        return Attachment(
            AttachmentKind.PICTURE,
            "image/jpeg",
            called or "picture.jpg",
            small.data,
            width=small.width,
            height=small.height,
        )
    if (unread := name_of_unread(data)) is not None:
        raise FileError(
            ErrorCode.FILE_UNSUPPORTED,
            worded("Pictures in the format {format} cannot be read here.", format=unread),
            hint=worded("Send it as JPEG, PNG or WebP."),
        )
    kind = kind_of_document(called, data)
    if kind is None:
        raise FileError(
            ErrorCode.FILE_UNSUPPORTED,
            worded("Files of this kind are not read."),
            hint=worded(
                "Send a picture (JPEG, PNG, WebP, GIF) or a document ({kinds}).",
                kinds=DOCUMENT_KINDS,
            ),
        )
    text = read_text(kind, data)
    return Attachment(
        AttachmentKind.DOCUMENT,
        kind.media_type,
        called or f"document{kind.suffix}",
        data,
        text=text.words,
        text_chars=text.chars,
    )


def is_picture(data: bytes) -> bool:
    """Whether `data` begins as a picture of a kind that is read."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or any(data.startswith(magic) for magic, _ in _PICTURES)


def clean_name(name: str) -> str:
    """A file's name without its folders, control characters and excess."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(each for each in last if unicodedata.category(each)[0] != "C")
    called = " ".join(shown.split())
    if len(called) <= _MAX_NAME_CHARS:
        return called
    stem, dot, suffix = called.rpartition(".")
    if not dot or len(suffix) > 10:
        return called[:_MAX_NAME_CHARS]
    return f"{stem[: _MAX_NAME_CHARS - len(suffix) - 1]}.{suffix}"

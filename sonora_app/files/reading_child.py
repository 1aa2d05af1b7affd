"""The process that reads what people send. `ReadingProcess` starts it, and is the only one to.

Each request is a line of JSON (`Asked`) and as many bytes as it says; so is each answer (`Kept` or
`Refused`). Whatever a damaged file does to a decoder, it does here: to a process with no keys in
it, a limit of memory, and less right to a processor than the sound of a call.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import Attachment, FileError
from sonora_app.files.base64_text import decoded
from sonora_app.files.documents import UTF_16
from sonora_app.files.pictures import name_of_unread
from sonora_app.files.reading import is_picture, read_attachment
from sonora_app.wording.translation import as_data, worded

_MAX_MEMORY_BYTES = 1_500_000_000
"""Of address space. A picture of 50 megapixels with transparency takes 0.6 GB while it is turned
the right way up."""

_NICENESS = 5


class Content(StrEnum):
    """How a file came."""

    BYTES = "bytes"
    BASE64 = "base64"
    """Or a data URL in base64."""
    BASE64_PICTURE = "base64_picture"
    """The same, and no document may be in it."""
    BASE64_OR_TEXT = "base64_or_text"
    """The same, or the text of a document as it is."""


class Asked(TypedDict):
    """The line before a file: what it is called, how it came, and how many bytes follow."""

    name: str
    content: str
    size: int


class Kept(TypedDict):
    """The line before the bytes that are kept of a file: an `Attachment` without them."""

    kind: str
    media_type: str
    name: str
    width: int
    height: int
    text: str
    text_chars: int
    size: int


class Refused(TypedDict):
    """The line in place of both: a `FileError`."""

    code: str
    message: Any
    hint: Any


def main() -> None:
    """Read files until the other side goes away or has nothing to read for a while."""
    idle_secs, read_secs = float(sys.argv[1]), int(sys.argv[2])
    _restrain()
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    while select.select([asked], [], [], idle_secs)[0]:
        line = asked.readline()
        if not line:
            break
        request: Asked = json.loads(line)
        content = asked.read(request["size"])
        # Its default action ends the process, whatever code in C holds it up.
        signal.alarm(read_secs)
        try:
            read = read_content(request["name"], Content(request["content"]), content)
        except FileError as error:
            message, hint = as_data(error.message), as_data(error.hint)
            _tell(told, {"code": error.code, "message": message, "hint": hint})
        except MemoryError:
            message = as_data(worded("There is no memory for a file of this size."))
            _tell(told, {"code": ErrorCode.FILE_TOO_LARGE, "message": message, "hint": ""})
        else:
            _tell(told, _header(read), read.data)
        signal.alarm(0)
        del content


def read_content(name: str, how: Content, content: bytes) -> Attachment:
    """Read a file, however it came.

    Raises:
        FileError: It cannot be used.
    """
    if how is Content.BYTES:
        return read_attachment(name, content)
    text = content.decode()
    data = decoded(text)
    if how is Content.BASE64_OR_TEXT and not text.startswith("data:") and _are_words(text, data):
        return read_attachment(name, content)
    if data is None:
        if how is Content.BASE64_OR_TEXT:
            return read_attachment(name, content)
        raise FileError(
            ErrorCode.INVALID_MESSAGE,
            worded("The file is neither base64 nor a data URL in base64."),
        )
    if how is Content.BASE64_PICTURE and data[:5] == b"%PDF-":
        raise FileError(ErrorCode.FILE_UNSUPPORTED, worded("This is a document, not a picture."))
    return read_attachment(name, data)


def _are_words(text: str, data: bytes | None) -> bool:
    """Whether a text is meant as it is: plain words are base64 too, of rubbish.

    Args:
        text: The text.
        data: What it is as base64; None where it is none.
    """
    if not data or " " in text.strip():
        return True
    beginnings = (b"%PDF-", b"PK\x03\x04", *UTF_16)
    if is_picture(data) or name_of_unread(data) or data.startswith(beginnings):
        return False
    try:
        return not "".join(data.decode("utf-8-sig").split()).isprintable()
    except UnicodeDecodeError:
        return True


def _restrain() -> None:
    # Ctrl-C reaches it as well; it ends when the bot does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    # Not every system can limit it.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where memory runs out, this process goes before the bot.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _header(read: Attachment) -> Kept:
    return {
        "kind": read.kind,
        "media_type": read.media_type,
        "name": read.name,
        "width": read.width,
        "height": read.height,
        "text": read.text,
        "text_chars": read.text_chars,
        "size": len(read.data),
    }


def _tell(told: BinaryIO, header: Kept | Refused, data: bytes = b"") -> None:
    parts: Iterable[bytes] = (json.dumps(header).encode(), b"\n", data)
    told.writelines(parts)
    told.flush()


if __name__ == "__main__":
    main()

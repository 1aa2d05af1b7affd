"""Has files read in a process of their own.

Pillow and the readers of documents keep Python's lock for up to 70 ms at a time, whichever thread
they are on; meanwhile no sound goes in or out of any call. So the bot's process only passes a file
on, in slices, and gets back what is kept of it.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from loguru import logger

import sonora_app
from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import Attachment, AttachmentKind, FileError
from sonora_app.files.reading_child import Asked, Content, Kept, Refused
from sonora_app.wording.translation import from_data, worded

_CHILD = "sonora_app.files.reading_child"
_HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR", "LANG")
"""The environment of the child. It needs no keys, so it has none."""

IDLE_SECS = 60.0
"""Without work for so long, the child ends, and its memory is free."""

READ_SECS = 30
"""A picture of 50 megapixels takes some 3 s of a whole processor."""

_SLICE_CHARS = 65_536
"""As much as a pipe takes. It is encoded in some 10 µs."""

_ENDED_SECS = 1.0


class ReadingProcess:
    """Reads files in a child process, one at a time.

    The child is started when it is first needed, and again when it has ended: after a time without
    work, or since a file brought it down. It ends when this process does, however that ends.

    Args:
        idle_secs: After how long without work the child ends, in seconds.
        read_secs: The longest that it may take for one file, in whole seconds.
    """

    def __init__(self, *, idle_secs: float = IDLE_SECS, read_secs: int = READ_SECS) -> None:
        """Start nothing yet."""
        self._limits = (str(idle_secs), str(read_secs))
        # Each picture is large while it is decoded, and several calls may send some at once.
        self._in_turn = Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def make_ready(self) -> None:
        """Start the child, so that the file that is coming need not wait. Not on the event loop."""
        if not self._in_turn.acquire(blocking=False):
            return
        try:
            self._running()
        except OSError as error:
            logger.warning(f"The process that reads files does not start: {error.strerror}")
        finally:
            self._in_turn.release()

    def read(self, name: str, content: Sequence[str] | bytes, how: Content) -> Attachment:
        """Read a file. Not on the event loop: it takes up to some seconds.

        Args:
            name: What the person calls it; may be empty.
            content: What came: bytes, or a text in its pieces.
            how: What it is.

        Raises:
            FileError: It cannot be used, or nothing can be read now.
        """
        slices = [content] if isinstance(content, bytes) else _slices(content)
        with self._in_turn:
            try:
                told, data = self._ask(name, slices, how)
            except OSError as error:
                logger.error(f"The process that reads files does not work: {error.strerror}")
                raise FileError(
                    ErrorCode.FILE_UNREADABLE,
                    worded("Files cannot be read here at the moment."),
                    hint=worded("Try again in a minute."),
                ) from None
        if "code" in told:
            message, hint = from_data(told["message"]), from_data(told["hint"])
            raise FileError(ErrorCode(told["code"]), message, hint=hint)
        return Attachment(
            AttachmentKind(told["kind"]),
            told["media_type"],
            told["name"],
            data,
            width=told["width"],
            height=told["height"],
            text=told["text"],
            text_chars=told["text_chars"],
        )

    def end(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            # What was still to be written to it has nobody to go to.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            child.wait(_ENDED_SECS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _ask(
        self, name: str, slices: Sequence[bytes], how: Content
    ) -> tuple[Kept | Refused, bytes]:
        asked: Asked = {"name": name, "content": how, "size": sum(map(len, slices))}
        line = json.dumps(asked).encode() + b"\n"
        for _ in range(2):
            answer = _exchange(self._running(), [line, *slices])
            if answer is not None:
                return answer
            code = self._ended_with()
            if code > 0:
                raise OSError(code, "it ends with an error")
            if code < 0:
                logger.warning(f"The process that reads files ended ({code}) while it read one")
                raise FileError(
                    ErrorCode.FILE_UNREADABLE,
                    worded(
                        "The file cannot be read: it takes too much time or memory, or is damaged."
                    ),
                    hint=worded("Send it again, smaller, or another one."),
                )
            # It had nothing to do for a while, and ended just now.
        raise OSError(0, "it ends with nothing done")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self.end()
        if self._child is None:
            self._child = subprocess.Popen(  # noqa: S603  # our own module
                (sys.executable, "-m", _CHILD, *self._limits),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={key: os.environ[key] for key in _HANDED_ON if key in os.environ},
                cwd=Path(sonora_app.__file__).parents[1],
            )
        return self._child

    def _ended_with(self) -> int:
        """The exit code of the child, which answers no more."""
        child = self._child
        self.end()
        return 0 if child is None else child.returncode


def _exchange(
    child: subprocess.Popen[bytes], slices: Sequence[bytes]
) -> tuple[Kept | Refused, bytes] | None:
    """Ask the child; None where it ended instead of answering."""
    asked, told = child.stdin, child.stdout
    if asked is None or told is None:
        return None
    try:
        for each in slices:
            asked.write(each)
        asked.flush()
    except OSError:
        return None
    line = told.readline()
    if not line.endswith(b"\n"):
        return None
    header: Kept | Refused = json.loads(line)
    size = 0 if "code" in header else header["size"]
    data = told.read(size)
    return (header, data) if len(data) == size else None


def _slices(pieces: Sequence[str]) -> list[bytes]:
    return [
        # What no text may hold cannot be base64 either.
        piece[at : at + _SLICE_CHARS].encode("utf-8", "replace")
        for piece in pieces
        for at in range(0, len(piece), _SLICE_CHARS)
    ]


READING = ReadingProcess()
"""Of this process: all its calls have their files read by it."""
atexit.register(READING.end)

"""What people send is read in a process of its own: whatever happens to that, the bot goes on."""

import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from threading import Timer

import pytest
from PIL import Image

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import AttachmentKind, FileError
from sonora_app.files.reading import read_attachment
from sonora_app.files.reading_child import Content
from sonora_app.files.reading_process import ReadingProcess

pytestmark = pytest.mark.unit

TEXT = "Renta: 950 euros."


@pytest.fixture(scope="module")
def reading() -> Generator[ReadingProcess]:
    reading = ReadingProcess()
    yield reading
    reading.end()


def picture(width: int = 400, height: int = 300) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def children() -> set[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text("ascii").split()}


def refused(reading: ReadingProcess, content: list[str] | bytes, how: Content) -> FileError:
    with pytest.raises(FileError) as refusal:
        reading.read("archivo", content, how)
    return refusal.value


def test_it_reads_what_is_read_here(reading: ReadingProcess) -> None:
    sent = picture(1_700, 1_000)
    text = f"data:image/jpeg;base64,{base64.b64encode(sent).decode()}"
    pieces = [text[at : at + 48_000] for at in range(0, len(text), 48_000)]
    here = read_attachment("foto.jpg", sent)
    for content, how in ((pieces, Content.BASE64), (sent, Content.BYTES)):
        made = reading.read("foto.jpg", content, how)
        assert (made.kind, made.media_type, made.name) == (here.kind, "image/jpeg", "foto.jpg")
        assert (made.data, made.width, made.height) == (here.data, here.width, here.height)
    document = reading.read("renta.txt", [TEXT], Content.BASE64_OR_TEXT)
    assert (document.kind, document.text, document.text_chars, document.data) == (
        *(AttachmentKind.DOCUMENT, TEXT, len(TEXT)),
        TEXT.encode(),
    )


def test_it_tells_why_it_reads_something_not(reading: ReadingProcess) -> None:
    pdf = base64.b64encode(b"%PDF-1.7 cut").decode()
    for content, how, code in (
        (["no es base64!"], Content.BASE64, ErrorCode.INVALID_MESSAGE),
        (["\ud800"], Content.BASE64, ErrorCode.INVALID_MESSAGE),
        ([pdf], Content.BASE64_PICTURE, ErrorCode.FILE_UNSUPPORTED),
        (picture()[:2_000], Content.BYTES, ErrorCode.FILE_UNREADABLE),
        (b"", Content.BYTES, ErrorCode.FILE_UNREADABLE),
        (["", ""], Content.BASE64, ErrorCode.FILE_UNREADABLE),
    ):
        assert refused(reading, content, how).code is code


def test_a_file_that_brings_it_down_is_refused_and_the_next_one_read() -> None:
    reading = ReadingProcess()
    before = children()
    reading.make_ready()
    (pid,) = children() - before

    # So it has the file, or a part of it, and does not answer.
    os.kill(pid, signal.SIGSTOP)
    ending = Timer(0.3, os.kill, (pid, signal.SIGKILL))
    ending.start()
    refusal = refused(reading, picture(), Content.BYTES)
    ending.join()
    assert refusal.code is ErrorCode.FILE_UNREADABLE
    assert "too much time or memory" in refusal.message
    assert reading.read("foto.jpg", picture(), Content.BYTES).width == 400
    reading.end()
    assert children() == before


def test_it_ends_without_work_and_is_started_again_for_more() -> None:
    reading = ReadingProcess(idle_secs=0.1)
    before = children()
    for _ in range(2):
        assert reading.read("foto.jpg", picture(), Content.BYTES).width == 400
        (pid,) = children() - before
        while Path(f"/proc/{pid}/stat").read_text("ascii").split()[2] != "Z":
            time.sleep(0.02)
    reading.end()
    assert children() == before


def test_it_has_no_keys_and_ends_with_the_bot_however_that_ends() -> None:
    program = """
from sonora_app.files.reading_process import READING, Content
print(READING.read("renta.txt", ["Renta"], Content.BASE64_OR_TEXT).text, flush=True)
import time; time.sleep(60)
"""
    bot = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "OPENAI_API_KEY": "sk-of-the-bot"},
    )
    assert bot.stdout is not None
    assert bot.stdout.readline() == b"Renta\n"
    tasks = Path(f"/proc/{bot.pid}/task").glob("*/children")
    (pid,) = {int(pid) for task in tasks for pid in task.read_text("ascii").split()}
    assert b"sk-of-the-bot" not in Path(f"/proc/{pid}/environ").read_bytes()
    bot.kill()
    bot.wait()
    bot.stdout.close()
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()

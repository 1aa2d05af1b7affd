"""Does what a page asks with pictures and documents: takes them, reads them, and shows them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from pipecat.frames.frames import LLMMessagesAppendFrame
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import ValidationError

from sonora_app.call.call import Call
from sonora_app.errors import ErrorCode, MessageError
from sonora_app.files.attachment import Attachment, AttachmentKind
from sonora_app.files.links import fetch_picture
from sonora_app.files.reading import MAX_FILE_BYTES, is_picture
from sonora_app.files.reading_child import Content
from sonora_app.files.reading_process import READING
from sonora_app.page.envelopes import PageRequest
from sonora_app.page.file_messages import (
    MAX_FILES,
    Camera,
    CameraFrame,
    FilePart,
    Shown,
    ShownFile,
    UserFileMessage,
    UserImage,
    UserMultimodalMessage,
)
from sonora_app.page.protocol import MAX_TEXT_CHARS, Accepted, Outbound
from sonora_app.page.rtvi import Entry
from sonora_app.wording.translation import worded

_MAX_BASE64_CHARS = MAX_FILE_BYTES * 4 // 3 + 1_000
_PARTS_SECS = 120.0
"""How long a file whose parts stop coming is waited for."""


@dataclass
class _Coming:
    """A file that comes in parts."""

    total: int
    began: float = field(default_factory=time.monotonic)
    parts: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def chars(self) -> int:
        return sum(map(len, self.parts.values()))


class FileActions:
    """Acts on the messages of one call that carry files.

    Args:
        call: The call.
        enter: Has what is shown enter the conversation, and be answered.
        check: Raises a MessageError where nothing can be shown now.
    """

    def __init__(
        self,
        call: Call,
        enter: Callable[[Entry], Awaitable[None]],
        *,
        check: Callable[[], None],
    ) -> None:
        """Have nothing yet."""
        self._call = call
        self._enter = enter
        self._check = check
        self._coming: dict[UUID, _Coming] = {}
        self.runs: Mapping[str, Callable[[Any], Awaitable[Outbound]]] = {
            "file_part": self._file_part,
            "user_image": self._user_image,
            "user_multimodal_message": self._user_multimodal_message,
            "user_file_message": self._user_file_message,
            "camera": self._camera,
            "camera_frame": self._camera_frame,
        }

    async def send_file(self, request: PageRequest) -> None:
        """RTVI's own message for a file. There is no answer to it but an error.

        Raises:
            SonoraError: The file cannot be used, or not now.
        """
        try:
            data = rtvi.SendFileData.model_validate(request.data)
        except ValidationError:
            raise MessageError(
                ErrorCode.INVALID_MESSAGE,
                worded("A send-file needs a file with a format and a source."),
            ) from None
        self._check()
        source, name = data.file.source, data.file.name or ""
        if isinstance(source, rtvi.FileUrl):
            read = await _read(name, await _linked(source.url), Content.BYTES)
        else:
            read = await _read(name, [source.bytes])
        spoken = data.options.audio_response if data.options else True
        await self._show((data.content or "")[:MAX_TEXT_CHARS], [read], audio_response=spoken)

    async def _file_part(self, part: FilePart) -> Outbound:
        self._forget_late()
        coming = self._coming.get(part.id)
        if coming is None:
            if len(self._coming) >= MAX_FILES:
                raise MessageError(
                    ErrorCode.TOO_MANY_FILES,
                    worded("At most {count} files are sent at a time.", count=MAX_FILES),
                    hint=worded("Show those that were sent first."),
                )
            coming = self._coming[part.id] = _Coming(part.total)
            _make_ready()
        if part.total != coming.total or part.index >= coming.total:
            raise MessageError(
                ErrorCode.INVALID_MESSAGE, worded("The parts of a file have one total.")
            )
        coming.parts[part.index] = part.data
        if coming.chars > _MAX_BASE64_CHARS:
            del self._coming[part.id]
            raise MessageError(
                ErrorCode.FILE_TOO_LARGE,
                worded("The file has more than {most} MB.", most=f"{MAX_FILE_BYTES / 1e6:.0f}"),
            )
        return Accepted()

    async def _user_image(self, message: UserImage) -> Outbound:
        self._check()
        read = await _read(message.name, [message.image], Content.BASE64_PICTURE)
        return await self._show(message.text, [read], audio_response=message.audio_response)

    async def _user_file_message(self, message: UserFileMessage) -> Outbound:
        self._check()
        content = [message.file_content]
        read = await _read(message.file_name, content, Content.BASE64_OR_TEXT)
        return await self._show(message.text, [read], audio_response=message.audio_response)

    async def _user_multimodal_message(self, message: UserMultimodalMessage) -> Outbound:
        self._check()
        wanted = len(message.image_urls) + len(message.files)
        if wanted > MAX_FILES:
            raise MessageError(
                ErrorCode.TOO_MANY_FILES,
                worded("At most {count} files come with one turn.", count=MAX_FILES),
            )
        if not wanted and not message.text:
            raise MessageError(
                ErrorCode.INVALID_MESSAGE,
                worded("The message has neither a text nor anything to show."),
            )
        names = [*message.names, *[""] * wanted]
        whole = [self._whole(each) for each in message.files]
        # Also what cannot be read: it would stand in the way of what is sent next.
        for id in message.files:
            self._coming.pop(id, None)
        read: list[Attachment] = []
        for name, content in zip(names, whole, strict=False):
            read.append(await _read(name, content))
        for name, link in zip(names[len(whole) :], message.image_urls, strict=False):
            if link.startswith("data:"):
                read.append(await _read(name, [link]))
            else:
                data = await _linked(link)
                read.append(await _read(name or link.rpartition("/")[2], data, Content.BYTES))
        return await self._show(message.text, read, audio_response=message.audio_response)

    async def _camera(self, camera: Camera) -> Outbound:
        self._call.camera.switch(camera.on)
        if camera.on:
            _make_ready()
        return Accepted()

    async def _camera_frame(self, frame: CameraFrame) -> Outbound:
        if not self._call.camera.wants(frame.id):
            raise MessageError(ErrorCode.NOT_FOUND, worded("No frame is waited for by this id."))
        if (frame.image is None) == (frame.file is None):
            raise MessageError(
                ErrorCode.INVALID_MESSAGE, worded("A frame is either an image or a file.")
            )
        content = [frame.image] if frame.image else self._whole(cast(UUID, frame.file))
        if frame.file is not None:
            self._coming.pop(frame.file, None)
        read = await _read("camera.jpg", content, Content.BASE64_PICTURE)
        self._call.camera.came(frame.id, read)
        return Accepted()

    def _whole(self, id: UUID) -> list[str]:
        coming = self._coming.get(id)
        if coming is None or len(coming.parts) < coming.total:
            raise MessageError(
                ErrorCode.NOT_FOUND,
                worded("The file has not come whole."),
                hint=worded("Send all its parts as file_part first."),
            )
        return [coming.parts[index] for index in range(coming.total)]

    def _forget_late(self) -> None:
        now = time.monotonic()
        late = [id for id, each in self._coming.items() if now - each.began > _PARTS_SECS]
        for id in late:
            del self._coming[id]

    async def _show(self, text: str, read: Sequence[Attachment], *, audio_response: bool) -> Shown:
        """Have what was read enter the conversation, with the text that came with it."""
        # Reading takes a moment, in which the conversation may have ended.
        self._check()
        call = self._call
        for attachment in read:
            call.showing.attachments.hold(attachment)
        entry = Entry(
            text,
            audio_response=audio_response,
            told="\n".join(map(call.showing.add, read)),
            files=tuple(attachment.id for attachment in read),
        )
        if not text and call.showing.user_speaks:
            await self._lay_beside(entry)
        else:
            await self._enter(entry)
        return Shown(files=[_shown(attachment) for attachment in read])

    async def _lay_beside(self, entry: Entry) -> None:
        """Have what is shown while the person speaks be there when they have said it."""
        await self._call.page.entered.tell(entry)
        message: Any = {"role": "user", "content": entry.told}
        await self._call.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=False))


async def _linked(link: str) -> bytes:
    data = await fetch_picture(link)
    if not is_picture(data):
        raise MessageError(
            ErrorCode.LINK_REFUSED,
            worded("The link gives no picture as JPEG, PNG, WebP or GIF."),
        )
    return data


async def _read(
    name: str, content: Sequence[str] | bytes, how: Content = Content.BASE64
) -> Attachment:
    return await asyncio.to_thread(READING.read, name, content, how)


def _make_ready() -> None:
    """Have what reads files started, and wait for nothing."""
    asyncio.get_running_loop().run_in_executor(None, READING.make_ready)


def _shown(attachment: Attachment) -> ShownFile:
    is_a_picture = attachment.kind is AttachmentKind.PICTURE
    return ShownFile(
        id=attachment.id,
        kind="picture" if is_a_picture else "document",
        name=attachment.name,
        width=attachment.width if is_a_picture else None,
        height=attachment.height if is_a_picture else None,
        chars=None if is_a_picture else attachment.text_chars,
    )

"""The messages by which a page shows pictures and documents. Part of `protocol.py`."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from sonora_app.page.messages import Event, Inbound, Outbound

MAX_FILE_MESSAGE_BYTES = 65_536
"""The largest message that carries a file or a part of one, as JSON in UTF-8: what a data channel
takes, and Pipecat's client sends."""

MAX_PART_CHARS = 60_000
MAX_PARTS = 600
"""Enough for the largest file that is taken, in base64."""

MAX_FILES = 4
"""How many pictures and documents come with one turn."""

ShownText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4_000)]
FileName = Annotated[str, StringConstraints(max_length=500)]
Content = Annotated[str, StringConstraints(min_length=1, max_length=MAX_FILE_MESSAGE_BYTES)]


class FilePart(Inbound):
    """A part of a file that is larger than a message: a slice of its base64, or of its data URL.

    The page makes up the `id`, numbers the parts from 0, and names the id in
    `user_multimodal_message` when all were accepted.
    """

    id: UUID
    index: int = Field(ge=0, lt=MAX_PARTS)
    total: int = Field(ge=1, le=MAX_PARTS)
    data: str = Field(min_length=1, max_length=MAX_PART_CHARS)


class UserImage(Inbound):
    """A picture that the person shows: base64, or a data URL. It is answered at once."""

    image: Content
    text: ShownText = ""
    name: FileName = ""
    audio_response: bool = True


class UserMultimodalMessage(Inbound):
    """Pictures and documents that the person shows, with what they say of them.

    `image_urls` are links (https) or data URLs, `files` the ids of files that were sent in parts.
    """

    text: ShownText = ""
    # More than `MAX_FILES` are refused in words that say so.
    image_urls: list[str] = Field(default_factory=list[str])
    files: list[UUID] = Field(default_factory=list[UUID])
    names: list[FileName] = Field(default_factory=list[str])
    audio_response: bool = True


class UserFileMessage(Inbound):
    """A document that the person shows: base64, a data URL, or its text as it is."""

    file_content: Content
    file_name: FileName = ""
    text: ShownText = ""
    audio_response: bool = True


class Camera(Inbound):
    """The person switched their camera on or off. While it is on, the bot may ask for a frame."""

    on: bool


class CameraFrame(Inbound):
    """The newest frame of the camera, which a `frame-wanted` asked for by its `id`.

    It is base64 or a data URL, or the `file` that was sent in parts.
    """

    id: UUID
    image: Content | None = None
    file: UUID | None = None


class FrameWanted(Event):
    """The bot looks: give it the newest frame of the camera, as `camera_frame`, within 5 s."""

    event: Literal["frame-wanted"] = "frame-wanted"
    id: UUID


class ShownFile(Outbound):
    """A picture or a document, as the bot took it.

    `width` and `height` are of a picture made small, in pixels; `chars` is how long the document's
    text is.
    """

    id: UUID
    kind: Literal["picture", "document"]
    name: str
    width: int | None = None
    height: int | None = None
    chars: int | None = None


class Shown(Outbound):
    """The answer to what shows something: what was taken, in its order."""

    status: Literal["shown"] = "shown"
    files: list[ShownFile]

"""Reads the envelope of what a page sends: RTVI's, with a client message in it or a text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel, Field, ValidationError

from sonora_app.errors import ErrorCode, MessageError
from sonora_app.page.file_messages import MAX_FILE_MESSAGE_BYTES
from sonora_app.page.protocol import MAX_MESSAGE_BYTES, MAX_TEXT_CHARS, UserTextMessage
from sonora_app.wording.translation import worded

FILE_TYPES = frozenset(
    {
        *("user_image", "user_multimodal_message", "user_file_message"),
        *("file_part", "camera_frame"),
    }
)
"""The actions that carry files; they are messages of these types as well."""

_MAX_ID_CHARS = 200


class RtviMessage(BaseModel):
    """The envelope of every message from the page."""

    label: Literal["rtvi-ai"]
    type: str = Field(max_length=64)
    id: str = Field(max_length=_MAX_ID_CHARS)
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class PageRequest:
    """What the page asks the conversation to do.

    Parameters:
        message_id: What the answer refers to.
        type: The `t` of a client message, or `send-text`.
        data: Its `d`.
        typed: The text of a `send-text`; None for a client message.
    """

    message_id: str
    type: str
    data: Mapping[str, Any] | None = None
    typed: UserTextMessage | None = None


def parse_rtvi_message(raw: Any) -> RtviMessage:  # noqa: ANN401  # JSON from outside
    """Read a message's envelope.

    Raises:
        MessageError: It is too large, or is no RTVI message.
    """
    try:
        size = len(json.dumps(raw, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise MessageError(ErrorCode.INVALID_MESSAGE, worded("The message is not JSON.")) from None
    carries_file = _carries_file(raw)
    most = MAX_FILE_MESSAGE_BYTES if carries_file else MAX_MESSAGE_BYTES
    if size > most:
        raise MessageError(
            ErrorCode.MESSAGE_TOO_LARGE,
            worded("The message has {size} bytes; at most {most} are taken.", size=size, most=most),
            hint=worded("Send the file in parts, as file_part.") if carries_file else "",
        )
    try:
        return RtviMessage.model_validate(raw, strict=True)
    except ValueError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            worded("This is not an RTVI message."),
            hint=worded("It needs label (rtvi-ai), type, id, and data as an object."),
        ) from None


def _carries_file(raw: Any) -> bool:  # noqa: ANN401  # JSON from outside
    if not isinstance(raw, Mapping):
        return False
    message = cast("Mapping[str, Any]", raw)
    if message.get("type") == "send-file":
        return True
    data: Any = message.get("data")
    if message.get("type") != "client-message" or not isinstance(data, Mapping):
        return False
    sent = cast("Mapping[str, Any]", data)
    asked: Any = sent.get("t")
    if asked == "action" and isinstance(sent.get("d"), Mapping):
        asked = cast("Mapping[str, Any]", sent["d"]).get("action")
    return isinstance(asked, str) and asked in FILE_TYPES


def client_message(message: RtviMessage) -> PageRequest:
    """What a client message asks for.

    Raises:
        MessageError: It asks for nothing.
    """
    try:
        data = rtvi.RawClientMessageData.model_validate(message.data)
    except ValidationError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            worded("A client-message needs data with t, and optionally d."),
        ) from None
    if data.d is not None and not isinstance(data.d, Mapping):
        raise MessageError(
            ErrorCode.INVALID_MESSAGE, worded("The d of a client-message is an object.")
        )
    return PageRequest(message.id, data.t, cast("Mapping[str, Any] | None", data.d))


def typed_text(message: RtviMessage) -> PageRequest:
    """The text of a `send-text`.

    Raises:
        MessageError: There is none that can be taken.
    """
    try:
        text = rtvi.SendTextData.model_validate(message.data)
        typed = UserTextMessage(
            text=text.content,
            audio_response=text.options.audio_response if text.options else True,
        )
    except ValidationError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            worded("A send-text needs content of 1 to {most} characters.", most=MAX_TEXT_CHARS),
        ) from None
    return PageRequest(message.id, "send-text", typed=typed)


def message_id(raw: Any) -> str:  # noqa: ANN401  # JSON from outside
    """The id of a message that may be no message; empty where it has none."""
    if isinstance(raw, Mapping):
        identifier: Any = raw.get("id")  # pyright: ignore[reportUnknownVariableType]
        if isinstance(identifier, str) and len(identifier) <= _MAX_ID_CHARS:
            return identifier
    return ""

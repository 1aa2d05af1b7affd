"""Shows the model the pictures of a call.

The context holds a mark for each picture: its number, its size and its name. The picture itself is
in the requests for the answer to the turn that it came with, and in no later one. There the mark
and what was said of the picture stand for it, so that the prompt stays as small as it was. A
picture whose answer was cut off is shown with the next turn as well, for a few turns.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from sonora_app.call.attachments import Attachments
from sonora_app.call.services import CallServices
from sonora_app.files.attachment import Attachment, AttachmentKind, Keeper
from sonora_app.flow.lines import Lines
from sonora_app.flow.quoted import quoted
from sonora_app.settings import Settings
from sonora_app.vendors.openai.sight import ContextWithPictures

_MAX_SHOWN = 4
"""How many pictures one request has at most: the newest."""

_MAX_ANSWERS = 3
"""With how many answers a picture is shown that were all cut off."""

_NAME_CHARS = 80


@dataclass
class _Fresh:
    """A picture whose answer was not heard yet."""

    mark: str
    unseen: str
    url: str = field(repr=False)
    asked: bool = False
    answers: int = 0


class Showing(FrameProcessor):
    """Stands before the model, and puts pictures into its requests.

    Args:
        attachments: Holds what is shown until it is kept.
        lines: Gives the fixed lines, in the call's language.
        sees: Whether the model takes pictures.

    Attributes:
        attachments: What is shown, until it is kept.
        sees: Whether the model takes pictures.
        user_speaks: Whether the person is speaking at the moment.
    """

    def __init__(self, attachments: Attachments, *, lines: Callable[[], Lines], sees: bool) -> None:
        """Show nothing yet."""
        super().__init__()
        self.attachments = attachments
        self.sees = sees
        self.user_speaks = False
        self._lines = lines
        self._number = 0
        self._fresh: list[_Fresh] = []

    def add(self, attachment: Attachment) -> str:
        """Show an attachment with the message that is about to come.

        Returns:
            What that message has to hold for it: a mark, or a document's text.
        """
        self._number += 1
        facts = {
            "number": str(self._number),
            "name": quoted(attachment.name, max_chars=_NAME_CHARS),
            "width": str(attachment.width),
            "height": str(attachment.height),
            "chars": str(attachment.text_chars),
            "text": quoted(attachment.text, max_chars=len(attachment.text) + 1),
        }
        lines = self._lines()
        if attachment.kind is AttachmentKind.DOCUMENT:
            return lines.text("prompt.shown.document", facts)
        unseen = lines.text("prompt.shown.unseen", facts)
        if not self.sees:
            return unseen
        mark = lines.text("prompt.shown.picture", facts)
        url = f"data:{attachment.media_type};base64,{base64.b64encode(attachment.data).decode()}"
        self._fresh = [*self._fresh, _Fresh(mark, unseen, url)][-_MAX_SHOWN:]
        return mark

    def answered(self, *, whole: bool) -> None:
        """An answer was heard: the pictures that it was asked with are shown no more.

        Args:
            whole: Whether it was heard to its end.
        """
        for fresh in self._fresh:
            fresh.answers += fresh.asked
        limit = 1 if whole else _MAX_ANSWERS
        self._fresh = [each for each in self._fresh if each.answers < limit]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Put pictures into a request, and pass everything on."""
        await super().process_frame(frame, direction)
        match frame:
            case UserStartedSpeakingFrame():
                self.user_speaks = True
            case UserStoppedSpeakingFrame():
                self.user_speaks = False
            case LLMContextFrame() if direction is FrameDirection.DOWNSTREAM and self._fresh:
                # The same frame: its id tells the model which guess was withdrawn.
                frame.context = self._with_pictures(frame.context)
            case _:
                pass
        await self.push_frame(frame, direction)

    def _with_pictures(self, context: LLMContext) -> LLMContext:
        seen = list(context.get_messages())
        unseen = list(seen)
        shown = False
        for index, message in enumerate(seen):
            text = _user_text(message)
            here = [each for each in self._fresh if each.mark in text]
            if not here:
                continue
            shown = True
            for each in here:
                each.asked = True
                text = text.replace(each.mark, each.unseen)
            seen[index] = _with_parts(message, here)
            unseen[index] = cast(LLMContextMessage, {"role": "user", "content": text})
        if not shown:
            return context
        return ContextWithPictures(seen, unseen, context.tools, context.tool_choice)


def build_showing(keeper: Keeper | None, services: CallServices, settings: Settings) -> Showing:
    """What shows the model the pictures of a call, and has `keeper` keep them."""
    attachments = Attachments(keeper)
    return Showing(attachments, lines=lambda: services.lines, sees=settings.sees_pictures)


def _user_text(message: LLMContextMessage) -> str:
    if not isinstance(message, dict) or message.get("role") != "user":
        return ""
    content: Any = message.get("content")
    return content if isinstance(content, str) else ""


def _with_parts(message: LLMContextMessage, shown: Sequence[_Fresh]) -> LLMContextMessage:
    pictures = [{"type": "image_url", "image_url": {"url": each.url}} for each in shown]
    parts = [{"type": "text", "text": _user_text(message)}, *pictures]
    return cast(LLMContextMessage, {"role": "user", "content": parts})

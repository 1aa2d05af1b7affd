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

from sonora_app.call.context.attachments import Attachments
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
                frame.context = self.with_pictures(frame.context)
            case _:
                pass
        await self.push_frame(frame, direction)

    def with_pictures(self, context: LLMContext) -> LLMContext:
        """A context for one request, with the pictures that it is to be shown."""
        seen = list(context.get_messages())
        unseen = list(seen)
        shown = False
        # From the end, so that what is put in moves nothing that is still to be looked at.
        for index in reversed(range(len(seen))):
            role, text = _role_and_text(seen[index])
            here = [each for each in self._fresh if each.mark in text]
            if not here:
                continue
            shown = True
            for each in here:
                each.asked = True
            if role == "user":
                seen[index] = _with_parts(text, here)
                unseen[index] = _user(_unseen(text, here))
            else:
                # The result of a function, which can hold no picture: after all the results.
                after = _end_of_results(seen, index)
                seen.insert(after, _with_parts("\n".join(each.mark for each in here), here))
                unseen.insert(after, _user("\n".join(each.unseen for each in here)))
        if not shown:
            return context
        return ContextWithPictures(seen, unseen, context.tools, context.tool_choice)


class ShowingResults(FrameProcessor):
    """Stands after the model. A request with a function's result comes to the model from there.

    Args:
        showing: What puts the pictures into it.
    """

    def __init__(self, showing: Showing) -> None:
        """Create the processor, which sees to frames at once and has no queue of its own."""
        super().__init__(enable_direct_mode=True)
        self._showing = showing

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Put pictures into a request, and pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.UPSTREAM:
            frame.context = self._showing.with_pictures(frame.context)
        await self.push_frame(frame, direction)


def build_showing(keeper: Keeper | None, services: CallServices, settings: Settings) -> Showing:
    """What shows the model the pictures of a call, and has `keeper` keep them."""
    attachments = Attachments(keeper)
    return Showing(attachments, lines=lambda: services.lines, sees=settings.sees_pictures)


def _role_and_text(message: LLMContextMessage) -> tuple[str, str]:
    """Who says what; nothing for what cannot have brought a picture."""
    if not isinstance(message, dict):
        return "", ""
    role, content = str(message.get("role")), cast(Any, message.get("content"))
    brings = role in ("user", "tool", "developer") and isinstance(content, str)
    return (role, content) if brings else (role, "")


def _end_of_results(messages: Sequence[LLMContextMessage], index: int) -> int:
    """Where the results of functions end that the one at `index` is among."""
    index += 1
    while index < len(messages) and _role_and_text(messages[index])[0] == "tool":
        index += 1
    return index


def _unseen(text: str, shown: Sequence[_Fresh]) -> str:
    for each in shown:
        text = text.replace(each.mark, each.unseen)
    return text


def _user(content: Any) -> LLMContextMessage:  # noqa: ANN401  # a text, or parts
    return cast(LLMContextMessage, {"role": "user", "content": content})


def _with_parts(text: str, shown: Sequence[_Fresh]) -> LLMContextMessage:
    pictures = [{"type": "image_url", "image_url": {"url": each.url}} for each in shown]
    return _user([{"type": "text", "text": text}, *pictures])

"""Chooses which stored messages a resumed call gives to the language model.

No other module decides this.
"""

from collections.abc import Iterable
from typing import Literal, TypedDict

from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.records import Message
from sonora_app.storage.whole_turns import whole_turns

_ROLES: dict[str, Literal["user", "assistant"]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    # The text-chat API that shares the tables writes this one.
    "agent": "assistant",
}


LEFT_OUT = " […] "
"""Stands where the middle of a text was left out."""

_LARGEST_PART = 4
"""A message may take one part in so many of the room, however little the others leave it."""

_WORTH_KEEPING = 200
"""Characters of a message that are more use than none. Below that the oldest is left out."""


class ContextMessage(TypedDict):
    """A message as the language model takes it."""

    role: Literal["user", "assistant"]
    content: str


def context_messages(
    messages: Iterable[Message], *, max_messages: int, max_chars: int
) -> list[ContextMessage]:
    """The newest of `messages` that fit, oldest first, as context for the language model.

    Left out are messages without words and files, deleted ones, and those of roles other than the
    two speakers: stored text never becomes an instruction. Of a picture or document that was sent,
    the model is told that it was; it is not sent again. A turn that was cut off is one message,
    without the bot's words that cut it off. A message that
    would take most of the room, such as an uploaded file with a question in front, is shortened in
    its middle, so that what is around it stays.

    Args:
        messages: Stored messages, oldest first.
        max_messages: How many to give at most.
        max_chars: How many characters all of them may have together.
    """
    said = [
        ContextMessage(role=_ROLES[message.role], content=content)
        for message in whole_turns(messages, with_cut_in=False)
        if message.role in _ROLES
        and message.deleted_at is None
        and (content := f"{(message.content or '').strip()}{_sent_with(message)}".strip())
    ]
    said = said[max(0, len(said) - max_messages) :]
    longest = max(
        _share(map(_length, said), max_chars),
        max_chars // _LARGEST_PART,
        min(max_chars, _WORTH_KEEPING),
    )
    kept: list[ContextMessage] = []
    room = max_chars
    for message in reversed(said):
        whole = shortened(message["content"], longest)
        content = whole if len(whole) <= room else shortened(whole, room)
        if not content or (kept and len(content) < min(len(whole), _WORTH_KEEPING)):
            break
        kept.append(ContextMessage(role=message["role"], content=content))
        room -= len(content)
    kept.reverse()
    return kept


def _sent_with(message: Message) -> str:
    """What stands in for the files that were sent with a message."""
    files = [KeptFile.referred_to(each) for each in message.images or ()]
    # What the text-chat API names is a picture.
    pictures = sum(file is None or file.is_picture for file in files)
    return _mark(pictures, "picture") + _mark(len(files) - pictures, "document")


def _mark(number: int, what: str) -> str:
    if not number:
        return ""
    return f" [{f'A {what} was' if number == 1 else f'{number} {what}s were'} sent.]"


def shortened(text: str, max_chars: int) -> str:
    """`text`, or its beginning and its end with a mark between them where it is too long.

    Args:
        text: Anything.
        max_chars: How many characters to give at most. Where the mark does not fit, the end is
            given alone.
    """
    if len(text) <= max_chars:
        return text
    room = max_chars - len(LEFT_OUT)
    if room < 2:
        return text[len(text) - max(0, max_chars) :]
    # A question stands before what it is about more often than after it.
    tail = room // 3
    return text[: room - tail] + LEFT_OUT + text[len(text) - tail :]


def _share(lengths: Iterable[int], room: int) -> int:
    """How long each text may be so that all of them have room, when the short ones stay whole."""
    share = room
    ordered = sorted(lengths)
    for index, length in enumerate(ordered):
        share = room // (len(ordered) - index)
        if length > share:
            break
        room -= length
    return share


def _length(message: ContextMessage) -> int:
    return len(message["content"])

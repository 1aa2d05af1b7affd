"""What the scripted interlocutor says of pictures and documents: so much that one can see that they
came."""

import base64
import io
import re
from collections.abc import Sequence

from PIL import Image

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.turns import Kind, Turn

_PICTURE = re.compile(r"\[Picture \d+, [^\]]*\]")
_DOCUMENT = re.compile(
    r"\[Document \d+, called <quoted>([^<>]*)</quoted>, \d+ characters long: "
    r"<quoted>([^<>]*)</quoted>\]"
)
"""How `call/context/showing.py` tells the model of each, by the lines of `flows/lines/`."""

_BEGINNING_CHARS = 120


def shown_in(turns: Sequence[Turn], message: int, lines: Lines) -> str:
    """What is said of what came with the person's newest turn; empty where nothing did.

    Args:
        turns: The conversation so far.
        message: Where the person's newest message stands.
        lines: The fixed lines, in the language of the call.
    """
    said: list[str] = []
    for turn in reversed(turns[: message + 1]):
        if turn.kind is Kind.ASSISTANT:
            break
        if turn.kind is Kind.USER:
            said = [*_of_pictures(turn, lines), *_of_documents(turn, lines), *said]
    return " ".join(said)


def spoken_of(text: str) -> str:
    """What the person said in a message, without what tells of things shown."""
    return _DOCUMENT.sub("", _PICTURE.sub("", text)).strip()


def _of_pictures(turn: Turn, lines: Lines) -> list[str]:
    said: list[str] = []
    for url in turn.pictures:
        try:
            with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
                width, height, kind = picture.width, picture.height, picture.format
        except (OSError, ValueError):
            continue
        facts = {"width": str(width), "height": str(height), "kind": kind}
        said.append(lines.text("rehearsal.picture", facts))
    return said


def _of_documents(turn: Turn, lines: Lines) -> list[str]:
    return [
        lines.text(
            "rehearsal.document",
            {"name": name, "text": " ".join(text.split())[:_BEGINNING_CHARS].strip()},
        )
        for name, text in _DOCUMENT.findall(turn.text)
    ]

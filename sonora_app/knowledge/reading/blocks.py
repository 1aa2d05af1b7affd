"""The parts of a document, whatever kind of file it was."""

from dataclasses import dataclass, field
from enum import Enum, auto


class BlockKind(Enum):
    """What a block is."""

    HEADING = auto()
    TEXT = auto()
    ITEM = auto()
    CODE = auto()


@dataclass(frozen=True)
class Block:
    """One heading, paragraph, item of a list, row of a table or piece of code.

    Parameters:
        kind: What it is.
        text: Its words, on one line.
        level: Of a heading: 1 is the outermost.
        page: The page that it begins on, from 1; None where there are no pages.
        anchor: The name by which a link reaches it, where it has one.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    anchor: str | None = None


@dataclass
class ReadDocument:
    """A file's text.

    Parameters:
        title: What the document calls itself; empty where it does not.
        blocks: Its parts, in order.
        language: The language that it says it is in, such as `es`; None where it does not.
    """

    title: str
    blocks: list[Block] = field(default_factory=list[Block])
    language: str | None = None

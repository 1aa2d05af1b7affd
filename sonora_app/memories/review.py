"""What the request after a call tells of the person: facts that are new, replaced or over.

Each names the turn of the person's that it was said in. What names none, or what the bot alone
said, is not kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from loguru import logger
from pipecat.processors.aggregators.llm_context import LLMContextMessage
from pydantic import BaseModel, Field

from sonora_app.memories.facts import end_of_day
from sonora_app.memories.person import Person, Source

MAX_FACTS_A_CALL = 20
"""How many new facts one call may leave."""


class NewFact(BaseModel):
    """A fact that the person told of themselves."""

    fact: str = Field(max_length=4_000)
    said_in: int
    until: str = ""
    replaces: int = 0
    name: str = ""


class EndedFact(BaseModel):
    """A fact that is true no longer."""

    number: int
    said_in: int


class Review(BaseModel):
    """What one call told of the person."""

    facts: list[NewFact] = Field(default_factory=list[NewFact], max_length=200)
    ended: list[EndedFact] = Field(default_factory=list[EndedFact], max_length=200)


@dataclass(frozen=True)
class SaidTurn:
    """Something that the person said in this call, and the message that it is kept as."""

    message_id: UUID
    text: str


def numbered(
    messages: Sequence[LLMContextMessage], turns: Sequence[SaidTurn]
) -> list[LLMContextMessage]:
    """`messages` with a number before each of `turns`, by which a fact says where it comes from.

    Args:
        messages: What was said, by the person and by the bot, oldest first; that of earlier calls
            too, which gets no number.
        turns: What the person said in this call, in order. What a long call has summed up meanwhile
            is put before the rest.
    """
    left = list(enumerate(turns, start=1))
    marked: list[LLMContextMessage] = []
    for message in reversed(messages):
        raw: dict[str, Any] = dict(message) if isinstance(message, dict) else {}
        text = raw.get("content")
        if left and raw.get("role") == "user" and isinstance(text, str):
            place = next(
                (i for i in range(len(left) - 1, -1, -1) if left[i][1].text.strip() in text), None
            )
            if place is not None:
                number = left[place][0]
                del left[place:]
                marked.append({"role": "user", "content": f"[{number}] {text}"})
                continue
        marked.append(message)
    for number, turn in reversed(left):
        marked.append({"role": "user", "content": f"[{number}] {turn.text}"})
    marked.reverse()
    return marked


def apply_review(review: Review, person: Person, turns: Sequence[SaidTurn], source: Source) -> None:
    """Keep what a call told of the person, and end what it tells to be over.

    Args:
        review: What the request after the call answered.
        person: Whom it is about.
        turns: What they said, by whose numbers the answer says where it comes from.
        source: The call; the messages are those of `turns`.
    """
    if not person.permission.keeps:
        return
    # Numbers are those that were told: what is kept meanwhile gets others.
    before = dict(person.facts)
    kept = 0
    for new in review.facts:
        turn = _turn(new.said_in, turns)
        if turn is None or kept >= MAX_FACTS_A_CALL:
            continue
        try:
            until = end_of_day(new.until)
        except ValueError:
            until = None
        where = Source("review", turn.message_id, source.conversation_id, source.language)
        kept += (
            person.keep(
                new.fact, where, until=until, replaces=before.get(new.replaces), name=new.name
            )
            is not None
        )
    for over in review.ended:
        memory = before.get(over.number)
        if memory is not None and _turn(over.said_in, turns) and person.facts.number_of(memory):
            person.end(memory)
    if kept:
        logger.info(f"Kept {kept} facts of a person after a call")


def _turn(number: int, turns: Sequence[SaidTurn]) -> SaidTurn | None:
    return turns[number - 1] if 1 <= number <= len(turns) else None

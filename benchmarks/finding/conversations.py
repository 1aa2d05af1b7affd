"""The conversations that are listed, found and added up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sonora_app.storage.labels import Label
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    JsonObject,
    Message,
    Record,
    Role,
    Session,
    SessionUpdate,
    uuid7,
)
from sonora_app.storage.whole_turns import CONTINUES

FREQUENT, RARE, NOWHERE = "viaje", "quetzal", "zanahoria"
"""Words that are in every conversation, in one of 1,000, and in none."""
CUT = "abril hotel"
"""Words of which one is in the first part of a turn that was cut in two, and one in the second."""
LABELLED = "misunderstood"
"""The label that one conversation of 20 has."""
USERS = 500
"""How many people have had them."""

_BATCH = 500
_EVERY = timedelta(minutes=6)
"""How long after one another conversations begin: 20,000 of them take 83 days."""
_FIRST = datetime(2026, 3, 1, tzinfo=UTC)
_PLACES = ("Oaxaca", "Mérida", "Puebla", "Xalapa", "Toluca", "Celaya", "Tepic")
_SAID = (
    "Hola, quiero planear un viaje a {place} en abril con mi hermana.",
    "Claro. ¿Cuántos días quieres quedarte en {place}?",
    "Unos cinco días, y que el hotel quede cerca del centro, por favor.",
    "Muy bien: cinco días en {place}, cerca del centro. ¿Algo más para el viaje?",
)


def begun(number: int) -> datetime:
    """When the conversation of this number began."""
    return _FIRST + number * _EVERY


def in_batches(conversations: int) -> Iterator[list[Record]]:
    """The records of so many conversations, some hundred of those at a time."""
    for first in range(0, conversations, _BATCH):
        numbers = range(first, min(first + _BATCH, conversations))
        yield [record for number in numbers for record in _conversation(number)]


def _conversation(number: int) -> list[Record]:
    """One conversation of four messages and a call; every 20th to every 1,000th is peculiar."""
    at = begun(number)
    conversation = Conversation(
        id=uuid7(),
        user_id=f"user-{number % USERS}",
        status=ConversationStatus.COMPLETED if number % 2 else ConversationStatus.ACTIVE,
        created_at=at,
        updated_at=at,
    )
    session = Session(
        id=uuid7(),
        conversation_id=conversation.id,
        transport="webrtc",
        started_at=at,
        app_version="1",
    )
    records: list[Record] = [conversation, session]
    messages: list[Message] = []
    for seq, words in enumerate(_SAID):
        said = words.format(place=_PLACES[number % len(_PLACES)])
        cut = seq == 2 and number % 40 == 0
        messages.append(
            Message(
                id=uuid7(),
                conversation_id=conversation.id,
                session_id=session.id,
                seq=seq,
                role=Role.ASSISTANT if seq % 2 else Role.USER,
                content=f"{said} {RARE}" if not seq and number % 1_000 == 100 else said,
                created_at=at + timedelta(seconds=5 * seq),
                metadata={CONTINUES: str(messages[0].id)} if cut else {},
            )
        )
    records += messages
    records.append(
        SessionUpdate(
            id=session.id,
            ended_at=at + timedelta(minutes=1),
            end_reason=EndReason.ERROR if number % 100 == 0 else EndReason.GOODBYE,
            metrics=_metrics(number),
        )
    )
    if number % 20 == 0:
        records.append(
            Label(id=uuid7(), conversation_id=conversation.id, name=LABELLED, created_at=at)
        )
    return records


def _metrics(number: int) -> JsonObject:
    waits = [400 + number % 700, 2_400 if number % 50 == 0 else 600 + number % 300]
    return {
        "turns_answered": 2,
        "turns_cut": int(number % 40 == 0),
        "early_answers": 3,
        "early_answers_withdrawn": 1,
        "waits_ms": waits,
        "latency_ms": {"median": sum(waits) // 2, "p95": max(waits), "worst": max(waits)},
        "prompt_tokens": 1_000,
        "completion_tokens": 100,
        "summary_prompt_tokens": 500,
        "summary_completion_tokens": 50,
        "characters_spoken": 300,
        "usage": [
            {"part": "stt", "provider": "deepgram", "model": "nova-3-general", "audio_secs": 55.5},
            {
                "part": "llm",
                "provider": "openai",
                "model": "gpt-4.1",
                "prompt_tokens": 1_500,
                "cached_tokens": 1_000,
                "completion_tokens": 150,
                "answers": 3,
                "uncounted": 1,
            },
            {"part": "tts", "provider": "cartesia", "model": "sonic-3", "characters": 300},
        ],
        "cost": {"currency": "USD", "total": 0.01, "known": 0.01, "unknown": []},
        "failures": {"model_unavailable": 1} if number % 100 == 0 else {},
        "flow_version": f"f{number % 3}",
    }

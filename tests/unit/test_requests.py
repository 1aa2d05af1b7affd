"""What the model was asked is kept once, goes with its conversation, and is bounded."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, Memory, MemoryUpdate, utc_now, uuid7
from sonora_app.storage.requests import ModelRequest

pytestmark = pytest.mark.unit

NOW = utc_now()
SYSTEM = "You are Sonora. " * 150


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    yield journal
    await journal.aclose()


def files_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def talk(user: str = "ana") -> Conversation:
    return Conversation(id=uuid7(), user_id=user, created_at=NOW, updated_at=NOW)


def asked(of: Conversation, session_id: UUID, *said: str, tools: str = "[]") -> ModelRequest:
    return ModelRequest(
        id=uuid7(),
        conversation_id=of.id,
        session_id=session_id,
        node="conversation",
        model="m",
        aside=False,
        asked_at=NOW,
        messages=tuple(json.dumps({"role": "user", "content": text}) for text in said),
        tools=tools,
    )


async def told(journal: Journal, of: Conversation) -> list[list[str]]:
    kept = await journal.requests.of(of.id)
    return [
        [json.loads(kept.texts[name])["content"] for name in each.messages]
        for each in kept.requests
    ]


async def test_each_is_given_whole_and_each_text_kept_once(
    journal: Journal, tmp_path: Path
) -> None:
    conversation, first, second = talk(), uuid7(), uuid7()
    await journal.write([conversation])
    turns = [f"turn {number}, as long as what somebody says at a time" for number in range(60)]
    for count in range(0, 61, 2):
        request = asked(conversation, first, SYSTEM, *turns[:count], "think")
        await journal.requests.keep(request, conversations=9)
    await journal.requests.keep(asked(conversation, second, SYSTEM, "again"), conversations=9)
    # Written again it changes nothing.
    await journal.requests.keep(request, conversations=9)

    found = await told(journal, conversation)
    assert [len(each) for each in found] == [*range(2, 63, 2), 2]
    assert found[30] == [SYSTEM, *turns, "think"]
    assert found[31] == [SYSTEM, "again"]
    with closing(sqlite3.connect(tmp_path / "journal.db")) as rows:
        texts = rows.execute("SELECT sum(length(text)) FROM request_texts").fetchone()[0]
        named = rows.execute("SELECT sum(length(messages)) FROM requests").fetchone()[0]
    once = len(SYSTEM) + sum(map(len, turns))
    assert texts < 2 * once
    assert named < once


async def test_they_are_never_shipped_and_go_with_their_conversation(
    journal: Journal, tmp_path: Path
) -> None:
    conversation, other = talk(), talk("eva")
    await journal.write([conversation, other])
    before = (await journal.outbox.counts()).pending
    await journal.requests.keep(asked(conversation, uuid7(), "quokka"), conversations=9)
    await journal.requests.keep(asked(other, uuid7(), "uapi"), conversations=9)
    assert (await journal.outbox.counts()).pending == before
    await journal.erasure.erase({conversation.id}, since=None)

    assert await told(journal, conversation) == []
    assert await told(journal, other) == [["uapi"]]
    assert not [name for name, content in files_of(tmp_path).items() if b"quokka" in content]
    # Of one that is gone nothing is kept any more.
    await journal.requests.keep(asked(conversation, uuid7(), "quokka"), conversations=9)
    assert (await journal.requests.of(conversation.id)).texts == {}


async def test_of_the_latest_conversations_only(journal: Journal) -> None:
    talks = [talk() for _ in range(4)]
    await journal.write(talks)
    for each in talks:
        for _ in range(2):
            await journal.requests.keep(asked(each, uuid7(), "a", "b"), conversations=2)
    assert [len(await told(journal, each)) for each in talks] == [0, 0, 2, 2]
    assert (await journal.requests.of(talks[0].id)).texts == {}


async def test_what_a_person_has_forgotten_stands_in_none(journal: Journal) -> None:
    conversation, other = talk(), talk("eva")
    fact = Memory(id=uuid7(), user_id="ana", content="Allergic to nuts", created_at=NOW)
    await journal.write([conversation, other, fact])
    for each in (conversation, other):
        await journal.requests.keep(asked(each, uuid7(), "Allergic to nuts"), conversations=9)
    await journal.write([MemoryUpdate(id=fact.id, user_id="ana", forgotten_at=NOW)])
    assert await told(journal, conversation) == []
    assert len(await told(journal, other)) == 1

"""Conversations are found by what was said in them, and by how they went."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sonora_app.storage.journal import migrations
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import sql_time
from sonora_app.storage.listing import Hit
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    Message,
    Session,
    SessionUpdate,
    utc_now,
    uuid7,
)
from sonora_app.storage.tool_calls import ToolCall, ToolStatus
from sonora_app.storage.wanted import LONGEST_CALL, SLOW_MS, Wanted, excerpt
from sonora_app.storage.whole_turns import CONTINUES

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "journal.db")
    yield journal
    await journal.aclose()


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


def talk(secs: float = 0, user: str = "ana", **fields: Any) -> Conversation:
    begun = {"created_at": at(secs), "updated_at": at(secs)}
    return Conversation(id=uuid7(), user_id=user, **begun, **fields)


def said(of: Conversation, content: str | None, secs: float = 0, **fields: Any) -> Message:
    moment = of.created_at + timedelta(seconds=secs)
    return Message(
        id=uuid7(), conversation_id=of.id, role="user", content=content, created_at=moment, **fields
    )


def a_call(of: Conversation, **fields: Any) -> Session:
    values = {"transport": "webrtc", "started_at": of.created_at, "app_version": "1", **fields}
    return Session.model_validate({"id": uuid7(), "conversation_id": of.id, **values})


async def found(journal: Journal, text: str = "", **wanted: Any) -> list[str | None]:
    """The users of the conversations that are found, in their order."""
    listings = await journal.conversations(Wanted(text=text, **wanted))
    assert listings.total == len(listings)
    return [each.conversation.user_id for each in listings]


async def test_words_are_found_whatever_their_accents(journal: Journal) -> None:
    ana, eva, luis = (talk(secs, user) for secs, user in ((0, "ana"), (10, "eva"), (20, "luis")))
    mine = said(ana, "Mañana voy a\nOaxaca, ¿está LEJOS?")
    await journal.write(
        [ana, eva, luis, mine, said(eva, "Manana is spelt so"), said(luis, None), said(luis, "Él")]
    )

    assert await found(journal, "manana") == ["eva", "ana"]
    assert await found(journal, "MAÑANA oaxáca esta lej") == ["ana"]
    assert await found(journal, "mañana lejos lima") == []
    assert await found(journal, "el") == ["luis"]
    assert await found(journal, "xaca") == [], "a word is found by its beginning"
    assert await found(journal, " ¿?!\"' OR * ") == [], "no word of its own language"
    for signs in ('"', "%", "\"*'¿?", "👍"):
        assert await found(journal, signs) == [], "no word at all"
    assert await found(journal, "  ") == ["luis", "eva", "ana"], "nothing was looked for"
    (listing,) = await journal.conversations(Wanted(text="lejos"))
    assert listing.hit == Hit(mine.id, "Mañana voy a Oaxaca, ¿está LEJOS?")


async def test_words_on_both_sides_of_a_cut_are_those_of_one_turn(
    journal: Journal, tmp_path: Path
) -> None:
    ana, eva, luis = (talk(secs, user) for secs, user in ((0, "ana"), (10, "eva"), (20, "luis")))
    first = said(ana, "Quiero un vuelo a Madrid.")
    second = said(ana, "Y otro a Sevilla.", 1, metadata={CONTINUES: str(first.id)})
    third = said(ana, "Para dos.", 2, metadata={CONTINUES: str(second.id)})
    apart = (said(eva, "A Madrid."), said(eva, "O a Sevilla.", 1, metadata={CONTINUES: [1]}))
    bots = said(luis, "A Madrid, y").model_copy(update={"role": "assistant"})
    answered = said(luis, "¿A Sevilla?", 1, metadata={CONTINUES: str(bots.id)})
    await journal.write([ana, eva, luis, first, second, third, *apart, bots, answered])

    assert await found(journal, "sevilla madrid") == ["ana"]
    assert await found(journal, "dos OTRO vuelo") == ["ana"]
    assert await found(journal, "madrid lima") == []
    assert await found(journal, "madrid") == ["luis", "eva", "ana"]
    (listing,) = await journal.conversations(Wanted(text="sevilla madrid"))
    assert listing.hit == Hit(second.id, "Quiero un vuelo a Madrid. Y otro a Sevilla.")
    (listing,) = await journal.conversations(Wanted(text="otro sevilla"))
    assert listing.hit == Hit(second.id, "Y otro a Sevilla.")
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("UPDATE messages SET deleted_at = '2026' WHERE id = ?", (str(first.id),))
    assert await found(journal, "sevilla madrid") == []


async def test_titles_and_summaries_are_found_as_they_are_now(journal: Journal) -> None:
    named = talk(title="Un viaje", summary="Busca un camión")
    await journal.write([named])
    assert await found(journal, "viaje camion") == ["ana"]
    moment = at(1)
    await journal.write([ConversationUpdate(id=named.id, title="Una mudanza", updated_at=moment)])

    assert await found(journal, "viaje") == []
    (listing,) = await journal.conversations(Wanted(text="mudanza"))
    assert listing.hit == Hit(None, "Una mudanza · Busca un camión")


async def test_what_is_deleted_or_hidden_is_not_found(journal: Journal, tmp_path: Path) -> None:
    gone, kept, moved = talk(), talk(1, "eva"), talk(2, "luis")
    hidden = said(kept, "ornitorrinco", deleted_at=at(5))
    later = said(kept, "equidna")
    await journal.write(
        [gone, kept, moved, hidden, later, said(gone, "quokka"), said(moved, "uapi")]
    )
    await journal.erasure.erase([gone.id], since=None)
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("UPDATE messages SET deleted_at = '2026' WHERE id = ?", (str(later.id),))
        other.execute(
            "UPDATE messages SET conversation_id = ? WHERE conversation_id = ?",
            (str(kept.id), str(moved.id)),
        )
        assert await found(journal, "quokka") == await found(journal, "ornitorrinco") == []
        assert await found(journal, "equidna") == []
        assert await found(journal, "uapi") == ["eva"]
        other.execute("UPDATE messages SET deleted_at = NULL")
        other.execute("INSERT INTO said_words (said_words) VALUES ('integrity-check')")
    assert await found(journal, "equidna") == ["eva"]


async def test_an_older_journal_is_found_in_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    moment = sql_time(at(0))
    with closing(sqlite3.connect(path)) as older, older:
        for statements in migrations.MIGRATIONS[:7]:
            for statement in statements:
                older.execute(statement)
        older.execute("PRAGMA user_version = 7")
        talk_id, *ids = (str(uuid7()) for _ in range(3))
        older.execute(
            "INSERT INTO conversations (id, user_id, title, status, created_at, updated_at)"
            " VALUES (?, 'ana', 'Título', 'active', ?, ?)",
            (talk_id, moment, moment),
        )
        older.executemany(
            "INSERT INTO messages (id, conversation_id, role, content, created_at, deleted_at)"
            " VALUES (?, ?, 'user', ?, ?, ?)",
            [
                (ids[0], talk_id, "quokka", moment, None),
                (ids[1], talk_id, "uapi", moment, moment),
            ],
        )
    journal = await Journal.connect(path)
    assert await found(journal, "quokka") == await found(journal, "titulo") == ["ana"]
    assert await found(journal, "uapi") == []
    await journal.erasure.erase([UUID(talk_id)], since=None)
    assert await found(journal, "quokka") == []
    await journal.aclose()


async def test_a_page_says_how_many_there_are(journal: Journal) -> None:
    talks = [talk(secs, "ana" if secs % 2 else "eva") for secs in range(7)]
    await journal.write([*talks, *(said(each, "quokka") for each in talks)])
    pages = [
        await journal.conversations(Wanted(text="quokka"), limit=3, offset=offset)
        for offset in (0, 3, 6, 9)
    ]

    assert [(len(page), page.total) for page in pages] == [(3, 7), (3, 7), (1, 7), (0, 7)]
    assert [each.conversation.id for page in pages for each in page] == [
        each.id for each in reversed(talks)
    ]
    assert await found(journal, user_id="ana") == ["ana"] * 3
    assert await found(journal, since=at(5)) == ["eva", "ana"]
    assert await found(journal, until=at(1)) == ["eva"]


async def test_how_calls_went_is_found(journal: Journal) -> None:
    names = ("calm", "crashed", "tool", "slow", "calling", "stale")
    talks = {name: talk(place, name) for place, name in enumerate(names)}
    calls = {name: a_call(talks[name]) for name in names[:4]}
    lately = utc_now() - timedelta(minutes=1)
    calls["calling"] = a_call(talks["calling"], started_at=lately)
    calls["stale"] = a_call(talks["stale"], started_at=utc_now() - LONGEST_CALL)
    ends = {"calm": (EndReason.GOODBYE, 900), "crashed": (EndReason.CRASHED, None)}
    ends |= {"tool": (EndReason.GOODBYE, SLOW_MS - 1), "slow": (EndReason.GOODBYE, SLOW_MS)}
    used = ToolCall(
        id=uuid7(),
        conversation_id=talks["tool"].id,
        session_id=calls["tool"].id,
        name="book",
        status=ToolStatus.FAILED,
        idempotency_key="k",
        started_at=at(1),
    )
    await journal.write(
        [
            *talks.values(),
            *calls.values(),
            used,
            *(
                SessionUpdate(
                    id=calls[name].id,
                    ended_at=at(9),
                    end_reason=reason,
                    metrics={"latency_ms": {"median": 1, "worst": worst}} if worst else {},
                )
                for name, (reason, worst) in ends.items()
            ),
            ConversationUpdate(
                id=talks["calm"].id, status=ConversationStatus.COMPLETED, updated_at=at(9)
            ),
        ]
    )

    assert await found(journal, failed=True) == ["tool", "crashed"]
    assert await found(journal, slow=True) == ["slow"]
    assert await found(journal, slow=True, failed=True) == []
    assert await found(journal, status=ConversationStatus.COMPLETED) == ["calm"]
    listed = await journal.conversations()
    assert [each.conversation.user_id for each in listed if each.calling] == ["calling"]


async def test_a_call_of_a_process_that_died_is_over_before_any_other_starts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    talks = {name: talk(place, name) for place, name in enumerate(("dead", "both", "living"))}
    lately = utc_now() - timedelta(minutes=1)
    dying = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _DIES, str(path)],
        input="\n".join(
            each.model_dump_json()
            for name in ("dead", "both")
            for each in (talks[name], a_call(talks[name], started_at=lately))
        ),
        text=True,
        check=False,
    )
    assert dying.returncode == -signal.SIGKILL
    bot = await Journal.connect(path)
    living = [a_call(talks[name], started_at=lately) for name in ("both", "living")]
    await bot.write([talks["living"], *living])
    reader = await Journal.connect(path, read_only=True)
    for journal in (bot, reader):
        listed = await journal.conversations()
        assert {
            each.conversation.user_id: (each.calling, each.conversation.status) for each in listed
        } == {
            "dead": (False, ConversationStatus.FAILED),
            "both": (True, ConversationStatus.ACTIVE),
            "living": (True, ConversationStatus.ACTIVE),
        }
    await reader.aclose()
    await bot.aclose()


_DIES = """
import asyncio, os, pathlib, signal, sys
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, Session

async def main():
    journal = await Journal.connect(pathlib.Path(sys.argv[1]))
    for talk, call in zip(*[map(str.strip, sys.stdin)] * 2):
        talk, call = Conversation.model_validate_json(talk), Session.model_validate_json(call)
        await journal.write([talk, call])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("Sí.", ("no",), "Sí."),
        ("uno dos  tres\ncuatro", ("tres",), "uno dos tres cuatro"),
        (f"{'ah ' * 40}Ñandú {'oh ' * 80}fin", ("nandu",), f"…{'ah ' * 14}Ñandú {'oh ' * 38}oh…"),
    ],
)
def test_an_excerpt_is_what_stands_around_the_word(
    text: str, words: tuple[str, ...], shown: str
) -> None:
    assert excerpt(text, words) == shown

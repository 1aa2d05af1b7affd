"""`sonora_apply`, on PostgreSQL itself and through Supabase's API."""

import json
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from sonora_app.errors import SettingsError
from sonora_app.settings import Identity, Settings
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.labels import Label, LabelUpdate
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    Message,
    Record,
    Session,
    SessionUpdate,
    Transition,
    uuid7,
)
from sonora_app.storage.supabase.api import REQUIRED_SCHEMA, SupabaseApi
from sonora_app.storage.supabase.errors import Refusal, SupabaseError, Trouble
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate, ToolStatus
from tests.supabase.lite import Lite, running_lite
from tests.supabase.postgres import Connection, Database, run_script, scalar
from tests.supabase.schema import older_schema

pytestmark = pytest.mark.supabase

START = datetime(2026, 11, 24, 18, 0, 0, tzinfo=UTC)
SECRET = "what nobody else may read"


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


class Kept:
    """A conversation with a call, and entries about it."""

    def __init__(self, user_id: str | None = "ana", conversation_id: UUID | None = None) -> None:
        self.user_id = user_id
        self.id = conversation_id or uuid7()
        self.session_id = uuid7()
        self.position = 0

    def entry(self, record: Record, **changes: Any) -> Entry:
        self.position += 1
        is_update = isinstance(
            record, ConversationUpdate | SessionUpdate | ToolCallUpdate | LabelUpdate
        )
        payload = record.model_dump(mode="json", exclude_none=is_update)
        payload.update(changes)
        return Entry(
            position=self.position,
            table=record.table,
            row_id=payload["id"],
            operation="update" if is_update else "insert",
            conversation_id=self.id,
            user_id=self.user_id,
            payload=payload,
        )

    def conversation(self, **fields: Any) -> Entry:
        made = {"created_at": at(0), "updated_at": at(0), "user_id": self.user_id, **fields}
        return self.entry(Conversation(id=self.id, **made))

    def session(self) -> Entry:
        return self.entry(
            Session(
                id=self.session_id,
                conversation_id=self.id,
                transport="daily",
                started_at=at(0),
                metrics={"a": 1},
                app_version="1",
            )
        )

    def message(self, seq: int, **changes: Any) -> Entry:
        message = Message(
            id=uuid7(),
            conversation_id=self.id,
            session_id=self.session_id,
            seq=seq,
            role="user",
            content=SECRET,
            images=["https://example.com/a.png"],
            created_at=at(seq),
        )
        return self.entry(message, **changes)

    def step(self, seq: int) -> Entry:
        return self.entry(
            Transition(
                id=uuid7(),
                conversation_id=self.id,
                session_id=self.session_id,
                seq=seq,
                from_node="a",
                to_node="b",
                trigger="t",
                arguments={"n": seq},
                created_at=at(seq),
            )
        )

    def tool(self, tool_call_id: UUID) -> Entry:
        return self.entry(
            ToolCall(
                id=tool_call_id,
                conversation_id=self.id,
                session_id=self.session_id,
                name="book",
                arguments={"room": 7},
                idempotency_key="k",
                started_at=at(2),
            )
        )

    def tool_end(self, tool_call_id: UUID, status: ToolStatus, **fields: Any) -> Entry:
        ended = {"conversation_id": self.id, "status": status, "ended_at": at(3), **fields}
        return self.entry(ToolCallUpdate(id=tool_call_id, **ended))

    def label(self, label_id: UUID, name: str) -> Entry:
        of = {"conversation_id": self.id, "session_id": self.session_id}
        return self.entry(Label(id=label_id, name=name, note="why", created_at=at(4), **of))

    def label_gone(self, label_id: UUID, secs: float = 9) -> Entry:
        return self.entry(LabelUpdate(id=label_id, conversation_id=self.id, removed_at=at(secs)))

    def update(self, **fields: Any) -> Entry:
        return self.entry(ConversationUpdate(id=self.id, **{"updated_at": at(50), **fields}))

    def end(self, **metrics: Any) -> Entry:
        return self.entry(
            SessionUpdate(
                id=self.session_id,
                ended_at=at(60),
                end_reason=EndReason.GOODBYE,
                metrics=metrics,
            )
        )


def as_json(entries: Sequence[Entry]) -> str:
    return json.dumps(
        [
            {
                "table": entry.table,
                "operation": entry.operation,
                "conversation_id": str(entry.conversation_id),
                "user_id": entry.user_id,
                "payload": entry.payload,
            }
            for entry in entries
        ]
    )


def apply(connection: Connection, *entries: Entry) -> list[dict[str, str] | None]:
    return scalar(connection, "select public.sonora_apply(%s)", as_json(entries))


def rows(connection: Connection, kept: Kept) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table in ("conversations", "sessions", "messages", "transitions", "tool_calls", "labels"):
        key = "id" if table == "conversations" else "conversation_id"
        query = f"select to_jsonb(t) from public.{table} t where {key} = %s order by id"
        found[table] = [row for (row,) in connection.execute(query.encode(), (kept.id,))]
    return found


@pytest.fixture
def service(migrated: Database):
    with migrated.acting_as("service_role") as connection:
        yield connection


def test_a_call_arrives_whole_and_again_changes_nothing(service: Connection):
    kept = Kept()
    entries = [
        kept.conversation(language="es"),
        kept.session(),
        *(kept.message(seq) for seq in range(1, 6)),
        kept.step(1),
        kept.message(6),
        kept.update(title="T", metadata={"topics": ["a"]}),
        kept.end(b=2),
    ]
    assert apply(service, *entries) == [None] * len(entries)
    once = rows(service, kept)
    assert [len(each) for each in once.values()] == [1, 1, 6, 1, 0, 0]
    (conversation,) = once["conversations"]
    assert conversation["message_count"] == 6
    assert datetime.fromisoformat(conversation["last_message_at"]) == at(6)
    assert datetime.fromisoformat(conversation["updated_at"]) == at(50)
    assert conversation["title"] == "T"
    assert once["sessions"][0]["metrics"] == {"a": 1, "b": 2}
    assert once["messages"][0]["content"] == SECRET

    assert apply(service, *entries) == [None] * len(entries)
    assert apply(service, *entries[3:7]) == [None] * 4
    assert rows(service, kept) == once


def test_a_label_that_is_taken_away_has_no_words_any_more(service: Connection):
    kept, other = Kept(), Kept("eve")
    stays, goes, theirs = uuid7(), uuid7(), uuid7()
    entries = [kept.conversation(), kept.session(), kept.label(stays, "odd"), kept.label(goes, "x")]
    entries += [kept.label_gone(goes), kept.label_gone(goes, 12), kept.label_gone(uuid7())]
    entries += [other.conversation(), other.session(), other.label(theirs, "good")]
    for _ in range(2):
        assert apply(service, *entries) == [None] * len(entries)
    found = {row["id"]: row for row in rows(service, kept)["labels"]}
    assert (found[str(stays)]["name"], found[str(stays)]["note"]) == ("odd", "why")
    gone = found[str(goes)]
    assert (gone["name"], gone["note"]) == ("", None)
    assert datetime.fromisoformat(gone["removed_at"]) == at(9)
    # Whoever names another's label under a conversation of their own does not reach it.
    assert apply(service, kept.label_gone(theirs)) == [None]
    assert rows(service, other)["labels"][0]["name"] == "good"
    listed = scalar(service, """select public.sonora_conversations('{"label": "odd"}')""")
    assert [(each["id"], each["labels"]) for each in listed["rows"]] == [(str(kept.id), ["odd"])]


def test_the_first_end_of_a_tool_counts_unless_nobody_knew(service: Connection):
    kept, other = Kept(), Kept("eve")
    known, learned, lost = uuid7(), uuid7(), uuid7()
    entries = [
        kept.conversation(),
        kept.session(),
        kept.tool(known),
        kept.tool(learned),
        kept.tool_end(known, ToolStatus.DONE, result="booked"),
        kept.tool_end(known, ToolStatus.UNKNOWN, ended_at=at(9)),
        kept.tool_end(learned, ToolStatus.UNKNOWN),
        kept.tool_end(learned, ToolStatus.FAILED, result="full", ended_at=at(5)),
    ]
    assert apply(service, *entries) == [None] * len(entries)
    once = rows(service, kept)
    assert [(row["status"], row["result"]) for row in once["tool_calls"]] == [
        ("done", "booked"),
        ("failed", "full"),
    ]
    assert [datetime.fromisoformat(row["ended_at"]) for row in once["tool_calls"]] == [at(3), at(5)]
    assert once["tool_calls"][0]["arguments"] == {"room": 7}
    assert apply(service, *entries) == [None] * len(entries)
    assert rows(service, kept) == once

    assert apply(service, kept.tool_end(lost, ToolStatus.DONE)) == [
        {"sqlstate": "P0002", "message": "tool_calls"}
    ]
    # The id of another's is of no use.
    apply(service, other.conversation())
    (refused,) = apply(service, other.tool_end(learned, ToolStatus.DONE, result="mine"))
    assert refused is not None
    assert rows(service, kept) == once


def test_an_update_changes_what_it_names_and_merges_objects(service: Connection):
    kept = Kept()
    apply(service, kept.conversation(language="es", metadata={"a": 1, "b": {"x": 1}}))
    apply(service, kept.update(metadata={"b": {"y": 2}, "c": None}, summary="S"))
    (conversation,) = rows(service, kept)["conversations"]
    assert conversation["metadata"] == {"a": 1, "b": {"y": 2}, "c": None}
    assert (conversation["summary"], conversation["language"]) == ("S", "es")
    assert (conversation["title"], conversation["status"]) == (None, "active")


def test_an_update_that_comes_again_undoes_nothing(service: Connection):
    kept = Kept()
    update = kept.update(title="The bot's", status=ConversationStatus.COMPLETED)
    apply(service, kept.conversation(), update)
    service.execute("update public.conversations set title = 'Ana''s' where id = %s", (kept.id,))
    apply(service, update)
    assert rows(service, kept)["conversations"][0]["title"] == "Ana's"
    apply(service, kept.update(title="A newer one"))
    assert rows(service, kept)["conversations"][0]["title"] == "A newer one"


def test_a_clock_that_steps_back_loses_no_update(service: Connection):
    kept = Kept()
    apply(
        service,
        kept.conversation(),
        kept.update(title="1"),
        kept.update(title="2", updated_at=at(9)),
    )
    (conversation,) = rows(service, kept)["conversations"]
    assert conversation["title"] == "2"
    # A change is dated by the server where the bot's clock says nothing newer: never back.
    assert datetime.fromisoformat(conversation["updated_at"]) >= at(50)


def test_nothing_enters_another_user_s_conversation(service: Connection):
    ana = Kept("ana")
    apply(service, ana.conversation(), ana.session(), ana.message(1))
    before = rows(service, ana)
    eve = Kept("eve", ana.id)
    entries = [
        eve.conversation(title="mine"),
        eve.session(),
        eve.message(1),
        eve.step(1),
        eve.update(title="mine"),
    ]
    results = apply(service, *entries)
    # Where the call was refused, what was said in it has nothing to belong to.
    assert {result and result["sqlstate"] for result in results} == {"SN001", "23503"}
    assert apply(service, eve.message(2, session_id=str(ana.session_id))) == [
        {"sqlstate": "SN001", "message": ""}
    ]
    assert rows(service, ana) == before


def test_a_conversation_s_owner_never_changes(service: Connection):
    ana, nobody = Kept("ana"), Kept(None)
    apply(service, ana.conversation(), nobody.conversation())
    # One without an owner takes what its caller says, and stays without one.
    caller = Kept("eve", nobody.id)
    assert apply(service, caller.conversation(), caller.session(), caller.message(1)) == [None] * 3
    assert rows(service, nobody)["conversations"][0]["user_id"] is None
    # A journal that knew no owner goes on in what has one by now.
    unknown = Kept(None, ana.id)
    assert apply(service, unknown.conversation(), unknown.session()) == [None] * 2
    assert rows(service, ana)["conversations"][0]["user_id"] == "ana"


def test_what_is_wrong_is_told_of_each_and_the_rest_is_applied(service: Connection):
    kept, lost = Kept(), Kept()
    entries = [
        kept.conversation(),
        kept.session(),
        kept.message(1),
        kept.message(2, modality=SECRET),
        kept.message(3),
        kept.message(4, created_at=SECRET),
        kept.message(5, role=None),
        kept.message(6, id=SECRET),
        kept.message(7, conversation_id=str(uuid4())),
        kept.message(8),
        lost.update(title="T"),
        lost.end(),
        kept.entry(ConversationUpdate(id=kept.id, updated_at=at(9)), status=SECRET),
    ]
    results = apply(service, *entries)
    assert results == [
        None,
        None,
        None,
        {"sqlstate": "23514", "message": "messages_modality_check"},
        None,
        {"sqlstate": "22007", "message": ""},
        {"sqlstate": "23502", "message": "role"},
        {"sqlstate": "22P02", "message": ""},
        {"sqlstate": "23503", "message": "messages_conversation_id_fkey"},
        None,
        {"sqlstate": "23503", "message": "applied_updates_conversation_id_fkey"},
        {"sqlstate": "P0002", "message": "sessions"},
        {"sqlstate": "23514", "message": "conversations_status_check"},
    ]
    assert [row["seq"] for row in rows(service, kept)["messages"]] == [1, 3, 8]
    assert SECRET not in json.dumps(results)


def test_what_it_does_not_know_is_refused_and_an_empty_batch_is_fine(service: Connection):
    kept = Kept()
    strange = Entry(1, "users", kept.id, "insert", kept.id, None, {"id": str(kept.id)})
    assert apply(service, strange, kept.conversation()) == [
        {"sqlstate": "0A000", "message": ""},
        None,
    ]
    assert apply(service) == []


def test_what_may_pass_is_raised_and_nothing_applied(migrated: Database):
    kept = Kept()
    with migrated.connect() as admin:
        apply(admin, kept.conversation())
        with migrated.acting_as("service_role") as blocked, admin.transaction():
            admin.execute("select from public.conversations where id = %s for update", (kept.id,))
            blocked.execute("set local lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                apply(blocked, Kept().conversation(), kept.session(), kept.update(title="T"))
        assert rows(admin, kept)["sessions"] == []
        admin.execute("delete from public.conversations where id = %s", (kept.id,))


def test_two_at_once_write_it_once(migrated: Database):
    kept = Kept()
    entries = [kept.conversation(), kept.session(), *(kept.message(n) for n in range(1, 50))]
    entries += [kept.update(title="T", metadata={"a": 1}), kept.end(b=2)]
    results: list[object] = []

    def work() -> None:
        with migrated.connect() as connection:
            results.extend(apply(connection, *entries))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [None] * len(entries) * 4
    with migrated.connect() as admin:
        found = rows(admin, kept)
        assert [len(each) for each in found.values()] == [1, 1, 49, 0, 0, 0]
        assert found["conversations"][0]["message_count"] == 49
        admin.execute("delete from public.conversations where id = %s", (kept.id,))


def test_only_the_service_key_may(migrated: Database):
    for role in ("anon", "authenticated"):
        with (
            migrated.acting_as(role, uuid4()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            apply(connection, Kept().conversation())
        with (
            migrated.acting_as(role, uuid4()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("select * from public.applied_updates")


@pytest.mark.parametrize("images", ["jsonb", "text[]"])
def test_a_project_with_older_tables_takes_it_too(database: Database, images: str):
    with database.connect() as connection:
        run_script(connection, older_schema(user_id="uuid", images=images))
        database.migrate()
        user = uuid4()
        kept, stranger = Kept(str(user).upper()), Kept("not-a-uuid")
        apply(connection, kept.conversation(), kept.session(), kept.message(1))
        assert rows(connection, kept)["messages"][0]["images"] == ["https://example.com/a.png"]
        assert rows(connection, kept)["conversations"][0]["user_id"] == str(user)
        refused = apply(connection, stranger.conversation(), stranger.session())
        assert [result and result["sqlstate"] for result in refused] == ["22P02", "23503"]
        # As the chat leaves them: metadata null.
        connection.execute("update public.conversations set metadata = null")
        apply(connection, kept.update(metadata={"a": 1}))
        assert rows(connection, kept)["conversations"][0]["metadata"] == {"a": 1}


# Through the API


def settings(url: str, key: str, **values: Any) -> Settings:
    given: dict[str, Any] = {"supabase_url": url, "supabase_key": key, **values}
    return Settings(_env_file=None, **given)


async def test_the_api_tells_the_same(lite: Lite):
    api = await SupabaseApi.connect(settings(lite.url, lite.secret_key))
    kept = Kept()
    results = await api.apply([kept.conversation(), kept.message(1), kept.session()])
    assert results == (None, Refusal("23503", "messages_session_id_fkey"), None)
    assert await api.schema_version() == REQUIRED_SCHEMA
    await api.aclose()
    await api.aclose()


@contextmanager
def project(files: tuple[Path, ...], sql: str = "", *, folder: Path):
    """A server over other migrations than ours."""
    if sql:
        first = folder / "20200101000000_older.sql"
        first.write_text(sql)
        files = (first, *files)
    with running_lite(files) as server:
        yield server


@pytest.mark.slow
async def test_the_projects_that_doctor_tells_apart(lite: Lite, tmp_path: Path):
    (empty_sql := tmp_path / "20200101000000_nothing.sql").write_text("select 1;")
    with project((empty_sql,), folder=tmp_path) as server:
        api = await SupabaseApi.connect(settings(server.url, server.secret_key))
        assert (await api.schema_version(), await api.has_older_tables()) == (0, False)
        with pytest.raises(SupabaseError, match="supabase db push") as old:
            await api.apply([Kept().conversation()])
        assert old.value.trouble is Trouble.OLD_SCHEMA
        await api.aclose()
    with project((), older_schema(), folder=tmp_path) as server:
        api = await SupabaseApi.connect(settings(server.url, server.secret_key))
        assert (await api.schema_version(), await api.has_older_tables()) == (0, True)
        await api.aclose()
    for wrong in ("sb_secret_wrong", lite.publishable_key, lite.access_token(uuid4())):
        api = await SupabaseApi.connect(settings(lite.url, wrong))
        for request in (api.schema_version(), api.apply([Kept().conversation()])):
            with pytest.raises(SupabaseError, match="does not accept the key") as refused:
                await request
            assert wrong not in f"{refused.value!r} {refused.value}"
            assert refused.value.is_misconfigured
        await api.aclose()


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("", ""),
        ("https://x.supabase.co", ""),
        ("", "sb_secret_k"),
        ("x.supabase.co", "sb_secret_k"),
        ("https://x.supabase.co", "sb_secret_\u20ac"),
        ("https://x.supabase.co", "sb_\nsecret"),
    ],
)
async def test_settings_that_cannot_be_used_are_told_without_the_key(url: str, key: str):
    with pytest.raises(SettingsError, match="SUPABASE_") as caught:
        await SupabaseApi.connect(settings(url, key))
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_url_alone_is_enough_to_verify_tokens():
    assert not settings("https://x.supabase.co", "", identity=Identity.VERIFIED).uses_supabase

"""The migrations on projects of each kind, and what the schema does by itself."""

import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from sonora_app.storage.records import Conversation, Message, Session, Transition
from tests.supabase.postgres import Cluster, Connection, Database, run_script, scalar
from tests.supabase.schema import migrations, older_schema, schema_version
from tests.supabase.seeded import ANA, seed

pytestmark = pytest.mark.supabase

START = datetime(2026, 11, 24, 18, 0, 0, tzinfo=UTC)
OLDER = {
    "text": older_schema(),
    "uuid": older_schema(user_id="uuid references auth.users (id)"),
    "varchar, no foreign key, text[]": older_schema(
        user_id="varchar(64)", foreign_key=False, images="text[]"
    ),
}
OLDER_COLUMNS = {
    "conversations": "id, user_id, title, metadata, created_at",
    "messages": "id, conversation_id, role, content, images, created_at, deleted_at",
}


@pytest.fixture(params=OLDER.values(), ids=list(OLDER))
def older(request: pytest.FixtureRequest, database: Database) -> Database:
    """A project with the older tables, 100 conversations and 1,000 messages in them."""
    with database.connect() as connection:
        run_script(connection, request.param)
        run_script(
            connection,
            f"""
            insert into auth.users values ('{ANA}');
            insert into public.conversations (id, user_id, title, metadata, created_at)
            select gen_random_uuid(), case when n % 10 > 0 then '{ANA}'::uuid end, 'talk ' || n,
                case when n % 3 > 0 then '{{"user_name": "Ana"}}'::jsonb end,
                '2026-01-01'::timestamptz + n * interval '1 day'
            from generate_series(1, 100) n;
            insert into public.messages (conversation_id, role, content, created_at, deleted_at)
            select c.id, case when n % 2 = 0 then 'user' else 'agent' end,
                case when n <> 4 then 'said ' || n end, c.created_at + n * interval '1 minute',
                case when n = 7 then now() end
            from public.conversations c, generate_series(1, 10) n;
            """,
        )
    return database


def older_rows(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    """The rows as the text-chat API sees them, each with its version and its place on disk."""
    query = f"select xmin, ctid, {OLDER_COLUMNS[table]} from public.{table} order by ctid"
    return connection.execute(query.encode()).fetchall()


def files_on_disk(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select relname, relfilenode from pg_class where relname in ('conversations', 'messages')"
        " order by 1"
    ).fetchall()


def test_the_older_rows_are_not_written(older: Database):
    with older.connect() as connection:
        before = {table: older_rows(connection, table) for table in OLDER_COLUMNS}
        on_disk = files_on_disk(connection)
        assert (len(before["conversations"]), len(before["messages"])) == (100, 1000)
        for _ in range(2):
            older.migrate()
            assert {table: older_rows(connection, table) for table in OLDER_COLUMNS} == before
            assert files_on_disk(connection) == on_disk
        assert connection.execute(
            "select distinct modality, interrupted, metadata, metrics, seq, session_id, node"
            " from public.messages"
        ).fetchall() == [("text", False, {}, {}, None, None, None)]
        assert connection.execute(
            "select distinct status, summary, language, updated_at, last_message_at,"
            " message_count, deleted_at from public.conversations"
        ).fetchall() == [("active", None, None, None, None, None, None)]


def test_what_locks_others_out_reads_no_table(older: Database):
    """The first file adds columns and constraints; it reads no row, however many there are."""
    first, second, *_ = migrations()
    with older.connect() as connection:
        with connection.transaction():
            run_script(connection, first.read_text(encoding="utf-8"))
            assert locks_on_messages(connection) >= {"AccessExclusiveLock"}
            assert scalar(connection, "show lock_timeout") == "5s"
            read = connection.execute(
                "select sum(seq_tup_read), sum(coalesce(idx_tup_fetch, 0))"
                " from pg_stat_xact_user_tables where schemaname = 'public'"
            ).fetchall()
            assert read == [(0, 0)]
        with connection.transaction():
            run_script(connection, second.read_text(encoding="utf-8"))
            assert locks_on_messages(connection).isdisjoint(
                {"AccessExclusiveLock", "ExclusiveLock"}
            )
            assert scalar(connection, "show lock_timeout") == "5s"


def locks_on_messages(connection: Connection) -> set[str]:
    rows = connection.execute(
        "select mode from pg_locks where pid = pg_backend_pid()"
        " and relation = 'public.messages'::regclass"
    ).fetchall()
    return {mode for (mode,) in rows}


@pytest.mark.parametrize("kind", ["empty", *OLDER])
def test_again_on_top_of_themselves_changes_nothing(database: Database, kind: str):
    if kind in OLDER:
        with database.connect() as connection:
            run_script(connection, OLDER[kind])
    database.migrate()
    with database.connect() as connection:
        seed(connection, None)
        rows = connection.execute("select xmin, * from public.messages").fetchall()
    once = database.dump_schema()
    assert "CREATE POLICY sonora_own_only" in once
    database.migrate()
    assert database.dump_schema() == once
    with database.connect() as connection:
        assert connection.execute("select xmin, * from public.messages").fetchall() == rows


def test_the_older_schema_becomes_the_new_one(postgres: Cluster, database: Database):
    """But for what was there before: the order of columns, and what they may hold."""

    def described(project: Database) -> list[tuple[Any, ...]]:
        with project.connect() as connection:
            return connection.execute(
                "select table_name::text, column_name::text, udt_name::text, column_default"
                " from information_schema.columns where table_schema = 'public'"
                " and (table_name, column_name) <> ('conversations', 'metadata') order by 1, 2"
            ).fetchall()

    database.migrate()
    with postgres.database() as other:
        with other.connect() as connection:
            run_script(connection, older_schema())
        other.migrate()
        assert described(other) == described(database)


def test_as_the_command_line_sends_them(database: Database):
    """The Supabase CLI sends the statements of a file one by one, in one pipeline."""
    with database.connect() as connection:
        for file in migrations():
            with connection.pipeline():
                for statement in statements(file.read_text(encoding="utf-8")):
                    connection.execute(statement.encode())
        assert scalar(connection, "select public.sonora_schema_version()") == schema_version()
        piped = database.dump_schema()
    database.migrate()
    assert database.dump_schema() == piped


def statements(script: str) -> list[str]:
    """Split where a line ends in a semicolon outside `$$`."""
    found = [""]
    for line in script.splitlines(keepends=True):
        found[-1] += line
        if line.rstrip().endswith(";") and found[-1].count("$$") % 2 == 0:
            found.append("")
    return [each for each in found if re.search(r"(?m)^\s*[^-\s]", each)]


MISFITS = {
    "public.sessions.conversation_id is missing": "create table public.sessions (id uuid)",
    "public.conversations.id is bigint": "create table public.conversations (id bigint,"
    " user_id text, title text, metadata jsonb, created_at timestamptz)",
    "public.messages.role is missing": older_schema() + "alter table public.messages drop role",
}


@pytest.mark.parametrize(("complaint", "there"), MISFITS.items())
def test_a_table_of_another_purpose_is_left_alone(database: Database, complaint: str, there: str):
    with database.connect() as connection:
        run_script(connection, there)
    before = database.dump_schema()
    with pytest.raises(psycopg.errors.RaiseException, match=complaint):
        database.migrate()
    assert database.dump_schema() == before


def test_the_tables_have_what_the_records_have(migrated: Database):
    with migrated.connect() as connection:
        for record in (Conversation, Session, Message, Transition):
            columns = {
                name
                for (name,) in connection.execute(
                    "select column_name::text from information_schema.columns"
                    " where table_schema = 'public' and table_name = %s",
                    (record.table,),
                )
            }
            assert columns >= set(record.model_fields)


def test_every_table_and_column_has_a_comment(migrated: Database):
    with migrated.connect() as connection:
        uncommented = connection.execute(
            "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid"
            " where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0"
            " and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)"
        ).fetchall()
    assert uncommented == []


# The reads of the bot and of a front end.


@pytest.fixture(scope="module", params=["text", "uuid"])
def crowded(request: pytest.FixtureRequest, postgres: Cluster) -> Generator[Database]:
    """Where it matters how a read is done: 200 users, 10,000 conversations, 80,000 messages."""
    with postgres.database() as database:
        with database.connect() as connection:
            run_script(connection, older_schema(user_id=request.param))
            database.migrate()
            run_script(
                connection,
                """
                insert into public.conversations (title, user_id, created_at)
                select n,
                    ('00000000-0000-4000-8000-0000000000' || lpad(to_hex(n % 200), 2, '0'))::uuid,
                    '2026-01-01'::timestamptz + n * interval '1 hour'
                from generate_series(1, 10000) n;
                insert into public.messages (conversation_id, role, content, seq, created_at)
                select c.id, 'user', 'said', n, c.created_at + n * interval '1 minute'
                from generate_series(1, 200) n, public.conversations c
                where c.title::integer % 25 = 5;
                analyze;
                """,
            )
        yield database


HISTORY = (
    "select * from public.messages where conversation_id = '{conversation}'"
    " and deleted_at is null order by created_at desc, seq desc nulls last limit 40"
)
LIST = (
    "select * from public.conversations where user_id = '{user}' and deleted_at is null"
    " order by last_message_at desc nulls last, created_at desc limit 20"
)
SERVICE, USER = "service_role", "authenticated"
READS = {
    "history": (HISTORY, "messages_in_order", 40),
    "history by time alone": (
        HISTORY.replace(", seq desc nulls last", ""),
        "messages_in_order",
        40,
    ),
    "an earlier page": (
        HISTORY.replace("order by", "and created_at < '2027-01-01' order by"),
        "messages_in_order",
        40,
    ),
    "a user's conversations": (LIST, "conversations_of_user", 20),
}


@pytest.mark.parametrize("role", [SERVICE, USER])
@pytest.mark.parametrize(("query", "index", "rows"), READS.values(), ids=READS.keys())
def test_reads_use_their_indexes(crowded: Database, role: str, query: str, index: str, rows: int):
    user = UUID("00000000-0000-4000-8000-000000000005")
    with crowded.connect() as connection:
        conversation = scalar(
            connection,
            "select id from public.conversations where user_id = %s and message_count > 0 limit 1",
            str(user),
        )
    check_plan(crowded, role, user, query.format(conversation=conversation, user=user), index, rows)


def test_the_policy_alone_finds_a_users_conversations(crowded: Database):
    user = UUID("00000000-0000-4000-8000-000000000005")
    query = LIST.replace("user_id = '{user}' and", "")
    check_plan(crowded, USER, user, query, "conversations_of_user", 20)


def check_plan(
    database: Database, role: str, user: UUID, query: str, index: str, rows: int
) -> None:
    with database.acting_as(role, user) as connection:
        assert len(connection.execute(query.encode()).fetchall()) == rows
        lines = connection.execute(f"explain {query}".encode()).fetchall()
    plan = "\n".join(line for (line,) in lines)
    assert f"Index Scan using {index} on" in plan, plan
    assert "Seq Scan" not in plan, plan
    # Sorting the rows of one moment among themselves does not count.
    assert not re.search(r"(?<!Incremental )Sort  \(", plan), plan


@pytest.mark.parametrize("with_statistics", [True, False])
def test_opening_reads_no_more_of_a_long_conversation(database: Database, with_statistics: bool):
    database.migrate()
    read: dict[int, int] = {}
    with database.connect() as connection:
        for length in (50, 20_000):
            conversation = scalar(
                connection,
                "insert into public.conversations (user_id) values ('ana') returning id",
            )
            connection.execute(
                "insert into public.messages (conversation_id, role, content, seq, created_at)"
                " select %s, 'user', 'said', n, '2026-01-01'::timestamptz + n * interval '1 minute'"
                " from generate_series(1, %s) n",
                (conversation, length),
            )
            if with_statistics:
                run_script(connection, "analyze")
            with connection.transaction():
                before = scalar(connection, ENTRIES_READ)
                opening = scalar(
                    connection, "select public.sonora_open(%s, 'ana', 40)", conversation
                )
                read[length] = scalar(connection, ENTRIES_READ) - before
            assert len(opening["messages"]) == 40
            assert opening["older_messages"] == length - 40
            assert opening["last_message_seq"] == length
    assert read[20_000] <= read[50] + 5


ENTRIES_READ = (
    "select sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::integer"
    " from pg_stat_xact_user_tables where schemaname = 'public' and relname = 'messages'"
)


# What the triggers keep.


def facts(connection: Connection, conversation: UUID) -> tuple[Any, ...]:
    row = connection.execute(
        "select message_count, last_message_at, updated_at from public.conversations where id = %s",
        (conversation,),
    ).fetchone()
    assert row is not None
    return row


def say(connection: Connection, conversation: UUID, *minutes: int, **columns: object) -> None:
    """Write one message for each of `minutes` after the start, all in one statement."""
    names = ["conversation_id", "role", "created_at", *columns]
    values = [
        (conversation, "user", START + timedelta(minutes=minute), *columns.values())
        for minute in minutes
    ]
    places = ", ".join(f"({', '.join(['%s'] * len(names))})" for _ in values)
    connection.execute(
        f"insert into public.messages ({', '.join(names)}) values {places}"
        " on conflict (id) do nothing".encode(),
        [value for row in values for value in row],
    )


@pytest.fixture
def talk(database: Database) -> UUID:
    """A conversation of the bot's, in a project with our schema."""
    database.migrate()
    conversation = uuid4()
    with database.connect() as connection:
        connection.execute(
            "insert into public.conversations (id, user_id, created_at, updated_at,"
            " last_message_at) values (%s, 'ana', %s, %s, null)",
            (conversation, START, START),
        )
    return conversation


def test_messages_move_their_conversation_on(database: Database, talk: UUID):
    with database.connect() as connection:
        assert facts(connection, talk) == (0, None, START)
        say(connection, talk, 1, 3, 2)
        latest = START + timedelta(minutes=3)
        assert facts(connection, talk) == (3, latest, latest)
        # One that comes late, as after an outage, does not move it back.
        say(connection, talk, 0)
        assert facts(connection, talk) == (4, latest, latest)


def test_writing_a_message_again_counts_it_once(database: Database, talk: UUID):
    with database.connect() as connection:
        identifier = uuid4()
        for _ in range(2):
            say(connection, talk, 1, id=identifier)
        connection.execute(
            "insert into public.messages (id, conversation_id, role) values (%s, %s, 'user')"
            " on conflict (id) do update set role = excluded.role",
            (identifier, talk),
        )
        assert facts(connection, talk)[0] == 1


def test_the_count_leaves_out_deleted_messages(database: Database, talk: UUID):
    with database.connect() as connection:
        say(connection, talk, 1, 2, 3)
        say(connection, talk, 4, deleted_at=START)
        assert facts(connection, talk)[0] == 3
        connection.execute("update public.messages set deleted_at = now()")
        assert facts(connection, talk)[0] == 0
        connection.execute(
            "update public.messages set deleted_at = null where created_at < %s",
            (START + timedelta(minutes=3),),
        )
        assert facts(connection, talk)[0] == 2
        connection.execute("update public.messages set content = 'other'")
        assert facts(connection, talk)[0] == 2
        connection.execute(
            "delete from public.messages where created_at < %s", (START + timedelta(minutes=2),)
        )
        assert facts(connection, talk)[0] == 1


def test_a_message_that_is_moved_is_counted_where_it_is(database: Database, talk: UUID):
    with database.connect() as connection:
        say(connection, talk, 1, 2)
        other = seed(connection, ANA)
        connection.execute(
            "update public.messages set conversation_id = %s where conversation_id = %s",
            (other.conversations, talk),
        )
        assert facts(connection, talk)[0] == 0
        assert facts(connection, other.conversations)[0] == 3


def test_writing_a_conversation_again_does_not_turn_time_back(database: Database, talk: UUID):
    with database.connect() as connection:
        say(connection, talk, 5)
        later = START + timedelta(minutes=5)
        connection.execute(
            "insert into public.conversations (id, created_at, updated_at, last_message_at)"
            " values (%s, %s, %s, null) on conflict (id) do update set"
            " updated_at = excluded.updated_at, last_message_at = excluded.last_message_at",
            (talk, START, START),
        )
        assert facts(connection, talk) == (1, later, later)
        connection.execute(
            "update public.conversations set title = 'x', updated_at = %s where id = %s",
            (later + timedelta(minutes=1), talk),
        )
        assert facts(connection, talk)[2] == later + timedelta(minutes=1)


def test_an_older_conversation_is_counted_by_its_next_message(older: Database):
    older.migrate()
    with older.connect() as connection:
        talk, began = connection.execute(
            "select id, created_at from public.conversations limit 1"
        ).fetchall()[0]
        assert facts(connection, talk) == (None, None, None)
        opening = scalar(connection, "select public.sonora_open(%s, null, 5)", talk)
        # Of its ten, one is deleted.
        assert (len(opening["messages"]), opening["older_messages"]) == (5, 4)
        said_last = datetime.fromisoformat(opening["conversation"]["last_message_at"])
        assert said_last == began + timedelta(minutes=10)
        assert opening["conversation"]["updated_at"] is not None
        connection.execute(
            "update public.messages set deleted_at = now() where conversation_id = %s"
            " and content = 'said 1'",
            (talk,),
        )
        assert facts(connection, talk)[0] is None
        say(connection, talk, 0, 1)
        latest = START + timedelta(minutes=1)
        assert facts(connection, talk) == (10, latest, latest)


@contextmanager
def held(database: Database, talk: UUID, minute: int) -> Generator[Connection]:
    """A transaction that has written a message and is not over yet."""
    with database.connect() as connection, connection.transaction():
        say(connection, talk, minute)
        yield connection


def test_two_writers_at_once_are_both_counted(older: Database):
    older.migrate()
    with older.connect() as connection:
        talk = scalar(connection, "select id from public.conversations limit 1")

    def write_another() -> None:
        with older.connect() as connection:
            say(connection, talk, 2)

    other = threading.Thread(target=write_another)
    with held(older, talk, 1), older.connect() as watcher:
        other.start()
        while not scalar(
            watcher,
            "select count(*) from pg_stat_activity where wait_event_type ="
            " 'Lock' and datname = current_database()",
        ):
            assert other.is_alive()
    other.join(timeout=30)
    with older.connect() as connection:
        assert facts(connection, talk)[0] == 9 + 2


def test_deleting_a_conversation_deletes_what_is_in_it(database: Database):
    database.migrate()
    with database.connect() as connection:
        gone, kept = seed(connection, ANA), seed(connection, ANA)
        connection.execute("delete from public.conversations where id = %s", (gone.conversations,))
        for table in (
            "conversations",
            "sessions",
            "messages",
            "transitions",
            "tool_calls",
            "labels",
        ):
            rows = connection.execute(f"select id from public.{table}".encode()).fetchall()
            assert rows == [(kept.of(table),)]


def test_what_was_said_outlives_its_call(database: Database):
    database.migrate()
    with database.connect() as connection:
        rows = seed(connection, ANA)
        connection.execute("delete from public.sessions")
        assert connection.execute("select id, session_id from public.messages").fetchall() == [
            (rows.messages, None)
        ]

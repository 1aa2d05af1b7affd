"""Erasing a person from Supabase: on a real PostgreSQL, and by the command over the real API."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from simulators.clients.people import hold_call
from sonora_app.cli import app
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.supabase.api import SupabaseApi
from tests.supabase.lite import Lite
from tests.supabase.postgres import Cluster, Connection, Database, scalar
from tests.supabase.proxy import HEALTHY, Fault, FaultProxy, How
from tests.supabase.schema import older_schema

pytestmark = pytest.mark.supabase

ANA, EVA = str(uuid4()), str(uuid4())
MARKS = {ANA: "quokka", EVA: "wombat"}
CALLS = 200

PEOPLE = """
    insert into public.conversations (id, user_id, title, summary, metadata)
        select gen_random_uuid(), '{user}', '{mark} title', '{mark} summary',
            '{{"topics": ["{mark}"]}}'
        from generate_series(1, {calls});
    insert into public.sessions (id, conversation_id, transport, started_at, metrics, app_version)
        select gen_random_uuid(), id, 'daily', now(), '{{"note": "{mark}"}}', '1'
        from public.conversations where user_id::text = '{user}';
    insert into public.messages (id, conversation_id, session_id, seq, role, content)
        select gen_random_uuid(), s.conversation_id, s.id, n, 'user', '{mark} ' || n
        from public.sessions s join public.conversations c on c.id = s.conversation_id,
            generate_series(1, 5) n
        where c.user_id::text = '{user}';
    insert into public.messages (conversation_id, role, content)
        select id, 'agent', '{mark}, written by the chat' from public.conversations
        where user_id::text = '{user}';
    insert into public.transitions
        (id, conversation_id, session_id, seq, from_node, to_node, trigger, arguments, created_at)
        select gen_random_uuid(), s.conversation_id, s.id, 1, 'a', 'b', 'c',
            '{{"summary": "{mark}"}}', now()
        from public.sessions s join public.conversations c on c.id = s.conversation_id
        where c.user_id::text = '{user}';
    insert into public.tool_calls
        (id, conversation_id, session_id, name, arguments, status, result, idempotency_key,
            started_at)
        select gen_random_uuid(), s.conversation_id, s.id, 'book', '{{"for": "{mark}"}}', 'done',
            '{mark} booked', 'k', now()
        from public.sessions s join public.conversations c on c.id = s.conversation_id
        where c.user_id::text = '{user}';
    insert into public.labels (id, conversation_id, session_id, name, note, created_at)
        select gen_random_uuid(), s.conversation_id, s.id, 'odd', '{mark}', now()
        from public.sessions s join public.conversations c on c.id = s.conversation_id
        where c.user_id::text = '{user}';
    insert into public.positions (conversation_id, session_id, node, saying, updated_at)
        select id, gen_random_uuid(), 'conversation', '{mark}', now() from public.conversations
        where user_id::text = '{user}';
    insert into public.memories (user_id, content, conversation_id, source_message_id)
        select '{user}', '{mark} fact', id, gen_random_uuid() from public.conversations
        where user_id::text = '{user}';
    insert into public.memory_choices (user_id, remembers)
        values ('{user}', true), ('{user}', false);
    insert into public.user_memory values ('{user}', 'city', '"{mark}"');
"""
OWN = """
    create table public.user_memory (user_id {type}, key text, value jsonb);
    create table public.profiles (user_id text, name text);
    insert into public.profiles values ('{ana}', 'the application''s own');
"""
TABLES = (
    "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace"
    " and c.relkind = 'r' order by 1"
)


@pytest.fixture(scope="module", params=["text", "uuid"])
def project(request: pytest.FixtureRequest, postgres: Cluster) -> Generator[Database]:
    """A project that older bots wrote to, of two people; foreign keys it had none."""
    with postgres.database() as database:
        with database.connect() as connection:
            connection.execute(older_schema(user_id=request.param, foreign_key=False).encode())
            connection.execute(OWN.format(type=request.param, ana=ANA).encode())
        database.migrate()
        with database.connect() as connection:
            for user, mark in MARKS.items():
                connection.execute(PEOPLE.format(user=user, mark=mark, calls=CALLS).encode())
        yield database


def rows_of(connection: Connection, mark: str) -> dict[str, int]:
    """How many rows of each table have `mark` in any column."""
    found: dict[str, int] = {}
    for (table,) in connection.execute(TABLES).fetchall():
        query = f"select count(*) from public.{table} t where t::text like %s"
        if count := scalar(connection, query, f"%{mark}%"):
            found[table] = count
    return found


def test_of_200_calls_no_row_of_the_person_is_left_and_all_of_the_others(project: Database) -> None:
    """In the tables. What PostgreSQL keeps of deleted rows in its own files is not looked at:
    docs/privacy.md says what that is, and that VACUUM FULL is the operator's.
    """
    call = "select public.sonora_erase_person(%s, %s)"
    with project.connect() as connection:
        before = {mark: rows_of(connection, mark) for mark in (*MARKS.values(), ANA, EVA)}
    assert before["quokka"] == before["wombat"]
    assert (before["quokka"]["messages"], before["quokka"]["positions"]) == (6 * CALLS, CALLS)
    assert before["quokka"]["tool_calls"] == CALLS
    with project.acting_as("service_role") as connection:
        ((counted,),) = (scalar(connection, call, ANA, True),)
        assert rows_of(connection, "quokka") == before["quokka"]
        (erased,) = scalar(connection, call, ANA, False)
        assert erased["counts"] == counted["counts"]
        assert {each: erased["counts"][each] for each in before["quokka"]} == before["quokka"]
        assert erased["counts"]["memory_choices"] == 2
        assert len(erased["conversations"]) == CALLS
        assert rows_of(connection, "quokka") == {}
        # What is not Sonora's is left to whoever made it.
        assert rows_of(connection, ANA) == {"profiles": 1}
        assert rows_of(connection, "wombat") == before["wombat"]
        assert rows_of(connection, EVA) == before[EVA]
        (again,) = scalar(connection, call, ANA, False)
        assert (set(again["counts"].values()), again["conversations"]) == ({0}, [])


def test_nobody_is_not_a_person(project: Database) -> None:
    with project.acting_as("service_role") as connection:
        nobodys = "insert into public.conversations (id, user_id) values (gen_random_uuid(), null)"
        connection.execute(nobodys.encode())
        with pytest.raises(Exception, match="Whom to erase"), connection.transaction():
            connection.execute(b"select public.sonora_erase_person('')")
        assert scalar(connection, "select count(*) from public.conversations") == 2 * CALLS + 1


def test_a_fact_outlasts_its_conversation_and_names_it_no_more(project: Database) -> None:
    with project.acting_as("service_role") as connection:
        gone = scalar(
            connection, "select id from public.conversations where user_id::text = %s limit 1", EVA
        )
        connection.execute("delete from public.conversations where id = %s", (gone,))
        facts = "select count(*) from public.memories where user_id = %s"
        assert scalar(connection, facts, EVA) == CALLS
        nameless = f"{facts} and conversation_id is null and source_message_id is null"
        assert scalar(connection, nameless, EVA) == 1


# --- By the command


@pytest.fixture
def data(tmp_path: Path, lite: Lite, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without a `.env`, on a project; gives its data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SUPABASE_URL", lite.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", lite.secret_key)
    return tmp_path / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def hold(data: Path, *users: str, ends: bool = True) -> None:
    async def work() -> None:
        journal = await Journal.connect(data / "journal.db", outbox=True)
        for user in users:
            await hold_call(journal, user, user[:8], random.Random(1), ends=ends)
        await journal.aclose()

    asyncio.run(work())


def there(user: str) -> dict[str, int]:
    async def work() -> dict[str, int]:
        api = await SupabaseApi.connect(load_settings())
        try:
            return {
                table: len(
                    await api.rows(
                        lambda client, table=table: (
                            client.table(table).select("id").eq("user_id", user)
                        )
                    )
                )
                for table in ("conversations", "memories", "memory_choices")
            }
        finally:
            await api.aclose()

    return asyncio.run(work())


def changed(table: str, values: dict[str, Any], column: str, which: str) -> None:
    async def work() -> None:
        api = await SupabaseApi.connect(load_settings())
        operator, _, value = which.rpartition(".")
        await api.rows(
            lambda client: client.table(table).update(values).filter(column, operator, value)
        )
        await api.aclose()

    asyncio.run(work())


def readable(data: Path, mark: str) -> bool:
    return any(mark.encode() in file.read_bytes() for file in data.rglob("*") if file.is_file())


def erased(user: str) -> dict[str, Any]:
    result = run("users", "erase", user, "--yes", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_what_is_there_here_and_on_its_way_goes_and_does_not_come_back(data: Path) -> None:
    ana, eva = str(uuid4()), str(uuid4())
    hold(data, ana, eva, ana)
    assert run("sync").exit_code == 0
    hold(data, ana, eva)

    receipt = erased(ana)
    assert receipt["calls_ended"] == 0
    assert receipt["places"]["supabase"]["conversations"] == 2
    assert receipt["places"]["journal"]["conversations"] == 3
    assert receipt["places"]["journal"]["outbox"] > 5
    assert run("sync").exit_code == 0
    assert set(there(ana).values()) == {0}
    assert there(eva) == {"conversations": 2, "memories": 6, "memory_choices": 2}
    assert not readable(data, ana[:8])
    assert readable(data, eva[:8])
    assert run("users", "erase", ana, "--yes").exit_code == 2


def test_what_only_supabase_has_goes_too(data: Path) -> None:
    ana = str(uuid4())
    hold(data, ana)
    assert run("sync").exit_code == 0
    for file in data.glob("journal*"):
        file.unlink()
    assert erased(ana)["places"].keys() == {"supabase"}
    assert set(there(ana).values()) == {0}
    assert not (data / "journal.db").exists()


def test_without_supabase_nothing_is_erased_and_again_erases_all(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = str(uuid4())
    hold(data, ana)
    assert run("sync").exit_code == 0
    with monkeypatch.context() as down:
        down.setenv("SUPABASE_URL", "http://127.0.0.1:9")
        result = run("users", "erase", ana, "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Supabase cannot be reached" in result.stderr
    assert "Nothing was deleted." in result.stderr
    assert there(ana)["conversations"] == 1
    assert readable(data, ana[:8])
    erased(ana)
    assert set(there(ana).values()) == {0}
    assert not readable(data, ana[:8])


def test_a_call_on_another_machine_is_not_erased_under_it_nor_a_dead_one_waited_for(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonora_app.storage.person_erasure._PATIENCE_SECS", 0.6)
    ana = str(uuid4())
    hold(data, ana)
    assert run("sync").exit_code == 0
    # Supabase was not told of the end of the call, which this machine knows.
    with closing(sqlite3.connect(data / "journal.db")) as journal:
        ((session_id,),) = journal.execute("SELECT id FROM sessions").fetchall()
    changed("sessions", {"ended_at": None}, "id", f"eq.{session_id}")
    moved = data.with_name("elsewhere")
    data.rename(moved)
    result = run("users", "erase", ana, "--yes")
    assert result.exit_code == 1
    assert "goes on and does not end. Nothing was erased." in result.stderr
    assert there(ana)["conversations"] == 1
    moved.rename(data)
    erased(ana)
    assert set(there(ana).values()) == {0}


def test_what_the_journal_takes_for_somebody_elses_goes_with_supabases_owner(data: Path) -> None:
    """An account became part of another, and the journal was not told."""
    ana, before = str(uuid4()), str(uuid4())
    hold(data, before)
    assert run("sync").exit_code == 0
    changed("conversations", {"user_id": ana}, "user_id", f"eq.{before}")
    receipt = erased(ana)
    assert receipt["places"]["journal"]["conversations"] == 1


async def test_an_answer_that_is_lost_is_told_of_and_again_erases_the_rest(
    data: Path, lite: Lite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = str(uuid4())
    await asyncio.to_thread(hold, data, ana)
    assert (await asyncio.to_thread(run, "sync")).exit_code == 0
    # The version, what there is, which files (there is no bucket), which documents, which calls go
    # on, what there is by now, which files; then the erasure, of which no answer comes.
    async with FaultProxy(lite.url) as proxy:
        faults = iter([*[HEALTHY] * 9, Fault(How.CUT)])
        proxy.choose = lambda: next(faults)
        with monkeypatch.context() as between:
            between.setenv("SUPABASE_URL", proxy.url)
            result = await asyncio.to_thread(run, "users", "erase", ana, "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Nothing was erased on this machine; in Supabase it may be." in result.stderr
    assert "Run it again" in result.stderr
    assert readable(data, ana[:8])
    assert set((await asyncio.to_thread(there, ana)).values()) == {0}
    again = await asyncio.to_thread(erased, ana)
    assert again["places"]["journal"]["conversations"] == 1
    assert again["places"]["supabase"] == {}
    assert not readable(data, ana[:8])


def test_facts_are_kept_and_forgotten_by_command_also_those_of_an_older_project(
    data: Path,
) -> None:
    ana = str(uuid4())
    hold(data, ana)
    assert run("sync").exit_code == 0
    for file in data.glob("journal*"):
        file.unlink()

    def listed(*options: str) -> list[str]:
        result = run("memories", "list", ana, "--json", *options)
        assert (result.exit_code, result.stderr) == (0, "")
        return [each["id"] for each in json.loads(result.stdout)["memories"]]

    (there_only,) = listed()
    added = run("memories", "add", ana, "Vive en Lima.")
    assert added.exit_code == 0
    assert "It waits here to be brought to Supabase" in added.stderr
    assert listed() == [added.stdout.strip(), there_only]
    assert run("memories", "forget", ana, there_only).exit_code == 0
    assert listed() == [added.stdout.strip()]
    assert run("sync").exit_code == 0
    assert listed() == [added.stdout.strip()]
    assert there_only not in listed("--past")

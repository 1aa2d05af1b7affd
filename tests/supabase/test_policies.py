"""Who may do what with which rows, on a real PostgreSQL, from a table of expectations."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from tests.supabase.postgres import Cluster, Connection, Database, run_script, scalar
from tests.supabase.schema import older_schema
from tests.supabase.seeded import ANA, EVA, Rows, seed

pytestmark = pytest.mark.supabase

Outcome = Literal["yes", "no", "denied"]
"""yes: done to the row; no: the row is not there for this role; denied: an error says so."""

COLUMNS = {
    "conversations": "id user_id title metadata created_at summary status language updated_at"
    " last_message_at message_count deleted_at",
    "sessions": "id conversation_id transport started_at ended_at end_reason metrics app_version",
    "messages": "id conversation_id role content images created_at deleted_at session_id seq"
    " modality interrupted node metadata metrics",
    "transitions": "id conversation_id session_id seq from_node to_node trigger arguments"
    " created_at",
    "tool_calls": "id conversation_id session_id message_id name arguments status result"
    " idempotency_key started_at ended_at",
    "positions": "conversation_id session_id node state saying updated_at",
    "memories": "id user_id content source_message_id conversation_id created_at valid_until"
    " replaced_by forgotten_at metadata",
    "memory_choices": "id user_id remembers created_at",
}

# What is somebody's or everybody's, and read by both: see the last test.
DOCUMENTS = {
    "documents": "id user_id title source hash language created_at version",
    "passages": "id document_id seq headings page anchor content language model keys version ready",
}

# The keys of tables whose rows have no id of their own.
KEYS = {"positions": "conversation_id"}

# Tables of which only the service key knows: nobody else has any grant on them.
INTERNAL = {
    "applied_updates": "conversation_id digest",
    "call_figures": "session_id conversation_id started_at version flow ended answers waits_ms"
    " worst_wait_ms turns_cut early_answers early_answers_withdrawn failures prompt_tokens"
    " completion_tokens currency cost cost_known",
    "labels": "id conversation_id session_id message_id name note created_at removed_at",
    "passage_sounds": "piece word pieces",
}

# For each role and verb, whose row it is, and what comes of it in each table. `user` stands for
# Ana and for Eva; `own` is then hers, `other` the other's, `nobody` the one without an owner.
VERBS = """
role    verb     row    conversations sessions messages transitions tool_calls positions memories memory_choices
anon    select   other  denied        denied   denied   denied      denied     denied    denied   denied
anon    select   nobody denied        denied   denied   denied      denied     denied    denied   denied
anon    insert   other  denied        denied   denied   denied      denied     denied    denied   denied
anon    insert   nobody denied        denied   denied   denied      denied     denied    denied   denied
anon    delete   other  denied        denied   denied   denied      denied     denied    denied   denied
anon    delete   nobody denied        denied   denied   denied      denied     denied    denied   denied
anon    truncate -      denied        denied   denied   denied      denied     denied    denied   denied
user    select   own    yes           yes      yes      yes         yes        yes       yes      yes
user    select   other  no            no       no       no          no         no        no       no
user    select   nobody no            no       no       no          no         no        no       no
user    insert   own    denied        denied   denied   denied      denied     denied    denied   yes
user    insert   other  denied        denied   denied   denied      denied     denied    denied   denied
user    insert   nobody denied        denied   denied   denied      denied     denied    denied   denied
user    delete   own    denied        denied   denied   denied      denied     denied    yes      yes
user    delete   other  denied        denied   denied   denied      denied     denied    no       no
user    delete   nobody denied        denied   denied   denied      denied     denied    no       no
user    truncate -      denied        denied   denied   denied      denied     denied    denied   denied
service select   other  yes           yes      yes      yes         yes        yes       yes      yes
service select   nobody yes           yes      yes      yes         yes        yes       yes      yes
service insert   other  yes           yes      yes      yes         yes        yes       yes      yes
service insert   nobody yes           yes      yes      yes         yes        yes       yes      yes
service delete   other  yes           yes      yes      yes         yes        yes       yes      yes
service delete   nobody yes           yes      yes      yes         yes        yes       yes      yes
service truncate -      yes           yes      yes      yes         yes        yes       yes      yes
"""  # noqa: E501

# The only columns that a user may change, and only in rows of her own. Every other column of
# every table is denied to her in every row, and all of them to anon.
CHANGEABLE = {
    ("conversations", "title"),
    ("conversations", "deleted_at"),
    ("messages", "deleted_at"),
    ("memories", "content"),
    ("memories", "valid_until"),
}

# The only tables that a user may delete from, and what she may say in new rows of her own.
DELETABLE = {"memories", "memory_choices"}
INSERTABLE = {("memory_choices", "user_id"), ("memory_choices", "remembers")}


@dataclass(frozen=True)
class Expectation:
    """One line of the table, in one table, for one user."""

    role: str
    verb: str
    row: str
    table: str
    outcome: Outcome
    column: str = ""

    def __str__(self) -> str:
        what = f"{self.table}.{self.column}" if self.column else self.table
        return f"{self.role}-{self.verb}-{what}-{self.row}-{self.outcome}"


def expectations() -> Generator[Expectation]:
    """Every line of the tables above, for each table and each user."""
    header, *lines = (line.split() for line in VERBS.strip().splitlines())
    for role, verb, row, *outcomes in lines:
        for table, cell in zip(header[3:], outcomes, strict=True):
            for who in ("ana", "eva") if role == "user" else (role,):
                yield Expectation(who, verb, row, table, cast(Outcome, cell))
    for table, columns in COLUMNS.items():
        for column in columns.split():
            for row in ("other", "nobody"):
                yield Expectation("anon", "update", row, table, "denied", column)
                yield Expectation("service", "update", row, table, "yes", column)
            for who in ("ana", "eva"):
                for row in ("own", "other", "nobody"):
                    outcome: Outcome = "denied"
                    if (table, column) in CHANGEABLE:
                        outcome = "yes" if row == "own" else "no"
                    yield Expectation(who, "update", row, table, outcome, column)


USERS = {"ana": ANA, "eva": EVA}
ROLES = {"anon": "anon", "service": "service_role", "ana": "authenticated", "eva": "authenticated"}


@dataclass(frozen=True)
class Project:
    """A project with our schema and the rows of `seed`."""

    database: Database
    rows: dict[str, Rows]

    def row(self, role: str, row: str) -> Rows:
        other = "eva" if role == "ana" else "ana"
        return self.rows[{"own": role, "other": other, "nobody": "nobody"}[row]]


def seeded(database: Database) -> Project:
    with database.connect() as connection:
        rows = {
            "ana": seed(connection, ANA),
            "eva": seed(connection, EVA),
            "nobody": seed(connection, None),
        }
    return Project(database, rows)


@pytest.fixture(scope="module", params=["empty", "older, text", "older, uuid"])
def project(request: pytest.FixtureRequest, postgres: Cluster) -> Generator[Project]:
    """A project of each kind. The older ones have policies that let everybody do everything."""
    with postgres.database() as database:
        if request.param != "empty":
            with database.connect() as connection:
                run_script(connection, older_schema(user_id=request.param.split()[1]))
                for table in ("conversations", "messages"):
                    run_script(
                        connection,
                        f"alter table public.{table} enable row level security;"
                        f"create policy everybody on public.{table} using (true) with check (true)",
                    )
        database.migrate()
        yield seeded(database)


def act(connection: Connection, expected: Expectation, rows: Rows) -> int:
    """Do what is expected to be possible or not. Returns how many rows it was done to."""
    table = sql.Identifier("public", expected.table)
    key = sql.Identifier(KEYS.get(expected.table, "id"))
    identifier = rows.of(expected.table) if expected.row != "-" else None
    match expected.verb:
        case "select":
            query = sql.SQL("select * from {} where {} = %s").format(table, key)
            return len(connection.execute(query, (identifier,)).fetchall())
        case "insert":
            return connection.execute(*new_row(expected.table, rows)).rowcount
        case "update":
            query = sql.SQL("update {0} set {1} = {1} where {2} = %s").format(
                table, sql.Identifier(expected.column), key
            )
            return connection.execute(query, (identifier,)).rowcount
        case "delete":
            query = sql.SQL("delete from {} where {} = %s").format(table, key)
            return connection.execute(query, (identifier,)).rowcount
        case "truncate":
            connection.execute(sql.SQL("truncate {} cascade").format(table))
            return 1
        case _:
            raise AssertionError(expected.verb)


def new_row(table: str, rows: Rows) -> tuple[Any, tuple[object, ...]]:
    """A row as good as the one that is there, in the same conversation."""
    values: dict[str, tuple[str, tuple[object, ...]]] = {
        "conversations": (
            "(id, user_id) select %s, user_id from public.conversations where id = %s",
            (uuid4(), rows.conversations),
        ),
        "sessions": (
            "(id, conversation_id, transport, started_at, app_version)"
            " values (%s, %s, 'daily', now(), '1')",
            (uuid4(), rows.conversations),
        ),
        "messages": (
            "(conversation_id, role, content) values (%s, 'user', 'new')",
            (rows.conversations,),
        ),
        "transitions": (
            "(id, conversation_id, session_id, seq, from_node, to_node, trigger, created_at)"
            " values (%s, %s, %s, 2, 'a', 'b', 'c', now())",
            (uuid4(), rows.conversations, rows.sessions),
        ),
        "tool_calls": (
            "(id, conversation_id, session_id, name, status, idempotency_key, started_at)"
            " values (%s, %s, %s, 'book', 'started', 'k', now())",
            (uuid4(), rows.conversations, rows.sessions),
        ),
        "positions": (
            "(conversation_id, session_id, node, updated_at) values (%s, %s, 'a', now())"
            " on conflict (conversation_id) do update set node = 'b'",
            (rows.conversations, uuid4()),
        ),
        "memories": ("(user_id, content) values (%s, 'new')", (rows.owner,)),
        "memory_choices": ("(user_id, remembers) values (%s, false)", (rows.owner,)),
    }
    rest, given = values[table]
    return f"insert into public.{table} {rest}", given


@pytest.mark.parametrize("expected", list(expectations()), ids=str)
def test_expectation(project: Project, expected: Expectation):
    row = "own" if expected.row == "-" and expected.role in USERS else expected.row
    rows = project.row(expected.role, "other" if row == "-" else row)
    with project.database.acting_as(ROLES[expected.role], USERS.get(expected.role)) as connection:
        if expected.outcome == "denied":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                act(connection, expected, rows)
        else:
            assert act(connection, expected, rows) == (1 if expected.outcome == "yes" else 0)


def test_every_column_has_its_expectations(project: Project):
    with project.database.connect() as connection:
        rows = connection.execute(
            "select table_name::text, array_agg(column_name::text) from information_schema.columns"
            " where table_schema = 'public' group by 1"
        ).fetchall()
    assert {table: sorted(columns) for table, columns in rows} == {
        table: sorted(columns.split())
        for table, columns in (COLUMNS | DOCUMENTS | INTERNAL).items()
    }


def test_grants_are_these_and_no_others(project: Project):
    """What a test of single statements could miss: REFERENCES, TRIGGER, grants to everybody."""
    with project.database.connect() as connection:
        tables = connection.execute(
            "select c.relname::text, coalesce(r.rolname, 'public')::text, a.privilege_type"
            " from pg_class c, aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee"
            " where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
            " and coalesce(r.rolname, 'public') not in ('postgres', 'service_role')"
        ).fetchall()
        columns = connection.execute(
            "select t.attrelid::regclass::text, t.attname::text, r.rolname::text, a.privilege_type"
            " from pg_attribute t, aclexplode(t.attacl) a left join pg_roles r on r.oid = a.grantee"
            " where t.attrelid in ("
            "   select oid from pg_class where relnamespace = 'public'::regnamespace)"
        ).fetchall()
    verbs = {("SELECT", frozenset(COLUMNS | DOCUMENTS)), ("DELETE", frozenset(DELETABLE))}
    assert set(tables) == {
        (table, "authenticated", verb) for verb, which in verbs for table in which
    }
    verbs = {("UPDATE", frozenset(CHANGEABLE)), ("INSERT", frozenset(INSERTABLE))}
    assert set(columns) == {
        (table, column, "authenticated", verb) for verb, which in verbs for table, column in which
    }


def test_every_table_has_row_level_security(project: Project):
    with project.database.connect() as connection:
        unprotected = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind = 'r' and not relrowsecurity"
        ).fetchall()
    assert unprotected == []


def test_a_token_without_a_user_sees_nothing(project: Project):
    with project.database.acting_as("authenticated") as connection:
        for table in COLUMNS:
            assert scalar(connection, f"select count(*) from public.{table}") == 0


def test_a_user_sees_only_her_own_when_she_asks_for_everything(project: Project):
    for name, user in USERS.items():
        with project.database.acting_as("authenticated", user) as connection:
            for table in COLUMNS:
                seen = connection.execute(
                    f"select {KEYS.get(table, 'id')} from public.{table}".encode()
                ).fetchall()
                assert seen == [(project.rows[name].of(table),)]


TAKEOVERS = {
    "move a message": "update public.messages set conversation_id = %(theirs)s",
    "move it back": "update public.messages set conversation_id = %(mine)s where true",
    "move it while deleting it": "update public.messages"
    " set deleted_at = now(), conversation_id = %(theirs)s",
    "change what was said": "update public.messages set content = 'never said'",
    "change who said it": "update public.messages set role = 'assistant'",
    "take over a conversation": "update public.conversations set user_id = %(me)s",
    "give one away": "update public.conversations set user_id = %(other)s where id = %(mine)s",
    "take one over while renaming it": "update public.conversations"
    " set title = 'mine', user_id = %(me)s where id = %(theirs)s",
    "write into a conversation": "insert into public.messages (conversation_id, role, content)"
    " values (%(theirs)s, 'user', 'x')",
    "upsert over a conversation": "insert into public.conversations (id, user_id)"
    " values (%(theirs)s, %(me)s) on conflict (id) do update set user_id = excluded.user_id",
    "make a conversation": "insert into public.conversations (user_id) values (%(me)s)",
    "raise a count": "update public.conversations set message_count = 100",
    "change what is remembered": "update public.conversations set metadata = '{}', summary = 'x'",
}


@pytest.mark.parametrize("statement", TAKEOVERS.values(), ids=TAKEOVERS.keys())
def test_a_user_cannot(project: Project, statement: str):
    values = {
        "me": str(ANA),
        "other": str(EVA),
        "mine": project.rows["ana"].conversations,
        "theirs": project.rows["eva"].conversations,
    }
    with (
        project.database.acting_as("authenticated", ANA) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode(), values)


@pytest.fixture
def own(database: Database) -> Project:
    """A project of the test's own, for what is to last."""
    database.migrate()
    return seeded(database)


def as_ana(project: Project, statement: str, *values: object) -> int:
    """Run a statement of Ana's for good. Returns how many rows it was done to."""
    with project.database.connect("authenticator") as connection, connection.transaction():
        connection.execute(
            "select set_config('role', 'authenticated', true),"
            " set_config('request.jwt.claims', %s, true)",
            (f'{{"sub": "{ANA}"}}',),
        )
        return connection.execute(statement.encode(), values).rowcount


def conversation(project: Project, identifier: UUID) -> tuple[Any, ...]:
    with project.database.connect() as connection:
        row = connection.execute(
            "select title, message_count, deleted_at, updated_at from public.conversations"
            " where id = %s",
            (identifier,),
        ).fetchone()
    assert row is not None
    return row


def test_a_user_renames_her_conversation(own: Project):
    identifier = own.rows["ana"].conversations
    before = conversation(own, identifier)
    assert as_ana(own, "update public.conversations set title = 'Oaxaca' returning id") == 1
    title, count, deleted_at, updated_at = conversation(own, identifier)
    assert (title, count, deleted_at) == ("Oaxaca", 1, None)
    assert updated_at > before[3]
    assert conversation(own, own.rows["eva"].conversations)[0] == "a title"


def test_a_user_deletes_and_restores_her_conversation(own: Project):
    identifier = own.rows["ana"].conversations
    assert as_ana(own, "update public.conversations set deleted_at = now() returning id") == 1
    assert conversation(own, identifier)[2] is not None
    assert as_ana(own, "update public.conversations set deleted_at = null returning id") == 1
    assert conversation(own, identifier)[2] is None


def test_the_count_follows_the_messages_that_a_user_deletes_and_restores(own: Project):
    identifier = own.rows["ana"].conversations
    assert as_ana(own, "update public.messages set deleted_at = now() returning id") == 1
    assert conversation(own, identifier)[1] == 0
    assert as_ana(own, "update public.messages set deleted_at = now()") == 1
    assert conversation(own, identifier)[1] == 0
    assert as_ana(own, "update public.messages set deleted_at = null") == 1
    assert conversation(own, identifier)[1] == 1
    assert conversation(own, own.rows["eva"].conversations)[1] == 1


CALLS = {
    "sonora_open": "select public.sonora_open(%(conversation)s, %(user)s, 40)",
    "sonora_schema_version": "select public.sonora_schema_version()",
    "sonora_apply": "select public.sonora_apply('[]')",
    "sonora_conversations": "select public.sonora_conversations()",
    "sonora_cut_turns": "select count(*) from public.sonora_cut_turns()",
    "sonora_figures": "select public.sonora_figures()",
    "sonora_erase_person": "select public.sonora_erase_person(%(user)s, true)",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_only_the_service_key_calls_the_bots_functions(project: Project, call: str):
    values = {"conversation": project.rows["ana"].conversations, "user": str(ANA)}
    for role, user in (("anon", None), ("authenticated", None), ("authenticated", ANA)):
        with (
            project.database.acting_as(role, user) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(call.encode(), values)
    with project.database.acting_as("service_role") as connection:
        assert connection.execute(call.encode(), values).fetchone() is not None


def test_functions_have_a_fixed_search_path_and_few_callers(project: Project):
    with project.database.connect() as connection:
        functions = connection.execute(
            "select p.proname::text, p.prosecdef, coalesce(p.proconfig, '{}'),"
            " array(select rolname::text from pg_roles where rolname = any(%s)"
            "   and has_function_privilege(oid, p.oid, 'execute') order by 1)"
            " from pg_proc p where p.pronamespace = 'public'::regnamespace order by 1",
            (["anon", "authenticated"],),
        ).fetchall()
    assert all('search_path=""' in config for _, _, config, _ in functions), functions
    callable_by = {name: callers for name, _, _, callers in functions if callers}
    assert callable_by == {"sonora_user_id": ["authenticated"]}
    # Those that a user's own statements set off; nobody calls them.
    definers = [name for name, definer, _, _ in functions if definer]
    assert definers == [
        "sonora_conversations_deleted",
        "sonora_memory_forgotten",
        "sonora_messages_deleted",
        "sonora_messages_inserted",
        "sonora_messages_updated",
    ]


def test_a_document_is_read_by_its_owner_or_by_everybody_and_written_by_neither(project: Project):
    with project.database.connect() as connection, connection.transaction(force_rollback=True):
        for owner in (ANA, EVA, None):
            document = scalar(
                connection,
                "insert into public.documents (id, user_id, title, source, hash)"
                " values (gen_random_uuid(), %s, %s, 'a.md', 'hash') returning id",
                owner and str(owner),
                str(owner),
            )
            connection.execute(
                "insert into public.passages"
                " (id, document_id, seq, content, language, model, keys, version)"
                " values (gen_random_uuid(), %s, 0, %s, 'es', 'model', 'word:1A', 'version')",
                (document, str(owner)),
            )
        for role, user, seen in (
            ("authenticated", ANA, {str(ANA), "None"}),
            ("authenticated", EVA, {str(EVA), "None"}),
            ("service_role", None, {str(ANA), str(EVA), "None"}),
        ):
            connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                (role, json.dumps({"role": role, "sub": str(user)} if user else {})),
            )
            for query in ("select title from documents", "select content from passages"):
                assert {row[0] for row in connection.execute(cast(Any, query))} == seen
            connection.execute("set local role postgres")
    for role, user in (("authenticated", ANA), ("anon", None)):
        for query in (
            "delete from documents",
            "update passages set content = ''",
            "insert into documents values (gen_random_uuid())",
            "select sonora_documents()",
            "select sonora_remove_documents()",
            "select sonora_find_passages('{}', '', '')",
        ):
            with (
                project.database.acting_as(role, user) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(cast(Any, query))

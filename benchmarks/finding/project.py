"""A Supabase project of one's own: the schema in a real PostgreSQL, and its functions over HTTP.

The functions are called as PostgREST calls them, which is a program of its own that no package
index has: in a transaction, by the role of the service key, with the arguments by their names.
The rest of Supabase's API is not here.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import cast

import psycopg
from psycopg import sql

from tests.supabase.postgres import Connection, Database, running_postgres

KEY = "sb_secret_of_the_measurement"
"""The service key. Nothing checks it: only this machine reaches the server, while it measures."""

_PREFIX = "/rest/v1/rpc/"
_ROLE = "service_role"
_SERVING = "select pid from pg_stat_activity where usename = 'authenticator'"


class Project:
    """The project.

    Args:
        url: What SUPABASE_URL is set to.
        database: Its database.
    """

    def __init__(self, url: str, database: Database) -> None:
        """Keep where it is."""
        self.url = url
        self._database = database

    def settle(self) -> None:
        """Bring it to the state in which PostgreSQL's own housekeeping keeps a database."""
        with self._database.connect() as connection:
            connection.execute("vacuum (analyze)")

    def processor_secs(self) -> float:
        """How long PostgreSQL has worked on what was asked so far. Linux only: from /proc."""
        with self._database.connect() as connection:
            serving = connection.execute(_SERVING).fetchall()
        used = [Path(f"/proc/{pid}/schedstat").read_text("ascii") for (pid,) in serving]
        return sum(int(each.split()[0]) for each in used) / 1e9


@contextmanager
def running_project() -> Generator[Project]:
    """Start an empty project, and remove it in the end.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start.
    """
    with (
        running_postgres() as cluster,
        cluster.database() as database,
        serving(database) as project,
    ):
        yield project


@contextmanager
def serving(database: Database) -> Generator[Project]:
    """Bring a database to our schema, and serve it for as long as the context lasts."""
    database.migrate()
    with _Server(database) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Project(f"http://127.0.0.1:{server.server_port}", database)
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, database: Database) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.database = database


class _Calls(BaseHTTPRequestHandler):
    """What comes by one connection, which has a connection to the database of its own."""

    protocol_version = "HTTP/1.1"
    # The body of an answer does not wait until its head is acknowledged.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        server = cast(_Server, self.server)
        with server.database.connect("authenticator") as self._connection:
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.path.startswith(_PREFIX):
            self._answer(404, b'{"code": "PGRST125", "message": "Only functions are here."}')
            return
        try:
            answer = _called(self._connection, self.path.removeprefix(_PREFIX), json.loads(body))
        except psycopg.Error as error:
            told = {"code": error.sqlstate or "", "message": str(error)}
            self._answer(400, json.dumps(told).encode())
        else:
            self._answer(200, answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _called(connection: Connection, function: str, values: Mapping[str, object]) -> bytes:
    named = (sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder()) for name in values)
    query = sql.SQL("select to_json(public.{}({}))::text").format(
        sql.Identifier(function), sql.SQL(", ").join(named)
    )
    given = [value if isinstance(value, str) else json.dumps(value) for value in values.values()]
    with connection.transaction():
        connection.execute(
            "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
            (_ROLE, json.dumps({"role": _ROLE})),
        )
        row = connection.execute(query, given).fetchone()
    return str(row[0] if row else None).encode()

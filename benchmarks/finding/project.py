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
from threading import Lock, Thread
from typing import cast

import psycopg
from psycopg import sql

from tests.supabase.postgres import Connection, Database, running_postgres

KEY = "sb_secret_of_the_measurement"
"""The service key. Nothing checks it: only this machine reaches the server, while it measures."""

_PREFIX = "/rest/v1/rpc/"
_ROLE = "service_role"


class Project:
    """The project. Made by `running_project` or `serving`."""

    def __init__(self, server: "_Server") -> None:
        """Keep what serves it."""
        self._server = server

    @property
    def url(self) -> str:
        """What SUPABASE_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def processor_secs(self) -> float:
        """How long PostgreSQL has worked on calls of functions. Linux only: from /proc."""
        return self._server.processor_secs

    def settle(self) -> None:
        """Bring it to the state in which PostgreSQL's own housekeeping keeps a database."""
        with self._server.database.connect() as connection:
            connection.execute("vacuum (analyze)")


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
            yield Project(server)
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, database: Database) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.database = database
        self.processor_secs = 0.0
        self.counting = Lock()


class _Calls(BaseHTTPRequestHandler):
    """What comes by one connection, which has a connection to the database of its own."""

    protocol_version = "HTTP/1.1"
    # The body of an answer does not wait until its head is acknowledged.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with self._project.database.connect("authenticator") as self._connection:
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.path.startswith(_PREFIX):
            self._answer(404, b'{"code": "PGRST125", "message": "Only functions are here."}')
            return
        function, values = self.path.removeprefix(_PREFIX), json.loads(body)
        worked = self._processor_secs()
        try:
            status, answer = 200, _called(self._connection, function, values)
        except psycopg.Error as error:
            told = {"code": error.sqlstate or "", "message": str(error)}
            status, answer = 400, json.dumps(told).encode()
        with self._project.counting:
            self._project.processor_secs += self._processor_secs() - worked
        self._answer(status, answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @property
    def _project(self) -> _Server:
        return cast(_Server, self.server)

    def _processor_secs(self) -> float:
        schedule = Path(f"/proc/{self._connection.info.backend_pid}/schedstat")
        return int(schedule.read_text("ascii").split()[0]) / 1e9

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

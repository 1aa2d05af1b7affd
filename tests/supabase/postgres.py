"""A private PostgreSQL with what Supabase puts in one, for the tests of migrations and policies.

It listens on a socket in a temporary folder, under no port, so any number of them run at once.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg

from tests.supabase.schema import migrations

_DEBIAN_BINARIES = Path("/usr/lib/postgresql")
_OLDEST = 15
_PRELUDE = Path(__file__).with_name("prelude.sql")
_SUPERUSER = "supabase_admin"
_TEMPLATE = "supabase"
# Nothing here has to survive a loss of power.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}

Connection = psycopg.Connection[tuple[Any, ...]]


class Database:
    """One database of the cluster."""

    def __init__(self, socket_dir: Path, name: str) -> None:
        self._socket_dir = socket_dir
        self.name = name

    def connect(self, user: str = "postgres") -> Connection:
        """A connection in autocommit mode.

        Args:
            user: `postgres`, whom migrations run as, or `authenticator`, as PostgREST connects.
        """
        return psycopg.connect(
            host=str(self._socket_dir), dbname=self.name, user=user, autocommit=True
        )

    def migrate(self, files: Iterable[Path] | None = None) -> None:
        """Apply migrations, each in a transaction, as the Supabase CLI does.

        Args:
            files: Which; None is all of ours.
        """
        with self.connect() as connection:
            for file in migrations() if files is None else files:
                with connection.transaction():
                    run_script(connection, file.read_text(encoding="utf-8"))

    @contextmanager
    def acting_as(self, role: str, user_id: UUID | None = None) -> Generator[Connection]:
        """A connection as PostgREST has it during a request. What it does is undone in the end.

        Args:
            role: anon, authenticated or service_role.
            user_id: Who is signed in.
        """
        with (
            self.connect("authenticator") as connection,
            connection.transaction(force_rollback=True),
        ):
            claims = {"role": role} | ({"sub": str(user_id)} if user_id else {})
            connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                (role, json.dumps(claims)),
            )
            yield connection

    def dump_schema(self) -> str:
        """The schema `public` as SQL: what is the same twice is the same schema."""
        finished = subprocess.run(
            [_binary("pg_dump"), "--schema-only", "--schema=public", f"--dbname={self.name}"],
            env={**os.environ, "PGHOST": str(self._socket_dir), "PGUSER": _SUPERUSER},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if finished.returncode != 0:
            raise RuntimeError(f"pg_dump failed: {finished.stderr}")
        # Newer ones mark a dump with a key that differs each time.
        lines = finished.stdout.splitlines()
        return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unres")))


class Cluster:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def database(self) -> Generator[Database]:
        """A new database, as a new Supabase project has it; dropped in the end."""
        name = f"sonora_{uuid4().hex}"
        with Database(self.folder, "postgres").connect(_SUPERUSER) as admin:
            run_script(admin, f"create database {name} template {_TEMPLATE} owner postgres")
            try:
                yield Database(self.folder, name)
            finally:
                run_script(admin, f"drop database {name} with (force)")


def run_script(connection: Connection, sql: str) -> None:
    """Run SQL of our own: any number of statements, no values."""
    connection.execute(sql.encode())


@contextmanager
def running_postgres() -> Generator[Cluster]:
    """Start a cluster, and stop and remove it in the end.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="sonora-postgres-"))
    try:
        account = _unprivileged_account()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        _init(folder, account)
        log = folder / "log"
        process = _start(folder, account, log)
        try:
            _wait_until_serving(folder, process, log)
            _prepare(folder)
            yield Cluster(folder)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str:
    versions = (int(each.name) for each in _DEBIAN_BINARIES.glob("[0-9][0-9]"))
    # The oldest that serves, as most projects have it.
    for version in sorted(version for version in versions if version >= _OLDEST):
        debian = _DEBIAN_BINARIES / str(version) / "bin" / name
        if debian.exists():
            return str(debian)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(
            f"These tests need PostgreSQL {_OLDEST} or newer, and {name} is not here."
            " scripts/test installs it."
        )
    return found


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Whom to run it as where we are root, since it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no account `postgres`.")


def _init(folder: Path, account: pwd.struct_passwd | None) -> None:
    finished = subprocess.run(
        [
            _binary("initdb"),
            f"--pgdata={folder / 'data'}",
            f"--username={_SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=None if account is None else [],
    )
    if finished.returncode != 0:
        raise RuntimeError(f"initdb failed: {finished.stdout}{finished.stderr}")


def _start(folder: Path, account: pwd.struct_passwd | None, log: Path) -> subprocess.Popen[bytes]:
    settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                _binary("postgres"),
                "-D",
                str(folder / "data"),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C at the terminal is for the tests, which stop it themselves.
            start_new_session=True,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=None if account is None else [],
        )


def _wait_until_serving(folder: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            Database(folder, "postgres").connect(_SUPERUSER).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


def _prepare(folder: Path) -> None:
    with Database(folder, "postgres").connect(_SUPERUSER) as admin:
        run_script(admin, f"create database {_TEMPLATE}")
    with Database(folder, _TEMPLATE).connect(_SUPERUSER) as admin:
        run_script(admin, _PRELUDE.read_text(encoding="utf-8"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
        return


def scalar(connection: Connection, query: str, *values: object) -> Any:
    """The first value of the first row."""
    row = connection.execute(cast(Any, query), values).fetchone()
    assert row is not None, query
    return row[0]

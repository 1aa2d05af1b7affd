"""Supabase's API server for the tests: `@supabase/lite` over PGlite, from our migrations.

It is installed once per machine, from node/package-lock.json, into the user's cache; so is, for
each set of migrations, a database that has them. A server is started on a copy, on a free port.
"""

import base64
import hmac
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from simulators.clients import npm
from simulators.vendors.port import ReservedPort
from tests.supabase.schema import migrations

_NODE_FILES = Path(__file__).with_name("node")
_PORT = re.compile(r"(?m)^port = \d+$")
_JWT_SECRET = re.compile(r'(?m)^jwt_secret = "(.*)"$')


class Lite:
    """A server. It may be stopped and started again, at the same address, with what it keeps.

    Args:
        project: Its folder.
        vector_files: Files of SQL to apply once it has pgvector; None leaves it without.
        storage: Whether it has Storage.
    """

    def __init__(
        self,
        project: Path,
        vector_files: Sequence[Path] | None = None,
        *,
        storage: bool = False,
    ) -> None:
        """Set up; `start` starts it."""
        self._project = project
        self._vector_files = vector_files
        self._storage = storage
        self._process: subprocess.Popen[bytes] | None = None
        self._port = ReservedPort()
        keys = _read_env(project / ".env")
        self.publishable_key = keys["SUPABASE_PUBLISHABLE_KEY"]
        self.secret_key = keys["SUPABASE_SECRET_KEY"]
        secret = _JWT_SECRET.search(self._config.read_text(encoding="utf-8"))
        assert secret is not None
        self.jwt_secret = secret[1]

    @property
    def url(self) -> str:
        """Where it is: what SUPABASE_URL is set to."""
        return f"http://127.0.0.1:{self._port.number}"

    def access_token(self, user_id: object, *, lifetime_secs: float = 3600) -> str:
        """A token as Supabase Auth gives a signed-in user."""
        now = int(time.time())
        claims = {
            "sub": str(user_id),
            "role": "authenticated",
            "aud": "authenticated",
            "iat": now,
            "exp": int(now + lifetime_secs),
        }
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims)]
        signed = ".".join(parts).encode()
        return (
            f"{signed.decode()}.{_base64(hmac.digest(self.jwt_secret.encode(), signed, 'sha256'))}"
        )

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: It does not start.
        """
        port = self._port.number
        config = self._config.read_text(encoding="utf-8")
        self._config.write_text(_PORT.sub(f"port = {port}", config, count=1), encoding="utf-8")
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._start_command(port),
                cwd=self._project,
                env=_environment(storage=self._storage),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while self._process.poll() is None and time.monotonic() < deadline:
            if "Ready in" in self.logged() and self._answers():
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"lite does not start:\n{self.logged()}")

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            process.send_signal(how)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
            return

    def release(self) -> None:
        """Stop it for good: its address may be another's."""
        self.stop()
        self._port.release()

    @property
    def stored_files(self) -> Path:
        """The folder in which it keeps what is uploaded."""
        return self._project / "supabase" / ".temp" / "storage"

    def logged(self) -> str:
        """What it has printed since it was started last."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def _config(self) -> Path:
        return self._project / "supabase" / "config.toml"

    @property
    def _log(self) -> Path:
        return self._project / "lite.log"

    def _start_command(self, port: int) -> list[str]:
        if self._vector_files is None:
            # Without --no-admin, a request without any key would be served as service_role.
            return [*_command(), "start", "--no-admin"]
        script = self._project / "vector.mjs"
        if not script.exists():
            # Modules are looked for beside the script.
            shutil.copy(_NODE_FILES / "vector.mjs", script)
            modules = npm.installed(_NODE_FILES) / "node_modules"
            (self._project / "node_modules").symlink_to(modules)
        return [
            npm.program("node"),
            str(script),
            str(port),
            "supabase/.temp/data",
            self.publishable_key,
            self.secret_key,
            self.jwt_secret,
            *map(str, self._vector_files),
        ]

    def _answers(self) -> bool:
        try:
            httpx.get(
                f"{self.url}/rest/v1/none",
                headers={"apikey": self.secret_key},
                timeout=30,
            )
        except httpx.HTTPError:
            return False
        return True


@contextmanager
def running_lite(
    files: Iterable[Path] | None = None,
    *,
    with_vector: bool = False,
    with_storage: bool = False,
    more: Sequence[Path] = (),
) -> Generator[Lite]:
    """Start a server with a database of its own, and stop and remove it in the end.

    Args:
        files: The migrations to begin with, in order; None is all of ours.
        with_vector: Whether pgvector is there from then on, and ours are applied again.
        with_storage: Whether Storage is there, before ours are applied.
        more: What is applied after that.

    Raises:
        RuntimeError: Node is not installed, or something does not start.
    """
    applied = tuple(migrations() if files is None else files)
    database = _database(applied, storage=with_storage)
    folder = Path(tempfile.mkdtemp(prefix="sonora-lite-"))
    try:
        server = Lite(
            shutil.copytree(database, folder / "project"),
            [*migrations(), *more] if with_vector else None,
            storage=with_storage,
        )
        try:
            server.start()
            yield server
        finally:
            server.release()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _command() -> list[str]:
    lite = npm.installed(_NODE_FILES) / "node_modules/@supabase/lite/dist/cli/index.js"
    return [npm.program("node"), str(lite)]


def _environment(*, storage: bool = False) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUPABASE_")}
    more = {"EXPERIMENTAL_STORAGE": "1"} if storage else {}
    return kept | more | {"LITE_TELEMETRY": "0", "DO_NOT_TRACK": "1"}


def _database(files: tuple[Path, ...], *, storage: bool) -> Path:
    """A project of lite with these migrations applied."""
    lock = (_NODE_FILES / "package-lock.json").read_bytes()
    contents = [part for file in files for part in (file.name.encode(), file.read_bytes())]

    def make(project: Path) -> None:
        npm.run([*_command(), "init", "--pglite"], project, env=_environment())
        config = project / "supabase" / "config.toml"
        secret = f'jwt_secret = "{secrets.token_urlsafe(40)}"'
        text = _JWT_SECRET.sub(secret, config.read_text(encoding="utf-8"), count=1)
        config.write_text(text + ("\n[storage]\nenabled = true\n" if storage else ""))
        target = project / "supabase" / "migrations"
        target.mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, target)
        environment = _environment(storage=storage)
        npm.run([*_command(), "migration", "up"], project, env=environment)

    kind = "storage-database" if storage else "database"
    return npm.kept(f"{kind}-{npm.digest(lock, *contents)}", make)


def _read_env(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

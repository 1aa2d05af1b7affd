"""npm packages for the tests: installed once per machine, from a lock file, into a cache."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

OLDEST_NODE = 20


def installed(project: Path, *options: str) -> Path:
    """The folder in whose `node_modules` is what a project's lock file names.

    Args:
        project: A folder with package.json and package-lock.json; nothing is written to it.
        options: Further options of `npm ci`, such as `--omit=optional`.

    Raises:
        RuntimeError: Node is not installed or too old, or npm fails.
    """
    files = [project / "package.json", project / "package-lock.json"]

    def install(folder: Path) -> None:
        version = run([program("node"), "--version"], folder)
        if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
            raise RuntimeError(f"These tests need Node {OLDEST_NODE} or newer; this is {version}")
        for file in files:
            shutil.copy(file, folder)
        command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *options]
        run([program("npm"), *command], folder)

    contents = digest(*(file.read_bytes() for file in files), " ".join(options).encode())
    return kept(f"npm-{contents}", install)


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name in the cache; made by one process while the others wait for it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonora-tests"
    cache.mkdir(parents=True, exist_ok=True)
    wanted = cache / name
    if wanted.exists():
        return wanted
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            unfinished = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache))
            try:
                make(unfinished)
                unfinished.rename(wanted)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return wanted


def digest(*parts: bytes) -> str:
    """A name for these contents."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8))
        found.update(part)
    return found.hexdigest()[:16]


def program(name: str) -> str:
    """Where `node` or `npm` is.

    Raises:
        RuntimeError: It is not on the PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(
            f"These tests need Node {OLDEST_NODE} or newer, and {name} is not on the PATH."
        )
    return found


def run(command: list[str], folder: Path, *, env: Mapping[str, str] | None = None) -> str:
    """Run a command in a folder and give what it prints.

    Raises:
        RuntimeError: It failed; what it printed is in the words.
    """
    finished = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if finished.returncode != 0:
        shown = " ".join(command)
        raise RuntimeError(f"{shown} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout

"""Fetches models: what has come is kept when it breaks off, and nothing unchecked is used.

A model is fetched to a folder of its own beside its place, and moved there when each file has the
size and the SHA-256 that `models.yaml` has for it. From then on nothing is asked of the internet.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx

from sonora_app.errors import SonoraError
from sonora_app.local.catalogue import (
    Model,
    ModelFile,
    bytes_here,
    folder_of,
    size_of,
    unfinished_folder,
)
from sonora_app.wording.translation import worded

Progress = Callable[[int, int], None]
"""Told how much of a model is here, and how much it is, in bytes."""

_TRIES = 5
_WAIT_SECS = 1.0
"""Before the second try; twice as long before each further one."""
_TIMEOUT_SECS = 20.0
"""How long a server may say nothing."""
_SPARE = 50_000_000
"""What must be left on the disk, in bytes, so that the journal can still be written."""
_LOCK_POLL_SECS = 0.2


class FetchError(SonoraError):
    """A model cannot be fetched now. What has come of it is kept."""


class _Broken(Exception):
    """A try failed in a way that another may mend; the words say how."""


def fetch(model: Model, models: Path, *, mirror: str = "", progress: Progress) -> Path:
    """Fetch a model, or what is missing of it. Blocks the thread.

    A model that is here already is read and checked, and what is damaged is fetched anew. Where
    another process is fetching it, its end is waited for.

    Args:
        model: What to fetch.
        models: The folder of all models; made when it is missing.
        mirror: An address that takes the place of the scheme and the host of the model's own.
        progress: Told from time to time.

    Returns:
        The folder of the model.

    Raises:
        FetchError: It cannot be fetched; the words say why, and what to do.
    """
    try:
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _turn(models / f"{model.name}.lock", lambda: progress(*_done(model, models))):
            return _fetch(model, models, mirror, progress)
    except OSError as error:
        raise FetchError(
            worded("{name} cannot be kept: {reason}.", name=model.name, reason=error.strerror),
            hint=worded("Make room, or set SONORA_DATA_DIR to a folder that can be written to."),
        ) from None


def address_of(model: Model, file: ModelFile, mirror: str = "") -> str:
    """Where a file is fetched from."""
    url = httpx.URL(model.url + file.name)
    return mirror.rstrip("/") + url.raw_path.decode() if mirror else str(url)


def _fetch(model: Model, models: Path, mirror: str, progress: Progress) -> Path:
    folder, unfinished = folder_of(model, models), unfinished_folder(model, models)
    if folder.exists():
        if all(_is_whole(folder / file.name, file) for file in model.files):
            progress(model.size, model.size)
            return folder
        if unfinished.exists():
            shutil.rmtree(unfinished)
        folder.rename(unfinished)
    unfinished.mkdir(mode=0o700, exist_ok=True)
    _require_room(model, models)

    def came(_: int) -> None:
        progress(*_done(model, models))

    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT_SECS) as client:
        for file in model.files:
            if not _is_whole(unfinished / file.name, file):
                _fetch_file(client, address_of(model, file, mirror), unfinished, file, model, came)
    unfinished.rename(folder)
    progress(model.size, model.size)
    return folder


def _fetch_file(
    client: httpx.Client,
    url: str,
    folder: Path,
    file: ModelFile,
    model: Model,
    came: Callable[[int], None],
) -> None:
    """Fetch one file, with some patience."""
    reason = ""
    tries = 0
    while tries < _TRIES:
        if tries:
            time.sleep(_WAIT_SECS * 2 ** (tries - 1))
        before = size_of(folder / file.name)
        try:
            _continue(client, url, folder / file.name, file, came)
            return
        except httpx.HTTPStatusError as error:
            reason = f"{error.request.url.host}: {error.response.status_code}"
            if error.response.status_code in (401, 403, 404, 410):
                break
        except httpx.HTTPError as error:
            reason = f"{httpx.URL(url).host}: {str(error) or type(error).__name__}"
        except _Broken as error:
            reason = f"{httpx.URL(url).host}: {error}"
        # A line that breaks off again and again, and brings something each time, comes to an end.
        tries = 1 if size_of(folder / file.name) > before else tries + 1
    raise FetchError(
        worded("{name} cannot be fetched ({reason}).", name=model.name, reason=reason),
        hint=worded(
            "What has come is kept. Go on when there is a connection: "
            "uv run sonora models fetch {name}",
            name=model.name,
        ),
    )


def _continue(
    client: httpx.Client, url: str, path: Path, file: ModelFile, came: Callable[[int], None]
) -> None:
    """Fetch what is missing of a file, and check the whole."""
    have = size_of(path)
    if have >= file.size:
        # Whole, and not what it should be: nothing of it can be trusted.
        path.unlink()
        have = 0
    # Compressed on its way, it would have other bytes than those that a part is counted in.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        continues = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        with path.open("ab" if continues else "wb") as out:
            size = have if continues else 0
            for chunk in answer.iter_raw():
                size += len(chunk)
                if size > file.size:
                    break
                out.write(chunk)
                out.flush()
                came(size)
    if size_of(path) < file.size:
        raise _Broken("the connection broke off")
    if not _is_whole(path, file):
        path.unlink()
        raise _Broken("what came is not the file that was published")


def _require_room(model: Model, models: Path) -> None:
    missing = model.size - bytes_here(model, models)
    free = shutil.disk_usage(models).free
    if free < missing + _SPARE:
        raise FetchError(
            worded(
                "{name} needs {size} MB more than the disk has free.",
                name=model.name,
                size=round((missing + _SPARE - free) / 1e6) or 1,
            ),
            hint=worded("Make room, or set SONORA_DATA_DIR to a folder that can be written to."),
        )


def _is_whole(path: Path, file: ModelFile) -> bool:
    if size_of(path) != file.size:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _done(model: Model, models: Path) -> tuple[int, int]:
    return bytes_here(model, models), model.size


@contextmanager
def _turn(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold a lock file alone. Whoever fetches the same model meanwhile is waited for."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(_LOCK_POLL_SECS)
        yield
    finally:
        os.close(descriptor)

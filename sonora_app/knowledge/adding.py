"""Files added to the index: read, cut, and only what changed made anew."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sonora_app.errors import NotFoundError
from sonora_app.knowledge.embedding import Embedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.passages import cut
from sonora_app.knowledge.reading.errors import UnreadableError
from sonora_app.knowledge.reading.files import read_file, readable_files
from sonora_app.knowledge.records import Document
from sonora_app.storage.records import utc_now, uuid7
from sonora_app.wording.translation import worded

_LONGEST_TITLE = 300


class Outcome(StrEnum):
    """What became of a file."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class AddedFile:
    """A file, and what became of it.

    Parameters:
        path: The file.
        outcome: What became of it.
        document: The document that it is now. Where it could not be read, the one that it was when
            it was read last, which is still found; None where it never was.
        reason: Why it could not be read.
    """

    path: Path
    outcome: Outcome
    document: Document | None = None
    reason: str = ""


@dataclass
class Progress:
    """Told as files are added; each does nothing by default.

    Parameters:
        file: A file is begun: its path, its number from 1, how many there are.
        passage: Of that file, how many passages are ready, and how many there are.
    """

    file: Callable[[Path, int, int], None] = field(default=lambda path, number, count: None)
    passage: Callable[[int, int], None] = field(default=lambda done, count: None)


def add_files(
    index: Index,
    paths: Iterable[Path],
    embedder: Embedder,
    *,
    user_id: str | None = None,
    progress: Progress | None = None,
) -> list[AddedFile]:
    """Add files, and all that can be read in folders.

    Args:
        index: Where to.
        paths: Files and folders.
        embedder: Makes the vectors.
        user_id: Whose they are; None is everybody's.
        progress: Told how far it is.

    Returns:
        Each file with what became of it. One that cannot be read does not hold up the rest.

    Raises:
        NotFoundError: There is nothing at one of the paths; nothing was added.
        StorageError: The index cannot be written.
    """
    told = progress or Progress()
    wanted = list(paths)
    for path in wanted:
        if not path.exists():
            raise NotFoundError(worded("There is no file {file}.", file=path))
    files = [file for path in wanted for file in readable_files(path)]
    added: list[AddedFile] = []
    for number, file in enumerate(files, 1):
        told.file(file, number, len(files))
        try:
            added.append(_add(index, file, embedder, user_id, told))
        except UnreadableError as error:
            known = _known(index, file, user_id)
            added.append(AddedFile(file, Outcome.UNREADABLE, known, error.message))
    return added


def without_file(index: Index, folders: Iterable[Path], user_id: str | None) -> list[Document]:
    """The documents that came out of folders, and whose file is there no longer.

    Args:
        index: Where they are still found.
        folders: The folders; what is no folder is passed over.
        user_id: Whose documents; None is everybody's.

    Raises:
        StorageError: The index cannot be read.
    """
    roots = [folder.resolve() for folder in folders if folder.is_dir()]
    return [
        document
        for document in index.documents()
        if document.user_id == user_id
        and any(Path(document.source).is_relative_to(root) for root in roots)
        and not Path(document.source).exists()
    ]


def _known(index: Index, file: Path, user_id: str | None) -> Document | None:
    source = str(file.resolve())
    return None if _is_no_utf8(source) else index.document_from(source, user_id)


def _is_no_utf8(name: str) -> bool:
    """Whether a name holds Python's stand-ins for bytes that are no UTF-8: SQLite keeps none."""
    return any("\udc80" <= letter <= "\udcff" for letter in name)


def _add(
    index: Index, file: Path, embedder: Embedder, user_id: str | None, told: Progress
) -> AddedFile:
    if not file.is_file():
        # Opening a pipe would wait for whoever writes into it.
        raise UnreadableError(worded("it is not a file"))
    source = str(file.resolve())
    if _is_no_utf8(source):
        raise UnreadableError(worded("its name is not UTF-8; rename it"))
    known = index.document_from(source, user_id)
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(worded("{error}", error=error.strerror or "")) from None
    if known is not None and known.hash == digest:
        return AddedFile(file, Outcome.UNCHANGED, known)
    read = read_file(file)
    passages = cut(read)
    if not passages:
        raise UnreadableError(worded("it holds no text"))
    document = Document(
        id=known.id if known else uuid7(),
        user_id=user_id,
        title=read.title[:_LONGEST_TITLE],
        source=source,
        hash=digest,
        language=read.language,
        created_at=utc_now(),
        passages=len(passages),
    )
    index.put(
        document, passages, embedder, on_passage=lambda done: told.passage(done, len(passages))
    )
    return AddedFile(file, Outcome.CHANGED if known else Outcome.ADDED, document)

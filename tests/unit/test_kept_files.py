"""What people send is kept whole in the data folder, found by its message, and erased with it."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.errors import StorageError
from sonora_app.files.attachment import Attachment, AttachmentKind
from sonora_app.files.keeper import StoreKeeper
from sonora_app.storage import removal
from sonora_app.storage.files import folder as folder_module
from sonora_app.storage.files.kept_file import KeptFile, folder_of, name_in
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.orphaned_files import remove_orphans
from sonora_app.storage.records import (
    Conversation,
    Message,
    ProvisionalConversation,
    utc_now,
    uuid7,
)

pytestmark = pytest.mark.unit

PDF = "application/pdf"
ID = UUID("0194f000-0000-7000-8000-00000000000a")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "data" / "journal.db", outbox=True)
    yield journal
    await journal.aclose()


def an_attachment(data: bytes, name: str = "mi gato.pdf", media_type: str = PDF) -> Attachment:
    return Attachment(AttachmentKind.DOCUMENT, media_type, name, data)


async def sent(
    journal: Journal, user_id: str | None, data: bytes, conversation_id: UUID | None = None
) -> tuple[UUID, str]:
    """Keep a file in a conversation, and record its message, as a call does."""
    conversation_id = conversation_id or uuid7()
    keeper = StoreKeeper(journal.files)
    attachment = an_attachment(data)
    entry = keeper.entry(attachment, conversation_id, user_id)
    await keeper.keep(attachment, conversation_id, user_id)
    now = utc_now()
    await journal.write(
        [
            Conversation(id=conversation_id, user_id=user_id, created_at=now, updated_at=now),
            Message(
                id=uuid7(),
                conversation_id=conversation_id,
                seq=1,
                role="user",
                images=[entry],
                created_at=now,
            ),
        ]
    )
    return conversation_id, entry


def kept(data: Path) -> list[bytes]:
    """What is in the data folder's files of people, by their bytes."""
    return [path.read_bytes() for path in (data / "files").rglob("*") if path.is_file()]


def readable(data: Path, mark: bytes) -> bool:
    return any(mark in path.read_bytes() for path in data.rglob("*") if path.is_file())


async def test_a_file_is_kept_for_the_owner_alone_and_found_by_its_message(
    journal: Journal, tmp_path: Path
) -> None:
    conversation_id, entry = await sent(journal, "ana", b"quokka")

    transcript = await journal.transcript(conversation_id)
    assert transcript is not None
    (named,) = transcript.messages[0].images or []
    file = KeptFile.referred_to(named)
    assert file is not None
    assert (named, name_in(named), file.media_type) == (entry, "mi gato.pdf", PDF)
    found = await journal.files.find(file)
    assert found is not None
    assert found.path is not None
    assert found.path.read_bytes() == b"quokka"
    for path in (tmp_path / "data" / "files").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


async def test_half_a_file_is_never_found(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "files"
    _, entry = await sent(journal, "ana", b"whole")
    file = KeptFile.referred_to(entry)
    assert file is not None
    part = (folder / file.path).with_name(f".{uuid4()}.pdf.part")
    part.write_bytes(b"half")
    assert await journal.files.folder.files() == (file,)

    await remove_orphans(journal)
    assert part.exists(), "a call of another process may be writing it"
    os.utime(part, (0, 0))
    await remove_orphans(journal)
    assert not part.exists()
    assert await journal.files.find(file) is not None


async def test_what_cannot_be_written_is_told_in_words(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "data" / "files").write_bytes(b"no folder")
    with pytest.raises(StorageError) as told:
        await StoreKeeper(journal.files).keep(an_attachment(b"quokka"), uuid7(), "ana")
    assert "SONORA_DATA_DIR" in told.value.hint


@given(st.text(max_size=200), st.text(max_size=80))
@settings(max_examples=60)
def test_any_user_and_any_name_give_a_place_of_their_own(user: str, name: str) -> None:
    file = KeptFile.of(user, uuid4(), uuid4(), "image/jpeg")
    assert KeptFile.referred_to(file.reference(name.encode("utf-8", "replace").decode())) == file
    assert len(file.folder) <= 120
    assert folder_of(user) != folder_of(None)
    assert folder_of(user).lower() != folder_of(f"{user}x").lower()


def test_a_user_of_supabase_has_the_folder_that_the_policy_compares() -> None:
    user = str(uuid4())
    assert folder_of(user) == user
    assert folder_of("Ana") != folder_of("ana"), "some file systems take them for one"


@pytest.mark.parametrize(
    "entry",
    [
        "https://example.com/a.png",
        "sonora-files/../../journal.db",
        f"sonora-files/ana/{ID}/../{ID}.pdf",
        f"sonora-files/ana/{ID}/{ID}.html",
        f"sonora-files/ana/{str(ID).upper()}/{ID}.pdf",
        f"sonora-files/a na/{ID}/{ID}.pdf",
        {"path": "x"},
        None,
    ],
)
def test_what_is_not_ours_names_no_file(entry: object) -> None:
    assert KeptFile.referred_to(entry) is None


async def test_a_file_that_no_message_names_goes(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation_id, _ = await sent(journal, "ana", b"wombat")
    for place in (uuid7(), conversation_id):
        await StoreKeeper(journal.files).keep(an_attachment(b"quokka"), place, "ana")
    assert await remove_orphans(journal) == 0, "its call may not be recorded yet"
    monkeypatch.setattr("sonora_app.storage.orphaned_files.ORPHANED_SECS", -1.0)
    assert await remove_orphans(journal) == 2
    # The other is the lock.
    assert sorted(kept(tmp_path / "data")) == [b"", b"wombat"]


async def test_files_of_a_conversation_that_stood_in_for_another_move_there(
    journal: Journal,
) -> None:
    asked_for, stand_in = uuid7(), uuid7()
    await journal.write([ProvisionalConversation(id=stand_in, asked_for=asked_for, user_id="ana")])
    await sent(journal, "ana", b"quokka", stand_in)
    (held,) = await journal.outbox.unplaced()
    await journal.outbox.place(held, asked_for)
    # The call goes on under the id that it began with.
    await sent(journal, "ana", b"quokka", stand_in)

    transcript = await journal.transcript(asked_for)
    assert transcript is not None
    named = [KeptFile.referred_to(each) for m in transcript.messages for each in m.images or []]
    assert [file and file.conversation_id for file in named] == [asked_for, asked_for]
    entries = await journal.outbox.batch(100)
    shipped = [e.payload["images"][0] for e in entries if e.table == "messages"]
    assert [KeptFile.referred_to(each) for each in shipped] == named
    for file in await journal.files.folder.files():
        await journal.files.folder.move(file, asked_for)
    assert set(named) == set(await journal.files.folder.files())


def test_files_go_with_the_conversation_and_with_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    data = tmp_path / "data"
    monkeypatch.setenv("SONORA_DATA_DIR", str(data))

    async def talk() -> UUID:
        journal = await Journal.connect(data / "journal.db")
        try:
            first, _ = await sent(journal, "ana", b"quokka one")
            await sent(journal, "ana", b"quokka two")
            # Of a call that could not be recorded.
            await StoreKeeper(journal.files).keep(an_attachment(b"quokka three"), uuid7(), "ana")
            await sent(journal, "eva", b"wombat")
            return first
        finally:
            await journal.aclose()

    first = asyncio.run(talk())
    run = CliRunner().invoke
    done = run(app, ["conversations", "delete", str(first), "--yes"])
    assert done.exit_code == 0, done.output
    assert not readable(data, b"quokka one")
    assert readable(data, b"quokka two")

    done = run(app, ["users", "erase", "ana", "--yes", "--json"])
    assert done.exit_code == 0, done.output
    assert '"files": 2' in done.output
    assert not readable(data, b"quokka")
    assert readable(data, b"wombat")

    async def prune() -> None:
        journal = await Journal.connect(data / "journal.db")
        try:
            stores = removal.Stores(journal, None, timedelta(hours=1))
            assert await removal.prune(stores, utc_now() + timedelta(days=1)) == 1
        finally:
            await journal.aclose()

    asyncio.run(prune())
    assert not readable(data, b"wombat")
    assert not any(path.is_dir() for path in (data / "files").iterdir())


async def test_only_one_at_a_time_ships_or_removes(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(journal, "ana", b"quokka")
    monkeypatch.setattr(folder_module, "_PATIENCE_SECS", 0.1)
    other = type(journal.files.folder)(journal.path.parent / "files")
    async with journal.files.folder.in_turn():
        with pytest.raises(StorageError):
            async with other.in_turn():
                pass
    async with other.in_turn():
        pass

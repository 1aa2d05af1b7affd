"""What people send comes to Storage, is read by its owner alone, and is erased there."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from simulators.clients.waiting import Waiting
from sonora_app.cli import app
from sonora_app.console.files import add_files
from sonora_app.doctor.file_checks import examine_bucket
from sonora_app.errors import StorageError
from sonora_app.files.attachment import Attachment, AttachmentKind
from sonora_app.files.keeper import StoreKeeper
from sonora_app.settings import load_settings
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, Message, utc_now, uuid7
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket
from sonora_app.storage.supabase.unnamed_files import remove_unnamed
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite
from tests.supabase.postgres import Database, run_script, scalar
from tests.supabase.schema import MIGRATIONS_DIR
from tests.supabase.storage import Project

pytestmark = pytest.mark.supabase

FILES_SQL = MIGRATIONS_DIR / "20261128170000_sonora_files.sql"

# What Supabase has before any migration: made by its own role, with row-level security on.
STORAGE_SQL = """
    create schema storage;
    grant usage on schema storage to anon, authenticated, service_role;
    create table storage.buckets (id text primary key, name text not null, public boolean);
    create table storage.objects (
        id uuid primary key default gen_random_uuid(),
        bucket_id text references storage.buckets (id),
        name text
    );
    grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
    alter table storage.buckets enable row level security;
    alter table storage.objects enable row level security;
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, storage_project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a `.env`, on a project with Storage; gives its data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SUPABASE_URL", storage_project.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", storage_project.lite.secret_key)
    return tmp_path / "data"


@pytest.fixture
def down(storage_project: Project) -> Iterator[Project]:
    """The project, whose Storage answers nothing until it is told to."""
    storage_project.files_down = True
    yield storage_project
    storage_project.files_down = False
    storage_project.too_large = None
    storage_project.uploads_pass.set()


@asynccontextmanager
async def a_store(data: Path) -> AsyncGenerator[MirroredStore]:
    journal = await Journal.connect(data / "journal.db", outbox=True)
    store = MirroredStore(journal, await SupabaseApi.connect(load_settings()), keep=None)
    try:
        yield store
    finally:
        await store.aclose()


async def sent(
    store: MirroredStore, user: str, *contents: bytes, recorded_after_secs: float = 0.0
) -> tuple[UUID, list[KeptFile]]:
    """Send files in a conversation, as a call keeps and records them."""
    conversation_id = uuid7()
    keeper = StoreKeeper(store.files)
    entries: list[str] = []
    for content in contents:
        one = Attachment(AttachmentKind.PICTURE, "image/jpeg", "un gato.jpg", content)
        entries.append(keeper.entry(one, conversation_id, user))
        await keeper.keep(one, conversation_id, user)
    await asyncio.sleep(recorded_after_secs)
    now = utc_now()
    await store.write(
        [
            Conversation(id=conversation_id, user_id=user, created_at=now, updated_at=now),
            Message(
                id=uuid7(),
                conversation_id=conversation_id,
                seq=1,
                role="user",
                images=entries,
                created_at=now,
            ),
        ]
    )
    files = [KeptFile.referred_to(entry) for entry in entries]
    return conversation_id, [file for file in files if file is not None]


async def linked(store: MirroredStore, file: KeptFile) -> str:
    """Where the console has a page fetch a file that is in Storage."""
    api = FastAPI()

    async def its_store() -> MirroredStore:
        return store

    add_files(api, its_store)
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as page:
        reference = {"reference": file.reference("un gato.jpg")}
        return (await page.get("/files/content", params=reference)).headers["location"]


def here(data: Path) -> list[bytes]:
    found = (path for path in (data / "files").rglob("*.jpg") if path.is_file())
    return sorted(path.read_bytes() for path in found)


def there(project: Project, mark: bytes) -> int:
    return sum(mark in content for content in project.stored().values())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


async def test_a_file_waits_here_while_storage_is_away_and_is_there_alone_then(
    data: Path, down: Project
) -> None:
    user = str(uuid4())
    async with a_store(data) as store:
        waiting = Waiting()
        _, (file,) = await sent(store, user, b"quokka waits")
        assert waiting.secs() < 1, "a call does not wait for Storage"
        # Its records are shipped, and it is not, however long one waits.
        async with asyncio.timeout(30):
            while await store.settle(timeout_secs=1.5) > 1:
                pass
        assert await store.settle(timeout_secs=0.1) == 1
        found = await store.files.find(file)
        assert found is not None
        assert found.path is not None
        assert found.path.read_bytes() == b"quokka waits"
    # The process is gone; what it kept is not.
    assert here(data) == [b"quokka waits"]
    down.files_down = False
    async with a_store(data) as store:
        assert await store.settle(timeout_secs=30) == 0
        assert here(data) == []
        assert there(down, b"quokka waits") == 1
        found = await store.files.find(file)
        assert found is not None
        assert found.link is not None
        async with httpx.AsyncClient() as client:
            got = await client.get(await linked(store, file))
        assert got.content == b"quokka waits"
        assert got.headers["content-type"] == "image/jpeg"
        gone = KeptFile.of(user, uuid4(), uuid4(), "image/png")
        assert await store.files.find(gone) is None


async def test_a_file_is_removed_wherever_it_is(data: Path, down: Project) -> None:
    """On its way to Storage, there, nowhere any more, and here."""
    user = str(uuid4())
    down.files_down = False
    async with a_store(data) as store:
        down.upload_came.clear()
        down.uploads_pass.clear()
        _, (file,) = await sent(store, user, b"ajolote")
        assert await asyncio.to_thread(down.upload_came.wait, 30)
        removing = asyncio.create_task(store.files.remove(file))
        await asyncio.sleep(0.1)
        assert not removing.done(), "what is on its way would be there after it was removed"
        down.uploads_pass.set()
        await removing
        assert (here(data), there(down, b"ajolote")) == ([], 0)

        _, (file,) = await sent(store, user, b"tlacuache")
        assert await store.settle(timeout_secs=30) == 0
        assert there(down, b"tlacuache") == 1
        for _ in range(2):
            await store.files.remove(file)
            assert there(down, b"tlacuache") == 0
        assert await store.files.find(file) is None

        down.files_down = True
        _, (file,) = await sent(store, user, b"ajolote")
        with pytest.raises(StorageError):
            await store.files.remove(file)
        assert here(data) == [], "also where it is not known whether Storage has it"


async def test_nobody_but_its_owner_reads_a_file_and_nobody_writes_one(
    data: Path, storage_project: Project
) -> None:
    owner, other = str(uuid4()), str(uuid4())
    async with a_store(data) as store:
        _, (file,) = await sent(store, owner, b"quokka of its owner")
        assert await store.settle(timeout_secs=30) == 0
    lite = storage_project.lite
    headers = {
        "owner": {"Authorization": f"Bearer {lite.access_token(owner)}"},
        "other": {"Authorization": f"Bearer {lite.access_token(other)}"},
        "anon": {},
    }
    outcomes: dict[str, list[bool]] = {}
    base = f"{storage_project.url}/storage/v1/object"
    async with httpx.AsyncClient(headers={"apikey": lite.publishable_key}) as client:
        for who, sent_headers in headers.items():
            in_bucket = f"sonora-files/{file.path}"
            read = await client.get(f"{base}/{in_bucket}", headers=sent_headers)
            link = await client.post(
                f"{base}/sign/{in_bucket}", headers=sent_headers, json={"expiresIn": 60}
            )
            listed = await client.post(
                f"{base}/list/sonora-files", headers=sent_headers, json={"prefix": owner}
            )
            written = await client.post(
                f"{base}/sonora-files/{owner}/new.png", headers=sent_headers, content=b"new"
            )
            removed = await client.request(
                "DELETE",
                f"{base}/sonora-files",
                headers=sent_headers,
                json={"prefixes": [file.path]},
            )
            outcomes[who] = [
                read.is_success,
                link.is_success,
                listed.is_success and bool(listed.json()),
                written.is_success,
                removed.is_success and bool(removed.json()),
            ]
    assert outcomes == {
        "owner": [True, True, True, False, False],
        "other": [False] * 5,
        "anon": [False] * 5,
    }
    assert there(storage_project, b"quokka of its owner") == 1


def test_a_conversations_files_go_with_it_and_a_persons_with_them(
    data: Path, storage_project: Project
) -> None:
    ana, eva = str(uuid4()), str(uuid4())
    marks = {ana: f"quokka-{ana}".encode(), eva: f"wombat-{eva}".encode()}

    async def talk() -> UUID:
        async with a_store(data) as store:
            first, _ = await sent(store, ana, marks[ana] + b" one")
            # More than a list gives, or a request removes, at a time.
            await sent(store, ana, *(marks[ana] + b" %d" % n for n in range(103)))
            await sent(store, eva, marks[eva])
            assert await store.settle(timeout_secs=60) == 0
            return first

    first = asyncio.run(talk())
    assert there(storage_project, marks[ana]) == 104
    deleted = run("conversations", "delete", str(first), "--yes")
    assert deleted.exit_code == 0, deleted.output
    assert there(storage_project, marks[ana]) == 103

    erased = run("users", "erase", ana, "--yes", "--json")
    assert erased.exit_code == 0, erased.output
    assert '"files": 103' in erased.output
    assert there(storage_project, marks[ana]) == 0
    assert there(storage_project, marks[eva]) == 1
    assert not any(marks[ana] in path.read_bytes() for path in data.rglob("*") if path.is_file())


async def test_a_file_that_no_message_names_is_removed_by_prune(
    data: Path, storage_project: Project
) -> None:
    user = str(uuid4())
    marks = {what: f"quokka-{what}-{user}".encode() for what in ("named", "unnamed", "gone")}
    api = await SupabaseApi.connect(load_settings())
    async with a_store(data) as store:
        conversation_id, (file,) = await sent(store, user, marks["named"])
        # Its call was killed before it recorded the message, or a row was removed by hand.
        for what, place in (("unnamed", conversation_id), ("gone", uuid7())):
            left = KeptFile.of(user, place, uuid7(), "image/jpeg")
            await Bucket(api).upload(left, marks[what])
        assert await store.settle(timeout_secs=30) == 0
        assert await remove_unnamed(api, None) == 0, "it may be on its way"
        assert await remove_unnamed(api, None, left_for=timedelta(seconds=-1)) >= 2
        assert await store.files.find(file) is not None
    await api.aclose()
    assert [there(storage_project, mark) for mark in marks.values()] == [1, 0, 0]
    pruned = await asyncio.to_thread(
        run, "conversations", "prune", "--older-than", "400", "--yes", "--json"
    )
    assert json.loads(pruned.output) == {"deleted": 0, "files_without_message": 0}


async def test_doctor_says_how_the_bucket_is(data: Path, storage_project: Project) -> None:
    settings = load_settings()
    before = storage_project.stored()
    state, found, _ = await examine_bucket(settings) or ("", "", "")
    assert (state, "can be written" in str(found)) == ("ok", True)
    assert storage_project.stored() == before
    api = await SupabaseApi.connect(settings)
    try:
        await api.ask(lambda c: c.storage.update_bucket("sonora-files", {"public": True}))
        state, found, advice = await examine_bucket(settings) or ("", "", "")
    finally:
        await api.ask(lambda c: c.storage.update_bucket("sonora-files", {"public": False}))
        await api.aclose()
    assert (state, "public" in str(found), "private" in str(advice)) == ("problem", True, True)


def test_without_storage_nothing_is_erased_and_sync_ships_what_waits(
    data: Path, down: Project
) -> None:
    user = str(uuid4())
    mark = f"quokka-{user}".encode()

    async def talk() -> None:
        async with a_store(data) as store:
            await sent(store, user, mark)
            await store.settle(timeout_secs=1)

    asyncio.run(talk())
    failed = run("users", "erase", user, "--yes")
    assert failed.exit_code == 1, failed.output
    assert here(data) == [mark]
    failed = run("sync")
    assert failed.exit_code == 1, failed.output
    assert here(data) == [mark]

    down.files_down = False
    shipped = run("sync")
    assert shipped.exit_code == 0, shipped.output
    assert (here(data), there(down, mark)) == ([], 1)


async def test_a_file_that_storage_refuses_stays_and_holds_up_no_other(
    data: Path, down: Project
) -> None:
    user = str(uuid4())
    down.files_down = False
    down.too_large = 2_000
    async with a_store(data) as store:
        _, (large, small) = await sent(store, user, b"L" * 4_000, b"small")
        assert await store.settle(timeout_secs=30) == 0
        assert here(data) == [b"L" * 4_000]
        found = [await store.files.find(file) for file in (large, small)]
    paths = [each and each.path for each in found]
    assert [path and path.name for path in paths] == [f"{large.id}.jpg", None]


async def test_a_project_without_the_bucket_keeps_files_here_and_erases_the_rest(
    data: Path, lite: Lite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", lite.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", lite.secret_key)
    api = await SupabaseApi.connect(load_settings())
    try:
        bucket = Bucket(api)
        assert not await bucket.exists()
        assert await bucket.of_person("ana", [uuid7()]) == ()
        with pytest.raises(Exception, match="no bucket"):
            await bucket.upload(KeptFile.of("ana", uuid7(), uuid7(), "image/jpeg"), b"quokka")
    finally:
        await api.aclose()
    async with a_store(data) as store:
        # The file is looked at before its conversation is there.
        await sent(store, "ana", b"quokka", recorded_after_secs=0.3)
        began = time.monotonic()
        assert await store.settle(timeout_secs=20) == 1
        # A later call does not wait for what cannot be shipped.
        assert await store.settle(timeout_secs=20) == 1
        assert time.monotonic() - began < 15
    assert here(data) == [b"quokka"]


def test_other_applications_policies_open_nothing_of_it(database: Database) -> None:
    with database.connect() as connection:
        run_script(connection, STORAGE_SQL)
    database.migrate()
    database.migrate([FILES_SQL])
    ana, eva = uuid4(), uuid4()
    with database.connect() as connection:
        run_script(
            connection,
            f"""
            create policy theirs on storage.objects for all to anon, authenticated
                using (true) with check (true);
            insert into storage.buckets values ('theirs', 'theirs', true);
            insert into storage.objects (bucket_id, name) values
                ('sonora-files', '{ana}/c/a.jpg'), ('sonora-files', '{eva}/c/b.jpg'),
                ('theirs', 'x');
            """,
        )
        public = "select public from storage.buckets where id = 'sonora-files'"
        assert scalar(connection, public) is False
    seen = "select count(*) from storage.objects where bucket_id = 'sonora-files'"
    others = "select count(*) from storage.objects where bucket_id = 'theirs'"
    for role, user, expected in (
        ("authenticated", ana, 1),
        ("authenticated", uuid4(), 0),
        ("anon", None, 0),
    ):
        with database.acting_as(role, user) as connection:
            assert scalar(connection, seen) == expected
            assert scalar(connection, others) == 1
            changed = connection.execute(
                b"update storage.objects set name = 'stolen' where bucket_id = 'sonora-files'"
            )
            removed = connection.execute(
                b"delete from storage.objects where bucket_id = 'sonora-files'"
            )
            assert (changed.rowcount, removed.rowcount) == (0, 0)

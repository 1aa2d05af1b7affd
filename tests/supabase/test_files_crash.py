"""A bot that is killed while it keeps files and ships them to Storage, again and again."""

import asyncio
import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sonora_app.files.attachment import Attachment, AttachmentKind
from sonora_app.files.keeper import StoreKeeper
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, Message, utc_now, uuid7
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.storage import Project

pytestmark = pytest.mark.supabase

LIVES = 5
HANGS_SECS = 60.0
SIZE = 200_000
"""Large enough that an upload takes a while."""


async def opened(path: Path, url: str, key: str) -> MirroredStore:
    values: dict[str, Any] = {"supabase_url": url, "supabase_key": key}
    journal = await Journal.connect(path, outbox=True)
    api = await SupabaseApi.connect(Settings(_env_file=None, **values))
    return MirroredStore(journal, api, keep=None)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bot(path: Path, url: str, key: str, user: str, told: Connection) -> None:
    """Keep files and ship them until killed. Tells of each that it is kept, and what it is."""

    async def run() -> None:
        store = await opened(path, url, key)
        keeper = StoreKeeper(store.files)
        conversation_id, now = uuid7(), utc_now()
        first = Conversation(id=conversation_id, user_id=user, created_at=now, updated_at=now)
        await store.write([first])
        for seq in range(1, 1_000):
            content = os.urandom(SIZE)
            one = Attachment(AttachmentKind.PICTURE, "image/jpeg", "un gato.jpg", content)
            message = Message(
                id=uuid7(),
                conversation_id=conversation_id,
                seq=seq,
                role="user",
                images=[keeper.entry(one, conversation_id, user)],
                created_at=utc_now(),
            )
            await store.write([message])
            await keeper.keep(one, conversation_id, user)
            # Few enough bytes for a pipe to take them all or none, whenever the bot is killed.
            told.send((one.id, digest(content)))

    asyncio.run(run())


def live_and_die(
    path: Path, project: Project, user: str, files: int, more_secs: float
) -> dict[UUID, str]:
    """One life of the bot. Gives what it said was kept.

    Args:
        path: Its journal.
        project: Where it ships to.
        user: Whose files it keeps.
        files: Of how many it has told when its end comes.
        more_secs: How much later it comes, in seconds.
    """
    context = multiprocessing.get_context("forkserver")
    listening, telling = context.Pipe(duplex=False)
    given = (path, project.url, project.lite.secret_key, user, telling)
    process = context.Process(target=bot, args=given)
    process.start()
    telling.close()
    kept: dict[UUID, str] = {}
    try:
        while len(kept) < files:
            assert listening.poll(HANGS_SECS)
            kept |= [listening.recv()]
        time.sleep(more_secs)
    finally:
        process.kill()
        process.join()
    with contextlib.suppress(EOFError):
        while True:
            kept |= [listening.recv()]
    assert process.exitcode == -signal.SIGKILL
    return kept


async def test_killed_between_keeping_and_shipping_it_loses_no_file_and_doubles_none(
    tmp_path: Path, storage_project: Project
) -> None:
    preloaded = ["tests.supabase.test_files_crash", "supabase"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(preloaded)
    numbers = random.Random(5)
    user, path = str(uuid4()), tmp_path / "data" / "journal.db"
    kept: dict[UUID, str] = {}
    for _ in range(LIVES):
        # A file takes some hundredths of a second: the end falls anywhere in one.
        files, more_secs = numbers.randrange(2, 12), numbers.uniform(0, 0.05)
        kept |= await asyncio.to_thread(live_and_die, path, storage_project, user, files, more_secs)
    assert len(kept) > LIVES

    store = await opened(path, storage_project.url, storage_project.lite.secret_key)
    try:
        assert await store.settle(timeout_secs=60) == 0
    finally:
        await store.aclose()
    there = [
        (UUID(Path(name).stem), digest(content))
        for name, content in storage_project.stored().items()
        if f"/{user}/" in name
    ]
    assert len(there) == len(dict(there)), "one is there twice"
    assert kept.items() <= dict(there).items()
    # Of each life, one more may have been kept that it had no time to tell of.
    assert len(there) <= len(kept) + LIVES
    assert not [each for each in (path.parent / "files").rglob("*.jpg") if each.is_file()]

"""What is remembered of people in Supabase: shipped, read, corrected, deleted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from supabase import AsyncClient

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.known import joined_known
from sonora_app.storage.memory_changes import Wanted
from sonora_app.storage.records import (
    Conversation,
    Memory,
    MemoryChoice,
    MemoryUpdate,
    utc_now,
    uuid7,
)
from sonora_app.storage.similar_words import telling_words
from sonora_app.storage.store import Known, Recall
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.memory_news import read_news
from sonora_app.storage.supabase.rows import to_memory
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite, running_lite
from tests.supabase.proxy import HEALTHY, STALLED, FaultProxy
from tests.supabase.schema import migrations
from tests.supabase.test_shipper_faults import connected

pytestmark = pytest.mark.supabase

FIFTY = Recall(limit=50)
OLDER = """
    create table public.user_memory (user_id {type}, key text, value {value});
    create table public.shared_memory (key text, value text);
    insert into public.user_memory values
        ('{ana}', 'ciudad', '"Lima"'), ('{ana}', 'perro', '"Toby"'), ('{eva}', 'ciudad', '"Quito"');
    insert into public.shared_memory values ('horario', 'de 9 a 18');
"""
ANA, EVA = str(uuid4()), str(uuid4())


@dataclass
class Machine:
    """A bot's store, behind a network that can fail, and the project as it is."""

    store: MirroredStore
    journal: Journal
    proxy: FaultProxy
    project: SupabaseApi

    @property
    def client(self) -> AsyncClient:
        return self.project._client

    async def settled(self) -> None:
        self.proxy.always(HEALTHY)
        async with asyncio.timeout(30):
            while await self.store.settle(timeout_secs=5):
                await asyncio.sleep(0.1)

    async def told(self, user: str, recall: Recall = FIFTY) -> list[str]:
        found = await self.store.look_up(None, user, message_limit=0, recall=recall)
        assert (await self.store.known(user, recall)).memories == found.known.memories
        return contents(found.known)

    async def rows(self, table: str, user: str) -> list[dict[str, Any]]:
        answer = await self.client.table(table).select("*").eq("user_id", user).execute()
        return cast(list[dict[str, Any]], answer.data)


@asynccontextmanager
async def machine_at(lite: Lite, folder: Path) -> AsyncGenerator[Machine]:
    journal = await Journal.connect(folder / f"{uuid4()}.db", outbox=True)
    async with (
        FaultProxy(lite.url) as proxy,
        connected(proxy.url, lite, 3) as api,
        connected(lite.url, lite) as project,
    ):
        store = MirroredStore(journal, api, keep=None)
        yield Machine(store, journal, proxy, project)
        await store.aclose()


@pytest.fixture
async def machine(lite: Lite, tmp_path: Path) -> AsyncGenerator[Machine]:
    async with machine_at(lite, tmp_path) as made:
        yield made


def contents(known: Known) -> list[str]:
    return [memory.content for memory in known.memories]


def memory(user: str, content: str, **fields: Any) -> Memory:
    return Memory(
        **{"id": uuid7(), "user_id": user, "content": content, "created_at": utc_now(), **fields}
    )


def forgotten(memory_id: UUID, user: str) -> MemoryUpdate:
    return MemoryUpdate(id=memory_id, user_id=user, forgotten_at=utc_now())


async def test_what_is_shipped_is_what_is_read(machine: Machine):
    user = f"ana-{uuid4()}"
    first = memory(user, "Vive en Lima.", source_message_id=uuid7(), conversation_id=uuid7())
    second = memory(user, "Tiene un examen.", valid_until=utc_now() + timedelta(days=1))
    choice = MemoryChoice(id=uuid7(), user_id=user, remembers=True, created_at=utc_now())
    await machine.store.write([first, second, choice])
    await machine.settled()
    there = await machine.project.known(user, FIFTY)
    assert there.memories == (second, first)
    assert (there.remembers, there.chosen_at) == (True, choice.created_at)
    # The same entries again, as where their answer was lost.
    before = await machine.rows("memories", user)
    entries = [
        Entry(1, record.table, record.id, "insert", None, None, record.model_dump(mode="json"))
        for record in (first, second, choice)
    ]
    assert await machine.project.apply(entries) == (None, None, None)
    assert await machine.rows("memories", user) == before
    # Another machine, with nothing in its journal, reads the same.
    assert (await machine.project.look_up(None, user, message_limit=0, recall=FIFTY)).known == there
    assert (await machine.project.look_up(None, user, message_limit=0)).known == Known()


async def test_an_end_is_applied_once_and_in_any_order(machine: Machine):
    user = f"ana-{uuid4()}"
    lima, quito, secret = (memory(user, each) for each in ("Lima.", "Quito.", "Es diabética."))
    now = utc_now()
    moved = MemoryUpdate(id=lima.id, user_id=user, replaced_by=quito.id, valid_until=now)
    await machine.store.write([lima, quito, secret, moved, forgotten(secret.id, user)])
    await machine.settled()
    assert await machine.told(user) == ["Quito."]
    later = moved.model_copy(
        update={"valid_until": now + timedelta(days=1), "replaced_by": uuid7()}
    )
    entry = Entry(1, "memories", lima.id, "update", None, None, later.model_dump(mode="json"))
    assert await machine.project.apply([entry, entry]) == (None, None)
    row = {each["id"]: each for each in await machine.rows("memories", user)}
    assert row[str(lima.id)]["replaced_by"] == str(quito.id)
    assert to_memory(row[str(lima.id)]).valid_until == now
    assert row[str(secret.id)]["content"] == ""
    assert row[str(secret.id)]["forgotten_at"] is not None
    past = await machine.told(user, Recall(limit=50, past=True))
    assert sorted(past) == ["Lima.", "Quito."]


async def test_what_sums_up_a_talk_goes_with_a_fact_of_it_that_is_forgotten(
    machine: Machine, lite: Lite
):
    user, now = str(uuid4()), utc_now()
    talks = [
        Conversation(
            id=uuid7(),
            user_id=owner,
            title="Salud",
            summary="Es diabética.",
            metadata={"topics": ["salud"], "user_name": "Ana"},
            created_at=now,
            updated_at=now,
        )
        for owner in (user, user, user, EVA)
    ]
    facts = [memory(user, "Es diabética.", conversation_id=talk.id) for talk in talks]
    corrected = MemoryUpdate(
        id=facts[1].id, user_id=user, replaced_by=facts[0].id, forgotten_at=now
    )
    await machine.store.write([*talks, *facts])
    await machine.settled()
    ends = [forgotten(facts[0].id, user), corrected, forgotten(facts[3].id, user)]
    await machine.store.write(ends)
    await machine.settled()
    headers = {
        "apikey": lite.publishable_key,
        "Authorization": f"Bearer {lite.access_token(user)}",
    }
    async with httpx.AsyncClient(base_url=f"{lite.url}/rest/v1", headers=headers) as own:
        (await own.delete(f"/memories?id=eq.{facts[2].id}")).raise_for_status()
    rows = [*await machine.rows("conversations", user), *await machine.rows("conversations", EVA)]
    kept = {row["id"]: (row["title"], row["summary"], row["metadata"]) for row in rows}
    bare, whole = (None, None, {"user_name": "Ana"}), ("Salud", "Es diabética.", talks[0].metadata)
    # Forgotten, corrected, deleted by its owner; and the last is somebody else's talk.
    assert [kept[str(talk.id)] for talk in talks] == [bare, whole, bare, whole]


async def test_what_supabase_has_not_got_yet_counts_too(machine: Machine):
    user = f"ana-{uuid4()}"
    lima, perro = memory(user, "Vive en Lima."), memory(user, "Tiene un perro.")
    await machine.store.write([lima, perro])
    await machine.settled()
    machine.proxy.always(STALLED)
    gato = memory(user, "Tiene un gato.")
    off = MemoryChoice(id=uuid7(), user_id=user, remembers=False, created_at=utc_now())
    await machine.store.write([gato, forgotten(perro.id, user), off])
    found = await machine.store.look_up(
        None, user, message_limit=0, recall=FIFTY, deadline_secs=0.2
    )
    assert contents(found.known) == ["Tiene un gato.", "Vive en Lima."]
    assert found.known.remembers is False
    # Reading works again, and shipping has not caught up.
    here = await machine.journal.known(user, FIFTY)
    there = await machine.project.known(user, FIFTY)
    assert contents(there) == ["Tiene un perro.", "Vive en Lima."]
    joined = joined_known(here, there, FIFTY)
    assert contents(joined) == ["Tiene un gato.", "Vive en Lima."]
    assert joined.remembers is False
    await machine.settled()
    assert await machine.told(user) == ["Tiene un gato.", "Vive en Lima."]


async def test_what_another_machine_writes_is_noticed(machine: Machine):
    user, long_ago, now = f"user-{uuid4()}", utc_now() - timedelta(days=9), utc_now()
    lima, toby = (
        memory(user, each, created_at=long_ago) for each in ("Vive en Lima.", "Su perro es Tobi.")
    )
    right, cat = memory(user, "Su perro es Toby.", created_at=long_ago), memory(user, "Un gato.")
    choice = MemoryChoice(id=uuid7(), user_id=user, remembers=False, created_at=now)
    ends = [
        forgotten(lima.id, user),
        forgotten(toby.id, user).model_copy(update={"replaced_by": right.id}),
    ]
    old = memory(user, "Vive en Quito.", created_at=long_ago)
    await machine.store.write([lima, toby, right, cat, choice, old, *ends])
    await machine.settled()
    wanted = Wanted(user, [lima.id, toby.id], now - timedelta(minutes=1))
    found = await read_news(machine.project, wanted)
    assert sorted(found, key=repr) == sorted([right, cat, choice, *ends], key=repr)


async def test_its_owner_corrects_and_deletes_it_there(machine: Machine, lite: Lite):
    user = str(uuid4())
    lima, perro, gato = (memory(user, each) for each in ("Lima", "perro", "gato"))
    await machine.store.write([lima, perro, gato])
    await machine.settled()
    own = httpx.AsyncClient(
        base_url=f"{lite.url}/rest/v1",
        headers={
            "apikey": lite.publishable_key,
            "Authorization": f"Bearer {lite.access_token(user)}",
        },
    )
    async with own:
        changed = await own.patch(f"/memories?id=eq.{lima.id}", json={"content": "Quito"})
        assert changed.is_success, changed.text
        deleted = await own.delete(f"/memories?id=eq.{perro.id}")
        assert deleted.is_success, deleted.text
        chosen = await own.post("/memory_choices", json={"user_id": user, "remembers": False})
        assert chosen.is_success, chosen.text
    # The journal has the old ones still, and does not bring them back.
    assert set(contents(await machine.journal.known(user, FIFTY))) == {"Lima", "perro", "gato"}
    assert await machine.told(user) == ["gato", "Quito"]
    assert (await machine.store.known(user, FIFTY)).remembers is False


async def test_the_best_of_many_are_found_by_words(machine: Machine):
    user = f"ana-{uuid4()}"
    nuts = memory(user, "Es ALÉRGICA a las nueces.")
    await machine.store.write([nuts, *(memory(user, f"Canta la canción {n}.") for n in range(80))])
    await machine.settled()
    recall = Recall(limit=5, words=telling_words("¿qué hay de mi alergia y de la canción 7?"))
    found = await machine.project.known(user, recall)
    assert len(found.memories) == 5
    assert (
        nuts
        in (
            await machine.project.known(user, Recall(limit=5, words=telling_words("mi alergia")))
        ).memories
    )


@pytest.mark.parametrize(("kind", "value"), [("text", "text"), ("uuid", "jsonb")])
async def test_the_older_tables_are_read_and_can_be_erased(tmp_path: Path, kind: str, value: str):
    older = tmp_path / "20261101000000_older.sql"
    older.write_text(OLDER.format(type=kind, value=value, ana=ANA, eva=EVA))
    with running_lite([older, *migrations()]) as server:
        async with machine_at(server, tmp_path) as machine:
            read = (await machine.store.known(ANA, FIFTY)).memories
            texts = [each.content.replace('"', "") for each in read]
            assert sorted(texts) == ["ciudad: Lima", "perro: Toby"]
            assert {each.user_id for each in read} == {ANA}
            assert (await machine.store.known(ANA, FIFTY)).shared == ()
            shared = await machine.store.known(ANA, Recall(limit=50, shared=True))
            assert shared.shared == ("horario: de 9 a 18",)
            for each in read:
                one = await machine.store.known(ANA, Recall(limit=1, past=True, id=each.id))
                assert one.memories == (each,)
            # Corrected: what is new is ours, and the older row goes.
            new = memory(ANA, "Vive en Cusco.")
            end = MemoryUpdate(
                id=read[texts.index("ciudad: Lima")].id,
                user_id=ANA,
                replaced_by=new.id,
                forgotten_at=utc_now(),
            )
            await machine.store.write([new, end])
            # Another's is out of reach.
            (evas,) = (await machine.store.known(EVA, FIFTY)).memories
            await machine.store.write([forgotten(evas.id, ANA)])
            await machine.settled()
            kept = await machine.rows("user_memory", ANA)
            assert [row["key"] for row in kept] == ["perro"]
            assert len(await machine.rows("user_memory", EVA)) == 1
            told = await machine.told(ANA)
            assert [each.replace('"', "") for each in told] == ["Vive en Cusco.", "perro: Toby"]


async def test_tables_of_another_purpose_are_passed_over(tmp_path: Path):
    older = tmp_path / "20261101000000_older.sql"
    older.write_text(
        "create table public.user_memory (id int);create table public.shared_memory (id int);"
    )
    with running_lite([older, *migrations()]) as server:
        async with machine_at(server, tmp_path) as machine:
            mine = memory(ANA, "Vive en Lima.")
            await machine.store.write([mine, forgotten(uuid7(), ANA)])
            await machine.settled()
            known = await machine.store.known(ANA, Recall(limit=50, shared=True))
            assert (known.memories, known.shared) == ((mine,), ())

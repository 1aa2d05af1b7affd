"""What is said where the owner could not be read: held apart, then put in its place."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest, open_conversation
from sonora_app.errors import ConversationRefusedError
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, Message, Role, utc_now, uuid7
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite
from tests.supabase.proxy import HEALTHY, STALLED, FaultProxy
from tests.supabase.test_shipper_faults import connected

pytestmark = pytest.mark.supabase

SETTINGS = Settings.model_validate({"ENV": "local", "SONORA_HISTORY_SECS": 0.2})


@dataclass
class Machine:
    """A bot's store, behind a network that can fail, and the project as it is."""

    store: MirroredStore
    journal: Journal
    proxy: FaultProxy
    project: SupabaseApi

    async def opened(self, conversation_id: UUID, user_id: str) -> OpenedConversation:
        return open_conversation(
            OpeningRequest(conversation_id, user_id),
            await self.store.look_up(
                conversation_id,
                user_id,
                message_limit=40,
                deadline_secs=SETTINGS.history_secs,
            ),
            settings=SETTINGS,
            transport="test",
            app_version="1",
        )

    async def said(self, opened: OpenedConversation, *texts: str) -> None:
        """Hold a call that says `texts`, until it is in the journal."""
        recorder = self.store.recorder(
            opened, on_written=lambda record: None, on_health=lambda health, pending: None
        )
        for text in texts:
            recorder.message(Role.USER, text, node="conversation")
        recorder.transition("greeting", "conversation", trigger="t", arguments={})
        recorder.describe(title=f"about {texts[-1]}", topics=["a"], outcome="resolved")
        assert await recorder.aclose(timeout_secs=5) == 0

    async def settled(self) -> None:
        """Let Supabase answer again, and wait until all is there."""
        self.proxy.always(HEALTHY)
        async with asyncio.timeout(30):
            while await self.store.settle(timeout_secs=5):
                await asyncio.sleep(0.1)

    async def in_project(self, conversation_id: UUID) -> Transcript | None:
        return await self.project.transcript(conversation_id)

    async def texts_in_project(self, conversation_id: UUID) -> list[str | None]:
        transcript = await self.in_project(conversation_id)
        return [message.content for message in transcript.messages] if transcript else []


@pytest.fixture
async def machine(lite: Lite, tmp_path: Path) -> AsyncGenerator[Machine]:
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    async with (
        FaultProxy(lite.url) as proxy,
        connected(proxy.url, lite, 0.5) as api,
        connected(lite.url, lite) as project,
    ):
        store = MirroredStore(journal, api, keep=None)
        yield Machine(store, journal, proxy, project)
        await store.aclose()


async def there_already(lite: Lite, user_id: str | None, *texts: str) -> UUID:
    """A conversation that another machine, or the text-chat API, left in Supabase."""
    now = utc_now()
    conversation = Conversation(id=uuid7(), user_id=user_id, created_at=now, updated_at=now)
    async with connected(lite.url, lite) as api:
        client = api._client
        await client.table("conversations").insert(conversation.model_dump(mode="json")).execute()
        for text in texts:
            message = Message(
                id=uuid7(),
                conversation_id=conversation.id,
                role="user",
                content=text,
                created_at=utc_now(),
            )
            row = message.model_dump(mode="json", exclude_none=True)
            await client.table("messages").insert(row).execute()
    return conversation.id


async def test_it_joins_the_conversation_of_its_own_user(machine: Machine, lite: Lite) -> None:
    ana = f"ana-{uuid4()}"
    asked_for = await there_already(lite, ana, "antes")
    machine.proxy.always(STALLED)
    opened = await machine.opened(asked_for, ana)
    assert (opened.asked_for, opened.complete, opened.resumed) == (asked_for, False, False)
    await machine.said(opened, "uno", "dos")
    # Held apart: nothing of the conversation that was asked for is written here.
    assert await machine.journal.transcript(asked_for) is None

    # The same user calls again before it can be told, and is remembered.
    again = await machine.opened(asked_for, ana)
    assert [each["content"] for each in again.history] == ["uno", "dos"]
    # Its own call has not ended, so that more of it may come.
    assert again.last_message_seq > 2
    await machine.said(again, "tres")

    await machine.settled()
    assert await machine.texts_in_project(asked_for) == ["antes", "uno", "dos", "tres"]
    assert await machine.in_project(opened.conversation_id) is None
    assert await machine.journal.transcript(opened.conversation_id) is None
    kept = await machine.in_project(asked_for)
    here = await machine.journal.transcript(asked_for)
    assert kept is not None
    assert here is not None
    assert kept.conversation.title == here.conversation.title == "about tres"
    assert kept.conversation.user_id == ana
    assert len(kept.sessions) == len(here.sessions) == 2
    assert kept.transitions == here.transitions
    listing = next(
        one for one in await machine.journal.conversations() if one.conversation.id == asked_for
    )
    assert listing.messages == 3

    # A call goes on under the id that it began with; what it says ends up in the same place.
    await machine.said(again, "cuatro")
    await machine.settled()
    assert (await machine.texts_in_project(asked_for))[-1] == "cuatro"


@pytest.mark.parametrize("owner", ["berta", None])
async def test_it_stays_apart_from_a_conversation_that_is_not_the_users(
    machine: Machine, lite: Lite, owner: str | None
) -> None:
    thief = f"thief-{uuid4()}"
    asked_for = await there_already(lite, owner, "secreto")
    machine.proxy.always(STALLED)
    opened = await machine.opened(asked_for, thief)
    assert opened.history == ()
    await machine.said(opened, "hola")
    await machine.settled()
    assert await machine.texts_in_project(asked_for) == ["secreto"]
    assert await machine.texts_in_project(opened.conversation_id) == ["hola"]
    kept = await machine.in_project(opened.conversation_id)
    assert kept is not None
    assert kept.conversation.user_id == thief
    assert (await machine.journal.outbox.counts()).set_aside == 0
    # Nor is any of it given away once there is no answer again.
    machine.proxy.always(STALLED)
    later = await machine.opened(asked_for, thief)
    assert (later.history, later.resumed) == ((), False)


async def test_it_stays_apart_from_one_that_its_user_deleted(machine: Machine, lite: Lite) -> None:
    asked_for = await there_already(lite, "ana", "antes")
    client = machine.project._client
    deleted = {"deleted_at": utc_now().isoformat()}
    await client.table("conversations").update(deleted).eq("id", str(asked_for)).execute()
    machine.proxy.always(STALLED)
    opened = await machine.opened(asked_for, "ana")
    await machine.said(opened, "después")
    await machine.settled()
    assert await machine.texts_in_project(asked_for) == ["antes"]
    assert await machine.texts_in_project(opened.conversation_id) == ["después"]


async def test_it_becomes_a_conversation_that_there_is_not(machine: Machine) -> None:
    asked_for = uuid7()
    machine.proxy.always(STALLED)
    opened = await machine.opened(asked_for, "ana")
    await machine.said(opened, "hola")
    await machine.settled()
    assert await machine.texts_in_project(asked_for) == ["hola"]
    kept = await machine.in_project(asked_for)
    assert kept is not None
    assert kept.conversation.user_id == "ana"
    with pytest.raises(ConversationRefusedError):
        await machine.opened(asked_for, "berta")


async def test_what_waits_for_its_place_holds_up_nothing_else(machine: Machine, lite: Lite) -> None:
    """While one conversation's place is unknown, a server that answers gets all the others."""
    machine.proxy.always(STALLED)
    opened = await machine.opened(await there_already(lite, "ana"), "ana")
    await machine.said(opened, "hola")
    fresh = open_conversation(
        OpeningRequest(None, "berta"),
        await machine.journal.look_up(None, "berta", message_limit=0),
        settings=SETTINGS,
        transport="test",
        app_version="1",
    )
    await machine.said(fresh, "buenas")
    await machine.settled()
    assert await machine.texts_in_project(fresh.conversation_id) == ["buenas"]


async def test_the_owner_is_whom_supabase_names(machine: Machine, lite: Lite) -> None:
    """Also where the journal knows it as another's: an account was merged into another."""
    conversation_id = await there_already(lite, "anonymous", "antes")
    await machine.said(await machine.opened(conversation_id, "anonymous"), "uno")
    await machine.settled()
    client = machine.project._client
    renamed = {"user_id": "ana"}
    await client.table("conversations").update(renamed).eq("id", str(conversation_id)).execute()
    await machine.said(await machine.opened(conversation_id, "ana"), "dos")
    await machine.settled()
    assert await machine.texts_in_project(conversation_id) == ["antes", "uno", "dos"]
    assert (await machine.journal.outbox.counts()).set_aside == 0
    machine.proxy.always(STALLED)
    with pytest.raises(ConversationRefusedError):
        await machine.opened(conversation_id, "anonymous")

"""Opening a call's conversation: whose word counts, how often it may be tried, and once only."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from simulators.clients.auth_server import Clock, Fetch, Issuer
from simulators.clients.logged import logged
from sonora_app.actions.opener import MAX_REFUSALS, Opener
from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest, open_conversation
from sonora_app.errors import SonoraError, StorageError, TokenRefusedError
from sonora_app.flow.lines import Lines
from sonora_app.identity.access_tokens import TokenVerifier
from sonora_app.identity.signing_keys import SigningKeys
from sonora_app.page.protocol import SetConversationId
from sonora_app.settings import Identity, Language, Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.prefetch import Reading
from sonora_app.storage.records import Conversation, EndReason, utc_now

pytestmark = pytest.mark.unit

ANA, BERTA = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def journal(tmp_path: Path) -> Any:
    journal = await Journal.connect(tmp_path / "journal.db")
    yield journal
    await journal.aclose()


def claim(**fields: Any) -> SetConversationId:
    return SetConversationId.model_validate(fields)


def settings_of(mode: Identity, **more: Any) -> Settings:
    return Settings.model_validate(
        {"ENV": "local", "SONORA_IDENTITY": mode, "SUPABASE_URL": "https://project.example", **more}
    )


class StubDriver:
    node = "waiting"

    def __init__(self) -> None:
        self.fired: list[tuple[str, str]] = []

    async def fire_if_possible(self, function: str, *, cause: str) -> bool:
        self.fired.append((function, cause))
        return True


class StubCall:
    """The parts of a call that opening uses, on a real journal."""

    def __init__(self, journal: Journal, mode: Identity) -> None:
        self.settings = settings_of(mode)
        self.reading = Reading(journal, self.settings)
        self.opened: OpenedConversation | None = None
        self.driver = StubDriver()
        self.only_takes_over = False
        self.page = SimpleNamespace(language="es")
        self.lines = Lines(Language.ES)
        self.sound = SimpleNamespace(on=False)
        self.requests: list[OpeningRequest] = []
        self.failing = False

    async def open(self, request: OpeningRequest, *, cause: str) -> OpenedConversation:
        self.requests.append(request)
        if self.failing:
            raise StorageError("The store cannot be read.")
        found = await self.reading.found(request.conversation_id, request.user_id)
        self.opened = open_conversation(
            request,
            found,
            settings=self.settings,
            transport="test",
            app_version="0",
        )
        return self.opened


class Door:
    """An opener, and what it is made of."""

    def __init__(
        self, journal: Journal, issuer: Issuer | None, start: SetConversationId | None = None
    ) -> None:
        mode = Identity.VERIFIED if issuer else Identity.CLAIMED
        self.call = StubCall(journal, mode)
        self.fetch = Fetch(issuer) if issuer else None
        self.clock = Clock()
        verifier = None
        if issuer and self.fetch:
            keys = SigningKeys(self.fetch, clock=self.clock)
            verifier = TokenVerifier(keys, issuer=issuer.auth_url, audience="authenticated")
        self.opener = Opener(self.call, start=start, verifier=verifier)  # type: ignore[arg-type]

    async def open(self, **fields: Any) -> Any:
        return await self.opener.open(claim(**fields), cause="message")

    async def code(self, **fields: Any) -> str:
        """The code that an attempt is refused with."""
        with pytest.raises(SonoraError) as refused:
            await self.open(**fields)
        return refused.value.code.value


async def test_the_token_goes_no_further_than_the_door(journal: Journal, issuer: Issuer) -> None:
    door = Door(journal, issuer)
    token = issuer.token(ANA)
    ready = await door.open(access_token=token)
    assert [request.user_id for request in door.call.requests] == [ANA]
    kept = [value for part in (door, door.opener, door.call) for value in vars(part).values()]
    assert not any(token in repr(value) or isinstance(value, SecretStr) for value in kept)
    assert door.call.opened is not None
    assert ready.conversation_id == door.call.opened.conversation_id


async def test_after_five_refusals_nothing_is_tried_any_more(
    journal: Journal, issuer: Issuer
) -> None:
    door = Door(journal, issuer)
    now = utc_now()
    theirs = Conversation(id=uuid4(), user_id=ANA, created_at=now, updated_at=now)
    await journal.write([theirs])
    bad = issuer.token(BERTA, lifetime_secs=-100)
    berta = issuer.token(BERTA)
    with logged() as log:
        codes = [await door.code(access_token=bad) for _ in range(2)]
        codes += [
            await door.code(access_token=berta, conversation_id=theirs.id)
            for _ in range(MAX_REFUSALS - 2)
        ]
    assert codes == ["token_refused"] * 2 + ["conversation_refused"] * 3
    requests = len(door.call.requests)
    assert await door.code(access_token=berta) == "too_many_attempts"
    assert len(door.call.requests) == requests
    assert door.call.opened is None
    assert not door.call.driver.fired, "the call waits on, until its waiting limit"
    assert sum("Refused to open a conversation" in line for line in log) == MAX_REFUSALS
    assert not any(secret in "".join(log) for secret in (ANA, BERTA, str(theirs.id), berta))


async def test_what_only_failed_is_no_attempt(journal: Journal, issuer: Issuer) -> None:
    door = Door(journal, issuer)
    assert door.fetch is not None
    token = issuer.token(ANA)
    door.fetch.failing = True
    for _ in range(MAX_REFUSALS + 1):
        assert await door.code(access_token=token) == "identity_unavailable"
    door.fetch.failing = False
    door.clock.now += 2
    door.call.failing = True
    for _ in range(MAX_REFUSALS + 1):
        assert await door.code(access_token=token) == "storage_unavailable"
    for _ in range(MAX_REFUSALS + 1):
        assert await door.code() == "token_required"
    door.call.failing = False
    assert (await door.open(access_token=token)).resumed is False


@pytest.mark.parametrize("secure", [False, True], ids=["claimed", "verified"])
async def test_what_the_start_request_says_beats_what_a_message_says(
    journal: Journal, issuer: Issuer, secure: bool
) -> None:
    named = uuid4()
    proof = {"access_token": issuer.token(ANA)} if secure else {}
    door = Door(
        journal,
        issuer if secure else None,
        claim(conversation_id=named, user_id=ANA, language="en", **proof),
    )
    assert await door.code(conversation_id=uuid4()) == "already_open"
    assert await door.code(user_id=BERTA) == "already_open"
    assert not door.call.requests
    # A message that comes before the request was acted on gets what the request names.
    ready = await door.open(access_token=issuer.token(BERTA) if secure else None)
    assert ready.conversation_id == named
    assert door.call.requests[0].user_id == ANA
    assert door.call.requests[0].language == "en"
    assert await door.opener.open_start() == ready
    assert len(door.call.requests) == 1


async def test_a_start_token_that_has_expired_gives_way_to_the_pages(
    journal: Journal, issuer: Issuer
) -> None:
    named = uuid4()
    start = claim(conversation_id=named, access_token=issuer.token(ANA, lifetime_secs=-100))
    door = Door(journal, issuer, start)
    with pytest.raises(TokenRefusedError):
        await door.opener.open_start()
    ready = await door.open(access_token=issuer.token(ANA))
    assert ready.conversation_id == named
    assert door.call.requests[0].user_id == ANA


async def test_a_repeated_claim_changes_nothing(journal: Journal, issuer: Issuer) -> None:
    door = Door(journal, issuer)
    ready = await door.open(access_token=issuer.token(ANA))
    for same in (
        {},
        {"conversation_id": ready.conversation_id, "user_id": ANA},
        {"access_token": issuer.token(ANA)},
        {"access_token": issuer.token(ANA, lifetime_secs=-5000, iat=None)},
    ):
        assert await door.open(**same) == ready
    for other in (
        {"conversation_id": uuid4()},
        {"user_id": BERTA},
        {"access_token": issuer.token(BERTA)},
        {"access_token": issuer.token(BERTA), "conversation_id": ready.conversation_id},
    ):
        assert await door.code(**other) == "already_open"
    assert await door.code(access_token="nonsense") == "token_refused"
    assert len(door.call.requests) == 1


async def test_two_claims_at_once_open_one_conversation(journal: Journal, issuer: Issuer) -> None:
    door = Door(journal, issuer)
    token = issuer.token(ANA)
    first, second = await asyncio.gather(*(door.open(access_token=token) for _ in range(2)))
    assert first == second
    assert len(door.call.requests) == 1


async def test_nobody_is_given_a_conversation_who_has_not_proven_who_they_are(
    journal: Journal, issuer: Issuer
) -> None:
    door = Door(journal, issuer)
    assert await door.opener.nobody_asked() is None
    assert door.call.driver.fired == [("give_up_waiting", EndReason.NO_CONVERSATION)]
    assert door.call.opened is None
    claimed = Door(journal, None)
    assert await claimed.opener.nobody_asked() is not None
    assert claimed.call.requests[0].user_id == "local"

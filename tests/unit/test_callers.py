"""Who may open which conversation."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from simulators.clients.auth_server import Fetch, Issuer, verifier_of
from simulators.clients.logged import logged
from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest, open_conversation
from sonora_app.errors import ConversationRefusedError, MessageError, SettingsError
from sonora_app.identity import callers as identity
from sonora_app.identity.callers import (
    establish_user,
    examine_identity,
    token_verifier,
    warn_of_claims,
)
from sonora_app.page.protocol import SetConversationId
from sonora_app.runtime.logging import REDACTED, redact
from sonora_app.settings import Identity, Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, utc_now, uuid7

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
ANA, BERTA = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def claim(**fields: Any) -> SetConversationId:
    return SetConversationId.model_validate(fields)


def settings_of(mode: Identity, **more: Any) -> Settings:
    return Settings.model_validate(
        {"ENV": "local", "SONORA_IDENTITY": mode, "SUPABASE_URL": "https://project.example", **more}
    )


# --- Users


async def test_claimed_takes_the_page_at_its_word() -> None:
    assert await establish_user(claim(user_id="ana"), None) == "ana"
    assert await establish_user(claim(user_id="ana", access_token="anything"), None) == "ana"
    with pytest.raises(MessageError) as refused:
        await establish_user(claim(access_token="anything"), None)
    assert refused.value.code == "user_required"


async def test_verified_takes_the_tokens(issuer: Issuer) -> None:
    verifier = verifier_of(issuer)
    token = issuer.token(ANA)
    assert await establish_user(claim(access_token=token), verifier) == ANA
    assert await establish_user(claim(access_token=token, user_id=ANA), verifier) == ANA
    with pytest.raises(MessageError) as refused:
        await establish_user(claim(user_id=ANA), verifier)
    assert refused.value.code == "token_required"


async def test_the_verifier_is_shared_and_only_there_when_asked_for() -> None:
    assert token_verifier(settings_of(Identity.CLAIMED)) is None
    verified = settings_of(Identity.VERIFIED)
    assert token_verifier(verified) is token_verifier(verified) is not None
    slashed = settings_of(Identity.VERIFIED, SUPABASE_URL=" https://project.example/ ")
    assert token_verifier(slashed) is token_verifier(verified)
    other = settings_of(Identity.VERIFIED, SUPABASE_JWT_AUDIENCE="sonora")
    assert token_verifier(other) is not token_verifier(verified)


def test_verified_without_a_project_starts_nothing() -> None:
    unset = settings_of(Identity.VERIFIED, SUPABASE_URL="")
    for refuse in (unset.check_deployable, lambda: token_verifier(unset)):
        with pytest.raises(SettingsError, match="SUPABASE_URL"):
            refuse()
    settings_of(Identity.VERIFIED).check_deployable()


def test_an_unproven_caller_is_waited_for_as_long_locally() -> None:
    assert settings_of(Identity.CLAIMED).waiting_limit_secs == 5
    assert settings_of(Identity.VERIFIED).waiting_limit_secs == 60


# --- Conversations


@pytest.fixture
async def journal(tmp_path: Path) -> Any:
    journal = await Journal.connect(tmp_path / "journal.db")
    yield journal
    await journal.aclose()


async def conversation_of(journal: Journal, user_id: str | None) -> Conversation:
    now = utc_now()
    conversation = Conversation(id=uuid7(), user_id=user_id, created_at=now, updated_at=now)
    await journal.write([conversation])
    return conversation


async def opened(
    journal: Journal, mode: Identity, user_id: str, conversation: Conversation | None
) -> OpenedConversation:
    asked_for = conversation and conversation.id
    return open_conversation(
        OpeningRequest(asked_for, user_id),
        await journal.look_up(asked_for, user_id, message_limit=40),
        settings=settings_of(mode),
        transport="test",
        app_version="0",
    )


@pytest.mark.parametrize("mode", Identity)
async def test_a_conversation_opens_for_its_owner_alone(journal: Journal, mode: Identity) -> None:
    theirs = await conversation_of(journal, ANA)
    assert (await opened(journal, mode, ANA, theirs)).resumed
    for other in (BERTA, ANA.upper(), ANA[:-1], "%", "local"):
        with pytest.raises(ConversationRefusedError):
            await opened(journal, mode, other, theirs)


async def test_one_without_an_owner_opens_for_who_holds_its_id_and_stays_without(
    journal: Journal,
) -> None:
    nobodys = await conversation_of(journal, None)
    for user in (ANA, BERTA):
        conversation = await opened(journal, Identity.CLAIMED, user, nobodys)
        assert conversation.resumed
        await journal.write(conversation.records)
    transcript = await journal.transcript(nobodys.id)
    assert transcript is not None
    assert transcript.conversation.user_id is None
    assert len(transcript.sessions) == 2


async def test_one_without_an_owner_opens_for_no_verified_user(journal: Journal) -> None:
    with pytest.raises(ConversationRefusedError):
        await opened(journal, Identity.VERIFIED, ANA, await conversation_of(journal, None))


@pytest.mark.parametrize("mode", Identity)
async def test_one_that_does_not_exist_is_made_for_this_user(
    journal: Journal, mode: Identity
) -> None:
    new = Conversation(id=uuid4(), user_id=None, created_at=utc_now(), updated_at=utc_now())
    await journal.write((await opened(journal, mode, ANA, new)).records)
    assert (await opened(journal, mode, ANA, new)).resumed
    with pytest.raises(ConversationRefusedError):
        await opened(journal, mode, BERTA, new)


async def test_all_refusals_are_in_the_same_words(journal: Journal, issuer: Issuer) -> None:
    verifier = verifier_of(issuer)
    words: set[tuple[str, str]] = set()
    theirs, nobodys = await conversation_of(journal, ANA), await conversation_of(journal, None)
    for conversation in (theirs, nobodys):
        with pytest.raises(ConversationRefusedError) as refused:
            await opened(journal, Identity.VERIFIED, BERTA, conversation)
        words.add((refused.value.code, str(refused.value)))
    # A user that is not the token's, whether the conversation exists or not.
    for conversation_id in (theirs.id, uuid4(), None):
        asked = claim(
            conversation_id=conversation_id, user_id=ANA, access_token=issuer.token(BERTA)
        )
        with pytest.raises(ConversationRefusedError) as refused:
            await establish_user(asked, verifier)
        words.add((refused.value.code, str(refused.value)))
    assert len(words) == 1
    assert not any(user in str(words) for user in (ANA, BERTA))


# --- Start-up, doctor, log


@pytest.mark.parametrize(
    ("env", "mode", "warned"),
    [
        ("production", Identity.CLAIMED, True),
        ("local", Identity.CLAIMED, False),
        ("production", Identity.VERIFIED, False),
    ],
)
def test_taking_strangers_at_their_word_is_warned_of(
    env: str, mode: Identity, warned: bool
) -> None:
    with logged() as log:
        warn_of_claims(settings_of(mode, ENV=env))
    assert any("SONORA_IDENTITY is claimed" in line for line in log) is warned


def test_a_deployment_that_starts_with_claimed_warns_and_redacts(tmp_path: Path) -> None:
    script = (
        "import bot; bot._warm_up.join(); from loguru import logger; "
        "logger.info('token ' + 'eyJ' + 'a' * 40 + '.b.c')"
    )
    ours = ("SONORA_", "SUPABASE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    keys = {f"{vendor}_API_KEY": "k" for vendor in ("DEEPGRAM", "OPENAI", "CARTESIA")}
    finished = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**kept, **keys, "ENV": "production", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "SONORA_IDENTITY is claimed" in finished.stderr
    assert f"token {REDACTED}\n" in finished.stderr


@pytest.mark.parametrize(
    ("settings_", "state", "words"),
    [
        (settings_of(Identity.CLAIMED), "ok", "at their word"),
        (settings_of(Identity.CLAIMED, ENV="production"), "note", "whoever knows"),
        (settings_of(Identity.VERIFIED, SUPABASE_URL=""), "problem", "SUPABASE_URL"),
    ],
)
async def test_the_doctor_tells_how_callers_are_checked(
    settings_: Settings, state: str, words: str
) -> None:
    found = await examine_identity(settings_)
    assert found[0] == state
    assert words in found[1]
    assert (found[2] == "") is (state == "ok")


@pytest.mark.parametrize(
    ("prepare", "state", "words"),
    [
        (lambda fetch: None, "ok", "ES256"),
        (lambda fetch: setattr(fetch, "failing", True), "problem", "cannot be fetched"),
        (lambda fetch: setattr(fetch, "answer", {"keys": []}), "problem", "shared secret"),
    ],
)
async def test_the_doctor_looks_at_the_projects_keys(
    monkeypatch: pytest.MonkeyPatch,
    issuer: Issuer,
    prepare: Callable[[Fetch], None],
    state: str,
    words: str,
) -> None:
    fetch = Fetch(issuer)
    prepare(fetch)
    monkeypatch.setattr(identity, "key_fetcher", lambda url: fetch)
    found = await examine_identity(settings_of(Identity.VERIFIED))
    assert found[0] == state
    assert words in found[1]


def test_tokens_and_keys_are_redacted_wherever_they_stand(issuer: Issuer) -> None:
    token = issuer.token(ANA)
    secret_key = "sb_secret_" + uuid4().hex
    text = f"{{'a': '{token}', 'b': \"{secret_key}\"}} {token[:60]} Bearer {token}, end"
    assert redact(text) == (
        f"{{'a': '{REDACTED}', 'b': \"{REDACTED}\"}} {REDACTED} Bearer {REDACTED}, end"
    )
    harmless = f"conversation {uuid4()} eyJ, sb_secret, a.b.c"
    assert redact(harmless) == harmless

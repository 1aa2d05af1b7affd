"""Why a call ended, and what it leaves its conversation as."""

from uuid import uuid4

import pytest

from sonora_app.call.beginning.opening import OpeningRequest, open_conversation
from sonora_app.call.end_reason import reason_of
from sonora_app.flow.driver import Move
from sonora_app.settings import Settings
from sonora_app.storage.records import Conversation, ConversationStatus, EndReason, utc_now
from sonora_app.storage.store import Found, Opening

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("wound_up_by", "reason"),
    [
        ("user_request", EndReason.USER_REQUEST),
        ("model", EndReason.GOODBYE),
        ("user_idle", EndReason.USER_IDLE),
    ],
)
def test_whoever_asked_to_end_has_not_gone_silent(wound_up_by: str, reason: EndReason) -> None:
    goodbye = Move("wrap_up", "farewell", "say_goodbye", "user_idle")

    assert reason_of(goodbye, wound_up_by) is reason


def test_what_else_leads_to_the_farewell_is_why() -> None:
    assert reason_of(Move("wrap_up", "farewell", "say_goodbye", "model"), "user_idle") == "goodbye"
    lost = Move("conversation", "farewell", "service_failed", "error")
    assert reason_of(lost, "user_request") is EndReason.ERROR


@pytest.mark.parametrize(
    ("stood", "reason", "left_as"),
    [
        ("completed", EndReason.CLIENT_LEFT, "completed"),
        ("failed", EndReason.SHUTDOWN, "failed"),
        ("active", EndReason.CLIENT_LEFT, "abandoned"),
        ("abandoned", EndReason.GOODBYE, "completed"),
        ("completed", EndReason.CRASHED, "failed"),
    ],
)
def test_a_conversation_that_one_only_looked_in_on_stays_as_it_was(
    stood: str, reason: EndReason, left_as: str
) -> None:
    now = utc_now()
    conversation = Conversation(
        id=uuid4(),
        user_id="ana",
        status=ConversationStatus(stood),
        created_at=now,
        updated_at=now,
    )
    opened = open_conversation(
        OpeningRequest(conversation.id, "ana"),
        Found(opening=Opening(conversation)),
        settings=Settings(_env_file=None),  # pyright: ignore[reportCallIssue]
        transport="webrtc",
        app_version="1",
    )

    assert opened.unchanged_by(reason) == left_as

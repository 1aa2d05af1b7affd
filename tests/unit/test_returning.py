"""When a person who comes back is put back where the talk broke off."""

from datetime import timedelta
from uuid import uuid4

import pytest

from sonora_app.call.beginning.returning import Return, place_of_return
from sonora_app.storage.positions import Position, Standing
from sonora_app.storage.records import Conversation, EndReason, utc_now
from sonora_app.storage.store import Opening

pytestmark = pytest.mark.unit

WITHIN_SECS = 120.0


def place(
    last_sign_secs_ago: float, end_reason: EndReason | None, *, made_way: bool
) -> Return | None:
    """Where somebody is put back whose last call gave its last sign so long ago."""
    sign_at = utc_now() - timedelta(seconds=last_sign_secs_ago)
    conversation = Conversation(id=uuid4(), user_id="ana", created_at=sign_at, updated_at=sign_at)
    position = Position(
        conversation_id=conversation.id, session_id=uuid4(), node="conversation", updated_at=sign_at
    )
    standing = Standing(position, sign_at if end_reason else None, end_reason)
    return place_of_return(
        Opening(conversation, standing=standing),
        ["conversation"],
        WITHIN_SECS,
        made_way=made_way,
    )


@pytest.mark.parametrize("end_reason", [EndReason.TAKEN_OVER, None])
def test_a_call_that_made_way_is_gone_on_with_whatever_its_clock_says(
    end_reason: EndReason | None,
) -> None:
    back = place(3_600, end_reason, made_way=True)

    assert back is not None
    assert back.node == "conversation"


@pytest.mark.parametrize(
    ("secs_ago", "end_reason", "made_way"),
    [(3_600, EndReason.TAKEN_OVER, False), (3_600, EndReason.CRASHED, True)],
)
def test_what_broke_off_long_ago_is_begun_anew(
    secs_ago: float, end_reason: EndReason, made_way: bool
) -> None:
    assert place(secs_ago, end_reason, made_way=made_way) is None


def test_what_broke_off_just_now_is_gone_on_with() -> None:
    assert place(1, EndReason.CRASHED, made_way=True) is not None

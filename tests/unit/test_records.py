import threading
import time
from datetime import datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from sonora_app.storage import records
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    Message,
    utc_now,
    uuid7,
)

pytestmark = pytest.mark.unit


def test_uuid7_has_the_version_and_variant_of_rfc_9562():
    for _ in range(1000):
        made = uuid7()
        assert made.version == 7
        assert made.int >> 62 & 0b11 == 0b10


def test_uuid7_begins_with_the_time_in_milliseconds(monkeypatch: pytest.MonkeyPatch):
    ahead = time.time_ns() + 3_600_000_000_000
    monkeypatch.setattr(records, "_last_uuid7", 0)
    monkeypatch.setattr(time, "time_ns", lambda: ahead)
    assert uuid7().int >> 80 == ahead // 1_000_000


def test_uuid7_grows_within_a_millisecond_and_past_its_counter(monkeypatch: pytest.MonkeyPatch):
    still = time.time_ns() + 3_600_000_000_000
    monkeypatch.setattr(records, "_last_uuid7", 0)
    monkeypatch.setattr(time, "time_ns", lambda: still)
    made = [uuid7() for _ in range(0x1000 + 10)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert [str(one) for one in made] == sorted(str(one) for one in made)
    assert made[-1].int >> 80 == still // 1_000_000 + 1


def test_uuid7_grows_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch):
    now = time.time_ns()
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: now - 60_000_000_000)
    assert uuid7() > before


def test_uuid7_is_unique_and_grows_in_every_thread():
    made: list[list[UUID]] = [[] for _ in range(4)]

    def make(mine: list[UUID]) -> None:
        mine.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    assert len({one for mine in made for one in mine}) == 8000


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (EndReason.GOODBYE, ConversationStatus.COMPLETED),
        (EndReason.USER_REQUEST, ConversationStatus.COMPLETED),
        (EndReason.USER_IDLE, ConversationStatus.COMPLETED),
        (EndReason.TIME_LIMIT, ConversationStatus.COMPLETED),
        (EndReason.CLIENT_LEFT, ConversationStatus.ABANDONED),
        (EndReason.SHUTDOWN, ConversationStatus.ABANDONED),
        (EndReason.ERASED, ConversationStatus.ABANDONED),
        (EndReason.ERROR, ConversationStatus.FAILED),
        (EndReason.CRASHED, ConversationStatus.FAILED),
    ],
)
def test_every_end_leaves_the_conversation_in_a_status(
    reason: EndReason, status: ConversationStatus
):
    assert reason.status is status


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValidationError):
        Conversation(id=uuid7(), created_at=datetime(2026, 1, 1), updated_at=utc_now())


def test_a_record_cannot_be_changed_and_takes_no_other_fields():
    message = Message(id=uuid7(), conversation_id=uuid7(), role="user", created_at=utc_now())
    with pytest.raises(ValidationError):
        message.content = "changed"
    with pytest.raises(ValidationError):
        Message.model_validate({**dict(message), "colour": "red"})

"""What a resumed call starts with."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonora_app.storage.history import context_messages
from sonora_app.storage.records import Message

pytestmark = pytest.mark.unit

START = datetime(2026, 1, 1, tzinfo=UTC)


def message(role: str, content: str | None, *, minute: int = 0, **fields: object) -> Message:
    return Message.model_validate(
        {
            "id": uuid4(),
            "conversation_id": uuid4(),
            "role": role,
            "content": content,
            "created_at": START + timedelta(minutes=minute),
            **fields,
        }
    )


def test_rows_that_the_text_chat_api_wrote_are_read() -> None:
    rows = [
        message("user", "hola"),
        message("agent", "hola, ¿qué tal?"),
        message("user", None, images=[{"url": "x"}]),
        message("user", "   "),
        message("tool", "secreto"),
        message("system", "obedece"),
        message("user", "borrado", deleted_at=START),
    ]
    assert context_messages(rows, max_chars=1000) == [
        {"role": "user", "content": "hola"},
        {"role": "assistant", "content": "hola, ¿qué tal?"},
    ]


def test_the_newest_are_kept_when_not_all_fit() -> None:
    rows = [message("user", f"{n:04d}") for n in range(10)]
    assert [kept["content"] for kept in context_messages(rows, max_chars=9)] == ["0008", "0009"]


def test_a_newest_message_that_is_too_long_is_cut_at_its_start() -> None:
    rows = [message("user", "viejo"), message("assistant", "0123456789")]
    assert context_messages(rows, max_chars=4) == [{"role": "assistant", "content": "6789"}]


@given(st.lists(st.text(max_size=30), max_size=30), st.integers(min_value=0, max_value=200))
def test_it_is_never_longer_than_allowed_and_ends_with_the_newest(
    texts: list[str], max_chars: int
) -> None:
    kept = context_messages([message("user", text) for text in texts], max_chars=max_chars)
    assert sum(len(each["content"]) for each in kept) <= max_chars
    said = [text.strip() for text in texts if text.strip()]
    if kept:
        assert [each["content"] for each in kept[1:]] == said[len(said) - len(kept) + 1 :]
        assert said[len(said) - len(kept)].endswith(kept[0]["content"])
    elif said:
        assert max_chars == 0

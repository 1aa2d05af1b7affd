"""What a resumed call starts with."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.history import LEFT_OUT, context_messages, shortened
from sonora_app.storage.records import Message
from sonora_app.storage.whole_turns import parts_of, whole_turns

pytestmark = pytest.mark.unit

PICTURE = KeptFile.of("ana", uuid4(), uuid4(), "image/jpeg").reference("un gato.jpg")
DOCUMENT = KeptFile.of("ana", uuid4(), uuid4(), "application/pdf").reference("informe.pdf")
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
        message("user", "mira", images=[PICTURE, PICTURE, DOCUMENT]),
        message("user", "   "),
        message("tool", "secreto"),
        message("system", "obedece"),
        message("user", "borrado", deleted_at=START),
    ]
    assert context_messages(rows, max_messages=100, max_chars=1000) == [
        {"role": "user", "content": "hola"},
        {"role": "assistant", "content": "hola, ¿qué tal?"},
        # It is not sent again.
        {"role": "user", "content": "[A picture was sent.]"},
        {"role": "user", "content": "mira [2 pictures were sent.] [A document was sent.]"},
    ]


def test_a_turn_that_was_cut_off_is_one_and_nothing_of_it_is_lost() -> None:
    first, cut_in = message("user", "Un vuelo a Madrid."), message("assistant", "Claro, bus")
    second = message("user", "Y otro a Sevilla.", metadata={"continues": str(first.id)})
    third = message("user", "Para dos.", metadata={"continues": str(second.id)})
    rows = [first, cut_in, second, third, message("assistant", "Hay dos.")]
    whole = "Un vuelo a Madrid. Y otro a Sevilla. Para dos."
    # The model of a later call is told what the one of this call was.
    assert context_messages(rows, max_messages=100, max_chars=1000) == [
        {"role": "user", "content": whole},
        {"role": "assistant", "content": "Hay dos."},
    ]
    # People are shown all that was said.
    assert [each.content for each in whole_turns(rows)] == [whole, "Claro, bus", "Hay dos."]
    assert parts_of(whole_turns(rows)[0]) == [str(each.id) for each in (first, second, third)]
    # Parts whose beginning is gone, and what others wrote there, stay as they are.
    deleted = first.model_copy(update={"deleted_at": START})
    odd = message("user", "¿Y?", metadata={"continues": [1], "parts": 5})
    for left in ([cut_in, second], [deleted, cut_in, second], [odd, cut_in]):
        assert whole_turns(left) == left


def test_the_newest_are_kept_when_not_all_fit() -> None:
    rows = [message("user", f"{n:04d}") for n in range(10)]
    assert [kept["content"] for kept in context_messages(rows, max_messages=100, max_chars=9)] == [
        "0008",
        "0009",
    ]


def test_rows_that_nobody_said_leave_the_others_their_places() -> None:
    rows = [message("user", f"{n:04d}") for n in range(5)]
    rows += [message("tool", "resultado") for _ in range(5)]
    kept = context_messages(rows, max_messages=3, max_chars=1_000)
    assert [each["content"] for each in kept] == ["0002", "0003", "0004"]
    assert context_messages(rows, max_messages=0, max_chars=1_000) == []


def test_a_message_for_which_a_mark_has_no_room_keeps_its_end() -> None:
    rows = [message("user", "viejo"), message("assistant", "0123456789")]
    assert context_messages(rows, max_messages=100, max_chars=4) == [
        {"role": "assistant", "content": "6789"}
    ]


FILE = "¿Qué plazo tengo? " + "línea del contrato. " * 1_500 + "Firmado en Oaxaca."


@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_uploaded_file_hides_neither_the_past_nor_its_question(place: int) -> None:
    talk = [message("user", f"Turno {n}: {'bla ' * 100}") for n in range(4)]
    rows = [*talk[:place], message("user", FILE), *talk[place:]]

    kept = context_messages(rows, max_messages=100, max_chars=12_000)

    assert [each["content"] for each in kept if each["content"] != kept[place]["content"]] == [
        (row.content or "").strip() for row in talk
    ]
    file = kept[place]["content"]
    assert file.startswith("¿Qué plazo tengo? línea")
    assert file.endswith("Firmado en Oaxaca.")
    assert file.count(LEFT_OUT) == 1
    assert len(file) > 9_000


def test_many_files_share_the_room() -> None:
    rows = [message("user", f"{n} {FILE}") for n in range(40)]

    kept = [each["content"] for each in context_messages(rows, max_messages=100, max_chars=12_000)]

    assert [text.split()[0] for text in kept] == ["36", "37", "38", "39"]
    assert all("¿Qué plazo tengo?" in text for text in kept)


@given(st.text(max_size=60), st.integers(min_value=0, max_value=70))
def test_a_shortened_text_is_its_two_ends(text: str, max_chars: int) -> None:
    short = shortened(text, max_chars)

    assert len(short) == min(len(text), max_chars)
    head, mark, tail = short.partition(LEFT_OUT)
    if LEFT_OUT not in text and mark:
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head) >= len(tail)
    elif short != text:
        assert text.endswith(short)


@given(st.lists(st.text(max_size=30), max_size=30), st.integers(min_value=0, max_value=200))
def test_it_is_never_longer_than_allowed_and_ends_with_the_newest(
    texts: list[str], max_chars: int
) -> None:
    kept = context_messages(
        [message("user", text) for text in texts], max_messages=100, max_chars=max_chars
    )
    assert sum(len(each["content"]) for each in kept) <= max_chars
    said = [text.strip() for text in texts if text.strip()]
    newest = said[len(said) - len(kept) :]
    for whole, each in zip(newest, kept, strict=True):
        assert each["content"] == shortened(whole, len(each["content"]))
    # What is short stays whole, but for the oldest.
    quarter = max_chars // 4
    assert all(
        each["content"] == whole
        for whole, each in zip(newest[1:], kept[1:], strict=True)
        if len(whole) <= quarter
    )
    assert kept or not said or max_chars == 0

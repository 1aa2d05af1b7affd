"""Whatever a model streams, text is said at once, and calls are whole or left out."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from simulators.vendors.odd_answers import NOISE, any_answer, call, chunk, ending, words
from sonora_app.vendors.openai.answers import (
    CutShortError,
    Progress,
    Spoken,
    is_speakable,
    mended,
    whole_characters,
)

pytestmark = pytest.mark.unit

OFFERED = ("wrap_up", "look_up")
ARGUMENTS = {"title": "Un viaje", "topics": ["a"]}
JSON = json.dumps(ARGUMENTS)


async def _stream(chunks: Sequence[Any]) -> AsyncGenerator[ChatCompletionChunk]:
    for piece in chunks:
        # As OpenAI's client reads it, which checks nothing.
        yield ChatCompletionChunk.construct(**json.loads(json.dumps(piece)))


async def _read(*chunks: Any) -> tuple[str, list[tuple[str, Any]], list[ChatCompletionChunk]]:
    """What is said, what is called, and all chunks that came out."""
    came = [c async for c in mended(_stream(chunks), OFFERED) if not isinstance(c, Progress)]
    deltas = [c.choices[0].delta for c in came if c.choices]
    said = "".join(delta.content or "" for delta in deltas)
    calls = [
        (made.function.name or "", json.loads(made.function.arguments or ""))
        for delta in deltas
        for made in delta.tool_calls or []
        if made.function
    ]
    return said, calls, came


@pytest.mark.parametrize("name", NOISE)
async def test_what_says_nothing_does_no_harm(name: str) -> None:
    said, calls, _ = await _read(NOISE[name], words("Hola, "), NOISE[name], words("Ana."), ending())
    assert said.replace(" \n", "") == "Hola, Ana."
    assert not calls


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        pytest.param([call("wrap_up", JSON, id="a", index=0)], 1, id="in one piece"),
        pytest.param(
            [
                call("wrap_up", "", id="a", index=0),
                call(None, JSON[:9], index=0),
                call(None, JSON[9:], index=0),
            ],
            1,
            id="in pieces",
        ),
        pytest.param([call("wrap_up", JSON)], 1, id="without id and index"),
        pytest.param([call("wrap_up"), call(None, JSON[:9]), call(None, JSON[9:])], 1, id="bare"),
        pytest.param(
            [call("wrap_up", JSON[:9], id="a"), call("wrap_up", JSON[9:], id="a")],
            1,
            id="named again in each piece",
        ),
        pytest.param([call("wrap_up", JSON, index=1)], 1, id="counted from one"),
        pytest.param([call("wrap_up", ARGUMENTS, id="a", index=0)], 1, id="arguments as an object"),
        pytest.param([call("wrap_up", json.dumps(JSON))], 1, id="arguments as text in JSON"),
        pytest.param(
            [chunk({"function_call": {"name": "wrap_up", "arguments": JSON}})], 1, id="older form"
        ),
        pytest.param(
            [call("wrap_up", JSON, id="a", index=0), call("wrap_up", JSON, id="b", index=0)],
            2,
            id="two with one number",
        ),
        pytest.param([call("wrap_up", JSON), call("wrap_up", JSON)], 2, id="two without any"),
        pytest.param(
            [call("wrap_up", JSON, id="a", index=0), call("wrap_up", JSON, id="a", index=1)],
            2,
            id="two with one id",
        ),
        pytest.param(
            [
                chunk(
                    {
                        "content": "Claro. ",
                        "tool_calls": [
                            {"index": at, "function": {"name": "wrap_up", "arguments": JSON}}
                            for at in range(2)
                        ],
                    }
                )
            ],
            2,
            id="two in one chunk, beside text",
        ),
        pytest.param(
            [
                call("nobody_has_this", JSON, id="x", index=0),
                call("wrap_up", JSON, id="a", index=1),
            ],
            1,
            id="one that does not exist beside it",
        ),
        pytest.param(
            [call("wrap_up", "{", id="x", index=0), call("wrap_up", JSON, id="a", index=1)],
            1,
            id="one that is cut off beside it",
        ),
    ],
)
async def test_calls_are_put_together(pieces: list[Any], count: int) -> None:
    said, calls, came = await _read(*pieces, ending("tool_calls"))
    assert calls == [("wrap_up", ARGUMENTS)] * count
    assert said in ("", "Claro. ")
    made = [c.choices[0].delta.tool_calls[0] for c in came if c.choices[0].delta.tool_calls]
    assert [one.index for one in made] == list(range(count))
    assert len({one.id for one in made}) == count


@pytest.mark.parametrize(
    "piece",
    [
        call("wrap_up", JSON[:-4]),
        call("wrap_up", "no JSON"),
        call("wrap_up", "[1, 2]"),
        call("wrap_up", "7"),
        call("wrap_up", "[" * 5_000),
        call("nobody_has_this", "{}"),
        call(7, "{}"),
        call(None, JSON),
    ],
)
async def test_a_call_that_cannot_be_done_is_left_out(piece: Any) -> None:
    said, calls, _ = await _read(words("Claro."), piece, ending("tool_calls"))
    assert (said, calls) == ("Claro.", [])


@pytest.mark.parametrize("why", ["length", "content_filter"])
async def test_an_answer_that_is_cut_short_says_so(why: str) -> None:
    with pytest.raises(CutShortError):
        await _read(words("Oaxaca tiene monta"), ending(why))
    said, _, _ = await _read(words("Oaxaca es bonita. "), ending(why))
    assert said == "Oaxaca es bonita. "


@pytest.mark.parametrize("end", [[], [ending("length")]])
async def test_an_answer_that_breaks_off_in_a_sentence_or_a_call_says_so(end: list[Any]) -> None:
    for pieces in ([words("Oaxaca tiene monta")], [words("Lo miro."), call("wrap_up", '{"a')]):
        with pytest.raises(CutShortError):
            await _read(*pieces, *end)
    said, _, _ = await _read(words("Oaxaca es bonita."), *end)
    assert said == "Oaxaca es bonita."


async def test_an_answer_without_an_end_has_one() -> None:
    with pytest.raises(CutShortError):
        await _read(*[words("palabra ")] * 6_000)


def test_thoughts_are_not_said_however_they_are_cut() -> None:
    text = "<think>Es un secreto.</think>Hola <thinking>otro</thinking>Ana</think>, 2 < 3."
    for size in range(1, len(text)):
        spoken = Spoken()
        said = "".join(spoken.add(text[at : at + size]) for at in range(0, len(text), size))
        assert said + spoken.end() == "Hola Ana, 2 < 3."


@given(st.text(st.characters(codec=None), max_size=40))
def test_text_can_be_written_anywhere(text: str) -> None:
    whole = whole_characters(text)
    whole.encode()
    assert "\0" not in whole
    assert whole_characters(whole) == whole


def test_characters_in_two_halves_are_joined() -> None:
    spoken = Spoken()
    assert spoken.add("Hola \ud83d") + spoken.add("\ude00!") + spoken.end() == "Hola 😀!"


@pytest.mark.parametrize("text", ["", " \n", "**", "# ", "😀", "---", "…"])
def test_markup_alone_says_nothing(text: str) -> None:
    assert not is_speakable(text)


ANY_ANSWER = st.randoms(use_true_random=False).map(lambda numbers: any_answer(numbers, OFFERED))


@given(ANY_ANSWER)
async def test_any_answer_can_be_used(chunks: list[Any]) -> None:
    try:
        said, calls, came = await _read(*chunks)
    except CutShortError:
        return
    said.encode()
    for name, arguments in calls:
        assert name in OFFERED
        assert isinstance(arguments, dict)
    for made in came:
        assert made.usage is None or made.usage.prompt_tokens >= 0

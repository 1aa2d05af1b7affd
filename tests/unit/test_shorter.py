"""A prompt that is refused as too long is sent again with less of the older talk."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIStatusError
from pipecat.frames.frames import ErrorFrame, LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply
from simulators.vendors.rig import rigged
from sonora_app.llm import build_llm
from sonora_app.settings import Settings
from sonora_app.vendors.openai.shorter import is_too_long, less_of, talk_chars

pytestmark = pytest.mark.unit

KEY = "openai-key-of-a-test"
INSTRUCTION = {"role": "developer", "content": "Talk with the person."}


def talk(turns: int, *, chars: int = 100) -> list[Any]:
    """So many turns of two messages, with an instruction among them."""
    messages: list[Any] = []
    for number in range(turns):
        messages.append({"role": "user", "content": f"{number}? ".ljust(chars, "x")})
        messages.append({"role": "assistant", "content": f"{number}! ".ljust(chars, "y")})
    return [*messages[:2], INSTRUCTION, *messages[2:]]


def called(name: str, result: str) -> list[Any]:
    function = {"name": "look_up", "arguments": "{}"}
    return [
        {
            "role": "assistant",
            "tool_calls": [{"id": name, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": name, "content": result},
    ]


def told_later(name: str, result: str) -> Any:
    """How Pipecat brings the result of a function that the talk did not wait for."""
    told = {"type": "async_tool", "status": "finished", "tool_call_id": name, "result": result}
    return {"role": "developer", "content": json.dumps(told)}


@pytest.fixture
async def small() -> AsyncGenerator[OpenAIVendor]:
    """A model that takes 1,500 characters."""

    def model(request: ChatRequest) -> Reply:
        if sum(len(str(message.get("content"))) for message in request.messages) > 1_500:
            return Reply(status=400, refusal="Too many.", code="context_length_exceeded")
        return Reply("En noviembre.")

    vendor = OpenAIVendor(KEY)
    vendor.model = model
    async with vendor.serving():
        yield vendor


def service(vendor: OpenAIVendor) -> Any:
    return build_llm(
        Settings.model_validate(
            {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": vendor.url, "ENV": "local"}
        )
    )


def sent(vendor: OpenAIVendor) -> list[list[str]]:
    return [[str(each.get("content")) for each in body["messages"]] for body in vendor.bodies]


async def test_a_talk_that_is_too_long_is_answered_all_the_same(small: OpenAIVendor) -> None:
    messages = talk(20)
    question = "¿Cuándo conviene ir a Oaxaca?"
    async with rigged(llm := service(small)) as rig:
        context = LLMContext([*messages, {"role": "user", "content": question}])
        await rig.send(LLMContextFrame(context))
        await rig.get(LLMFullResponseEndFrame)
        first = len(small.bodies)
        context.add_message({"role": "assistant", "content": "En noviembre."})
        context.add_message({"role": "user", "content": "¿Y en abril?"})
        await rig.send(LLMContextFrame(context))
        await rig.get(LLMFullResponseEndFrame, 2)
        answers = "".join(frame.text for frame in rig.all(LLMTextFrame))

    assert answers == "En noviembre." * 2
    assert not rig.all(ErrorFrame)
    assert llm.is_usable
    # Half, and half of it, and half of that; then it is known how much there is room for.
    assert (first, len(small.bodies) - first) == (3, 1)
    for request in sent(small):
        assert INSTRUCTION["content"] in request
    assert sent(small)[first - 1][-1] == question
    assert sent(small)[-1][-3:] == [question, "En noviembre.", "¿Y en abril?"]
    # What the call remembers is not touched.
    assert len(context.get_messages()) == len(messages) + 3


async def test_a_single_text_that_is_too_long_is_shortened(small: OpenAIVendor) -> None:
    pasted = "¿Qué dice esto? " + "bla " * 1_000 + "Firmado en Oaxaca."
    async with rigged(service(small)) as rig:
        await rig.send(LLMContextFrame(LLMContext([{"role": "user", "content": pasted}])))
        await rig.get(LLMFullResponseEndFrame)

    assert "".join(frame.text for frame in rig.all(LLMTextFrame)) == "En noviembre."
    (last,) = sent(small)[-1]
    assert last.startswith("¿Qué dice esto?")
    assert last.endswith("Firmado en Oaxaca.")


async def test_what_is_asked_beside_the_call_is_shortened_too(small: OpenAIVendor) -> None:
    async with rigged(llm := service(small)):
        answer = await llm.run_inference(LLMContext(talk(12)), max_tokens=10)

    assert answer == "En noviembre."


async def test_a_refusal_that_does_not_end_is_an_error(small: OpenAIVendor) -> None:
    small.model = lambda _: Reply(status=400, refusal="x", code="context_length_exceeded")
    async with rigged(service(small)) as rig:
        await rig.send(LLMContextFrame(LLMContext(talk(20))))
        await rig.get(ErrorFrame)

    assert len(small.bodies) == 4


@pytest.mark.parametrize(
    ("status", "code", "message", "too_long"),
    [
        (400, "context_length_exceeded", "x", True),
        (400, None, "This model's maximum context length is 8192 tokens.", True),
        (413, None, "Prompt is too long", True),
        (422, None, "the request exceeds the available context size", True),
        (400, None, "Please reduce: max_model_len is 4096", True),
        (400, "invalid_prompt", "Invalid content.", False),
        (429, "rate_limit_exceeded", "Too many tokens per minute", False),
        (401, "invalid_api_key", "Incorrect API key", False),
    ],
)
def test_refusals_for_length(status: int, code: str | None, message: str, too_long: bool) -> None:
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://vendor.example"))
    error = APIStatusError(message, response=response, body={"code": code, "message": message})

    assert is_too_long(error) is too_long


def test_a_call_stays_with_its_result() -> None:
    messages = [*called("a", "r" * 100), *talk(3), *called("b", "r" * 100), *talk(1)]

    for max_chars in range(0, talk_chars(messages) + 10, 7):
        kept = less_of(messages, max_chars)
        results = [each["tool_call_id"] for each in kept if each.get("role") == "tool"]  # type: ignore[union-attr, typeddict-item]
        calls = [each["tool_calls"][0]["id"] for each in kept if "tool_calls" in each]  # type: ignore[operator, typeddict-item, index]
        assert results == calls


def test_a_result_that_came_late_stays_with_its_call() -> None:
    messages = [*called("a", '{"type": "async_tool"}'), *talk(2), told_later("a", "lunes")]

    kept = less_of(messages, 300)

    assert [each for each in kept if each in messages] == kept
    assert messages[0] in kept
    assert messages[1] in kept
    assert messages[-1] in kept


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "developer"]), st.text(max_size=80))),
    st.integers(min_value=0, max_value=500),
)
def test_less_is_never_more_and_ends_with_the_newest(
    said: list[tuple[str, str]], max_chars: int
) -> None:
    messages: list[Any] = [{"role": role, "content": text} for role, text in said]
    kept: list[Any] = less_of(messages, max_chars)

    assert talk_chars(kept) <= max_chars
    assert [m for m in kept if m["role"] == "developer"] == [
        m for m in messages if m["role"] == "developer"
    ]
    spoken = [m for m in messages if m["role"] != "developer"]
    left = [m for m in kept if m["role"] != "developer"]
    assert bool(left) is bool(spoken)
    if len(left) > 1:
        assert left == spoken[-len(left) :]

"""The language model, with Pipecat's own class and OpenAI's own client against the protocol."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai import Timeout
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    FunctionCallInProgressFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    MetricsFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData, TTFBMetricsData
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService

from simulators.clients.waiting import Waiting
from simulators.vendors.odd_answers import call, words
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.rig import Rig, rigged
from sonora_app import llm
from sonora_app.call.ending.summary import load_summary_request, look_back
from sonora_app.llm import build_llm
from sonora_app.settings import Settings

pytestmark = pytest.mark.unit

KEY = "openai-key-of-a-test"
QUESTION = "¿Cuándo conviene ir a Oaxaca?"
ANSWER = "En noviembre, después de las lluvias."
WRAP_UP = {"title": "Un viaje", "summary": "Quería ir a Oaxaca; irá en abril.", "topics": ["a"]}
LATE_SECS = 0.5


@pytest.fixture
async def openai() -> AsyncGenerator[OpenAIVendor]:
    vendor = OpenAIVendor(KEY)
    vendor.model = lambda _: Reply(ANSWER)
    async with vendor.serving():
        yield vendor


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience so short that a test need not wait."""
    limits = dataclasses.replace(
        llm.LIMITS,
        first_token_secs=LATE_SECS,
        second_attempt_secs=2 * LATE_SECS,
        timeout=Timeout(connect=3.0, read=2 * LATE_SECS, write=5, pool=3),
    )
    monkeypatch.setattr(llm, "LIMITS", limits)


def service(openai: OpenAIVendor, **values: str) -> OpenAILLMService:
    fields = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": openai.url, "OPENAI_MODEL": "gpt-4.1"}
    return build_llm(Settings.model_validate({**fields, **values}))


def asked(text: str = QUESTION, *tools: FunctionSchema) -> LLMContextFrame:
    messages: list[Any] = [{"role": "user", "content": text}]
    return LLMContextFrame(
        LLMContext(messages, tools=ToolsSchema(standard_tools=list(tools)))
        if tools
        else LLMContext(messages)
    )


def said(rig: Rig) -> str:
    return "".join(frame.text for frame in rig.all(LLMTextFrame))


def in_turn(*replies: Reply) -> Any:
    """A model that gives these replies, one to each request; the last one from then on."""
    left = list(replies)

    def model(_: ChatRequest) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    return model


# --- What is asked


async def test_a_guess_that_was_withdrawn_before_its_turn_is_not_answered(
    openai: OpenAIVendor,
) -> None:
    openai.model = in_turn(Reply("Un momento.", token_secs=0.2), Reply(ANSWER))
    guess = asked("¿Cuándo conviene?")
    guess.speculation = True
    async with rigged(service(openai)) as rig:
        await rig.send(asked("Hola."))
        await rig.get(LLMTextFrame)
        # The model is busy; the turn ends otherwise than was guessed.
        await rig.send(guess, EagerEndOfTurnCancelFrame(), UserStoppedSpeakingFrame(), asked())
        await rig.get(LLMFullResponseEndFrame, 2)
    questions = [request["body"]["messages"][-1]["content"] for request in openai.log.of("request")]
    assert questions == ["Hola.", QUESTION]
    assert said(rig) == f"Un momento.{ANSWER}"


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5-mini"])
async def test_the_model_is_asked_for_what_the_settings_say(
    openai: OpenAIVendor, model: str
) -> None:
    async with rigged(service(openai, OPENAI_MODEL=model)) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
    assert said(rig) == ANSWER
    (request,) = openai.log.of("request")
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert request["headers"]["x-stainless-read-timeout"] == str(llm.LIMITS.timeout.read)
    assert request["body"]["model"] == model
    assert request["body"]["stream"] is True
    assert request["body"]["stream_options"] == {"include_usage": True}
    assert request["body"]["messages"] == [{"role": "user", "content": QUESTION}]


async def test_a_long_talk_does_not_hold_the_loop(openai: OpenAIVendor) -> None:
    context = LLMContext([{"role": "user", "content": QUESTION}] * 400)
    async with rigged(service(openai)) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
        began_secs = time.thread_time()
        await rig.send(LLMContextFrame(context))
        await rig.get(LLMFullResponseEndFrame, 2)
        took_secs = time.thread_time() - began_secs
    assert len(openai.log.of("request")[1]["body"]["messages"]) == 400
    # With what the vendor does on the same loop. The client's own way takes 70 ms more.
    assert took_secs < 0.05


async def test_the_first_question_finds_a_connection(openai: OpenAIVendor) -> None:
    async with rigged(service(openai)) as rig:
        listed = await openai.log.wait_for("listed")
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
    (request,) = openai.log.of("request")
    assert request["peer"] == listed["peer"]


async def test_the_clients_patience_is_the_one_that_is_written_down(openai: OpenAIVendor) -> None:
    built = service(openai)
    client = built.create_client(api_key=KEY, base_url=openai.url)
    assert client.timeout == llm.LIMITS.timeout
    assert client.max_retries == llm.LIMITS.max_retries
    assert llm.LIMITS.timeout.as_dict() == {"connect": 3.0, "read": 10.0, "write": 5.0, "pool": 3.0}
    assert (llm.LIMITS.first_token_secs, llm.LIMITS.max_retries) == (6.0, 1)


async def test_tool_calls_and_usage_come_through_the_stream(openai: OpenAIVendor) -> None:
    openai.model = lambda _: Reply(calls=(ToolCall("wrap_up", WRAP_UP),))
    called: list[dict[str, Any]] = []
    built = service(openai)

    async def wrap_up(params: FunctionCallParams) -> None:
        called.append(dict(params.arguments))
        await params.result_callback({"status": "wrapping_up"})

    built.register_function("wrap_up", wrap_up)
    tool = FunctionSchema("wrap_up", "Ends it.", {"title": {"type": "string"}}, ["title"])
    async with rigged(built, metrics=True) as rig:
        await rig.send(asked(QUESTION, tool))
        await rig.get(FunctionCallInProgressFrame)
        await rig.get(LLMFullResponseEndFrame)
        async with asyncio.timeout(30):
            while not called:
                await asyncio.sleep(0.01)
    assert called == [WRAP_UP]
    assert [tool["function"]["name"] for tool in openai.bodies[0]["tools"]] == ["wrap_up"]
    data = [item for frame in rig.all(MetricsFrame) for item in frame.data]
    (usage,) = [item.value for item in data if isinstance(item, LLMUsageMetricsData)]
    assert usage.prompt_tokens > 10
    assert usage.completion_tokens > 5
    assert [item for item in data if isinstance(item, TTFBMetricsData) and item.value > 0]


# --- Late

LATE = [
    pytest.param(Reply(ANSWER, headers_secs=20), id="nothing comes"),
    pytest.param(Reply(ANSWER, first_token_secs=20), id="the response begins without a token"),
    pytest.param(Reply(chunks=[words(" ")] * 50, token_secs=0.1), id="nothing but spaces come"),
]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("late", LATE)
async def test_a_late_first_token_sends_the_request_once_more(
    openai: OpenAIVendor, late: Reply
) -> None:
    openai.model = in_turn(late, Reply(ANSWER))
    async with rigged(service(openai)) as rig:
        waiting = Waiting()
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
    first, second = openai.log.of("request")
    took_secs = second.at_secs - first.at_secs
    assert LATE_SECS - 0.4 < took_secs < LATE_SECS + 0.4 + waiting.excused_secs
    assert second["body"] == first["body"]
    assert said(rig) == ANSWER
    assert not rig.all(ErrorFrame)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("late", LATE)
async def test_an_answer_that_does_not_begin_is_given_up(openai: OpenAIVendor, late: Reply) -> None:
    openai.model = lambda _: late
    built = service(openai)
    async with rigged(built) as rig:
        waiting = Waiting()
        await rig.send(asked())
        error = await rig.get(ErrorFrame)
        first, *again = openai.log.of("request")
        waited = asyncio.get_running_loop().time() - first.at_secs
        await rig.get(LLMFullResponseEndFrame)
    assert "no token within 1 s" in error.error
    assert len(again) == 1
    # The first token's time, then that of the second attempt.
    assert 3 * LATE_SECS - 0.6 < waited < 3 * LATE_SECS + 0.6 + waiting.excused_secs
    assert said(rig) == ""
    assert built.is_usable


async def test_a_call_that_comes_without_end_is_given_up_as_late_as_no_answer(
    openai: OpenAIVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dataclasses.replace(
        llm.LIMITS, first_token_secs=0.5, second_attempt_secs=1.0, hold_on_secs=0.3
    )
    monkeypatch.setattr(llm, "LIMITS", limits)
    pieces = [call("wrap_up", '{"title": "'), *[call(None, "a")] * 100]
    openai.model = lambda _: Reply(chunks=pieces, token_secs=0.05)
    built, late = service(openai), asyncio.Event()

    async def hold_on(*_: object) -> None:
        late.set()

    built.add_event_handler("on_late", hold_on)
    async with rigged(built) as rig:
        waiting = Waiting()
        await rig.send(asked())
        await rig.get(ErrorFrame)
        waited = asyncio.get_running_loop().time() - openai.log.of("request")[0].at_secs
    assert 0.9 < waited < 2.1 + waiting.excused_secs
    assert late.is_set()


async def test_an_empty_answer_is_asked_for_once_more(openai: OpenAIVendor) -> None:
    openai.model = in_turn(Reply(""), Reply(ANSWER))
    async with rigged(service(openai)) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
    assert said(rig) == ANSWER
    assert not rig.all(ErrorFrame)
    assert len(openai.log.of("request")) == 2


async def test_nothing_but_empty_answers_is_an_error(openai: OpenAIVendor) -> None:
    openai.model = lambda _: Reply("")
    built = service(openai)
    async with rigged(built) as rig:
        await rig.send(asked())
        await rig.get(ErrorFrame)
    assert len(openai.log.of("request")) == 2
    assert built.is_usable


@pytest.mark.usefixtures("hasty")
async def test_a_refusal_that_asks_for_a_long_wait_is_not_waited_for(
    openai: OpenAIVendor,
) -> None:
    openai.model = lambda _: Reply(status=429, headers={"Retry-After": "30"})
    built = service(openai)
    async with rigged(built) as rig:
        waiting = Waiting()
        await rig.send(asked())
        await rig.get(ErrorFrame)
        assert waiting.secs() < 8
    assert built.is_usable


@pytest.mark.usefixtures("hasty")
async def test_a_pause_in_mid_answer_that_does_not_end_is_an_error(openai: OpenAIVendor) -> None:
    openai.model = in_turn(Reply(ANSWER, token_secs=20), Reply(ANSWER))
    built = service(openai)
    async with rigged(built) as rig:
        await rig.send(asked())
        await rig.get(ErrorFrame)
        await rig.get(LLMFullResponseEndFrame)
        assert said(rig) == ANSWER.split()[0]
        assert built.is_usable
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame, 2)
    assert said(rig) == ANSWER.split()[0] + ANSWER


async def test_a_slow_answer_that_keeps_coming_is_not_cut(
    openai: OpenAIVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dataclasses.replace(llm.LIMITS, first_token_secs=LATE_SECS)
    monkeypatch.setattr(llm, "LIMITS", limits)
    openai.model = lambda _: Reply(ANSWER, token_secs=LATE_SECS / 2)
    async with rigged(service(openai)) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
    assert said(rig) == ANSWER
    assert len(openai.log.of("request")) == 1


@pytest.mark.parametrize("moment", ["before the first token", "after it"])
async def test_an_interrupted_answer_is_not_read_to_its_end(
    openai: OpenAIVendor, moment: str
) -> None:
    long = "palabra " * 500
    before = moment == "before the first token"
    openai.model = in_turn(
        Reply(long, first_token_secs=2.0 if before else 0, token_secs=0.02), Reply(ANSWER)
    )
    async with rigged(service(openai)) as rig:
        await rig.send(asked())
        await openai.log.wait_for("request")
        if not before:
            await rig.get(LLMTextFrame, 3)
        await rig.send(InterruptionFrame())
        await openai.log.wait_for("abandoned")
        heard_of_it = said(rig)
        await rig.send(asked())
        async with asyncio.timeout(30):
            while not said(rig).endswith(ANSWER):
                await asyncio.sleep(0.01)
    assert len(heard_of_it.split()) < 400
    assert len(openai.log.of("answered")) == 1


# --- Refused


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_refusal_is_repeated(openai: OpenAIVendor, status: int) -> None:
    openai.model = in_turn(
        *[Reply(status=status, headers={"Retry-After-Ms": "20"})] * llm.LIMITS.max_retries,
        Reply(ANSWER),
    )
    async with rigged(service(openai)) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
    assert said(rig) == ANSWER
    requests = openai.log.of("request")
    counted = [request["headers"]["x-stainless-retry-count"] for request in requests]
    assert counted == [str(number) for number in range(llm.LIMITS.max_retries + 1)]


@pytest.mark.parametrize("status", [429, 500])
async def test_a_refusal_is_not_repeated_for_ever(openai: OpenAIVendor, status: int) -> None:
    openai.model = lambda _: Reply(status=status, headers={"Retry-After-Ms": "20"})
    built = service(openai)
    async with rigged(built) as rig:
        await rig.send(asked())
        await rig.get(ErrorFrame)
        await rig.get(LLMFullResponseEndFrame)
        assert len(openai.log.of("request")) == llm.LIMITS.max_retries + 1
        assert built.is_usable
        openai.model = lambda _: Reply(ANSWER)
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame, 2)
    assert said(rig) == ANSWER


async def test_a_refused_key_makes_the_model_unusable(openai: OpenAIVendor) -> None:
    secret = "sk-wrong-key-that-nobody-may-read-1234"
    built = service(openai, OPENAI_API_KEY=secret)
    async with rigged(built) as rig:
        await rig.send(asked())
        error = await rig.get(ErrorFrame)
        await rig.get(LLMFullResponseEndFrame)
    assert not built.is_usable
    # Once more, in case that it is a gateway's mistake.
    assert len(openai.log.of("request")) == 2
    assert secret not in error.error


async def test_a_broken_connection_keeps_what_was_said_and_the_service(
    openai: OpenAIVendor,
) -> None:
    openai.model = in_turn(Reply(ANSWER, drop_after=2), Reply(ANSWER))
    built = service(openai)
    async with rigged(built) as rig:
        await rig.send(asked())
        await rig.get(ErrorFrame)
        await rig.get(LLMFullResponseEndFrame)
        assert ANSWER.startswith(said(rig))
        assert built.is_usable
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame, 2)
    assert said(rig).endswith(ANSWER)


# --- After the call


async def test_the_summary_is_asked_for_with_its_schema(openai: OpenAIVendor) -> None:
    openai.model = lambda _: Reply(
        '{"title": "Un viaje", "summary": "Irá en abril.", "topics": ["viajes"], '
        '"outcome": "resolved"}'
    )
    messages: list[Any] = [
        {"role": "developer", "content": "Talk."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
    ]
    built = service(openai)
    told = await look_back(built, LLMContext(messages), language="Spanish", timeout_secs=5)
    description = told.description
    assert description is not None
    assert told.review is None
    assert (description.title, description.outcome) == ("Un viaje", "resolved")
    (body,) = openai.bodies
    assert not body["stream"]
    assert "stream_options" not in body
    assert body["max_completion_tokens"] == 500
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == load_summary_request()["schema"]
    assert "Spanish" in body["messages"][0]["content"]
    assert [m["content"] for m in body["messages"][1:]] == [QUESTION, ANSWER]
    (answered,) = openai.log.of("answered")
    assert built.aside.prompt == answered["prompt_tokens"] > 0
    assert built.aside.completion == answered["completion_tokens"] > 0


@pytest.mark.parametrize(
    "reply",
    [Reply("no JSON"), Reply('{"title": 1}'), Reply(status=400), Reply("{}", headers_secs=20)],
)
async def test_without_a_summary_the_call_ends_all_the_same(
    openai: OpenAIVendor, reply: Reply
) -> None:
    openai.model = lambda _: reply
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    told = await look_back(
        service(openai), LLMContext(messages), language="Spanish", timeout_secs=0.5
    )
    assert told.description is None

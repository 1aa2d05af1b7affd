"""Whatever a model answers, the service says something, does something, or reports an error."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    MetricsFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService

from simulators.clients.waiting import Waiting
from simulators.vendors.odd_answers import NOISE, call, ending, words
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply
from simulators.vendors.rig import Rig, rigged
from sonora_app.llm import LIMITS, build_llm
from sonora_app.settings import Settings
from sonora_app.vendors.openai.switcher import InformedLLMSwitcher
from tests.unit.test_answers import ANY_ANSWER

pytestmark = pytest.mark.unit

KEY = "openai-key-of-a-test"
ANSWER = "En noviembre."
SECRET = "mi contraseña es abracadabra"
STEPS = LIMITS.steps_a_turn


@pytest.fixture
async def openai() -> AsyncGenerator[OpenAIVendor]:
    vendor = OpenAIVendor(KEY)
    vendor.model = lambda _: Reply(ANSWER)
    async with vendor.serving():
        yield vendor


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged at INFO and above."""
    lines: list[str] = []
    sink = logger.add(lines.append, level="INFO")
    yield lines
    logger.remove(sink)


def built(openai: OpenAIVendor) -> tuple[OpenAILLMService, list[dict[str, Any]]]:
    """The service, and what its function was called with."""
    service = build_llm(
        Settings.model_validate({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": openai.url})
    )
    called: list[dict[str, Any]] = []

    async def wrap_up(params: FunctionCallParams) -> None:
        called.append(dict(params.arguments))
        await params.result_callback({"status": "wrapping_up"})

    service.register_function("wrap_up", wrap_up)
    return service, called


def asked(*, steps: int = 0, then: str | None = None) -> LLMContextFrame:
    """A question, after which functions have been called so many times, and another."""
    messages: list[Any] = [{"role": "user", "content": SECRET}]
    for number in range(steps):
        named = {"name": "wrap_up", "arguments": "{}"}
        made = {"id": f"call_{number}", "type": "function", "function": named}
        messages.append({"role": "assistant", "tool_calls": [made]})
        messages.append({"role": "tool", "tool_call_id": made["id"], "content": "{}"})
    if then is not None:
        messages.append({"role": "user", "content": then})
    tool = FunctionSchema("wrap_up", "Ends it.", {"title": {"type": "string"}}, ["title"])
    return LLMContextFrame(LLMContext(messages, tools=ToolsSchema(standard_tools=[tool])))


def said(rig: Rig) -> str:
    return "".join(frame.text for frame in rig.all(LLMTextFrame))


def in_turn(*replies: Reply) -> Any:
    """A model that gives these replies, one to each request; the last one from then on."""
    left = list(replies)

    def model(_: ChatRequest) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    return model


@pytest.mark.parametrize("name", NOISE)
async def test_noise_before_the_first_word_loses_nothing(openai: OpenAIVendor, name: str) -> None:
    chunks = [NOISE[name], words("En "), NOISE[name], words("noviembre."), ending(), NOISE[name]]
    openai.model = lambda _: Reply(chunks=chunks)
    service, _ = built(openai)
    async with rigged(service, metrics=True) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
        assert said(rig).replace(" \n", "") == ANSWER
        assert not rig.all(ErrorFrame)
        assert len(openai.log.of("request")) == 1
        data = [item for frame in rig.all(MetricsFrame) for item in frame.data]
        used = [item.value for item in data if isinstance(item, LLMUsageMetricsData)]
        assert all(usage.prompt_tokens == 3 for usage in used)
        assert bool(used) == (name in ("usage", "usage with odd details"))


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([words(" \n"), ending()], id="whitespace"),
        pytest.param([words("**"), words(" — "), ending()], id="markup alone"),
        pytest.param([words("<think>"), words(SECRET), ending()], id="a thought alone"),
        pytest.param([words("\ud83d"), ending()], id="half a surrogate"),
        pytest.param([ending("content_filter")], id="filtered"),
        pytest.param([ending("length")], id="no room"),
        pytest.param([call("no_such_function", "{}"), ending()], id="no such function"),
        pytest.param([call("wrap_up", f'{{"title": "{SECRET}'), ending("length")], id="cut off"),
        pytest.param([call("wrap_up", SECRET), ending()], id="arguments that are no JSON"),
    ],
)
async def test_an_answer_of_no_use_is_asked_for_once_more(
    openai: OpenAIVendor, chunks: list[Any], log: list[str]
) -> None:
    openai.model = in_turn(Reply(chunks=chunks), Reply(ANSWER))
    service, called = built(openai)
    async with rigged(service) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
        assert said(rig).strip() == ANSWER
        openai.model = lambda _: Reply(chunks=chunks)
        await rig.send(asked())
        await rig.get(ErrorFrame)
        await rig.get(LLMFullResponseEndFrame, 2)
    assert not called
    assert service.is_usable
    assert len(openai.log.of("request")) == 4
    assert log
    assert SECRET not in "".join(log)


async def test_calls_beside_text_are_done(openai: OpenAIVendor) -> None:
    openai.model = lambda _: Reply(
        chunks=[words("Claro. "), call("wrap_up", '{"title": "a"}'), ending("tool_calls")]
    )
    service, called = built(openai)
    async with rigged(service) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
        async with asyncio.timeout(30):
            while not called:
                await asyncio.sleep(0.01)
    assert said(rig) == "Claro. "
    assert called == [{"title": "a"}]


async def test_an_answer_cut_short_in_mid_sentence_is_an_error(openai: OpenAIVendor) -> None:
    openai.model = lambda _: Reply(chunks=[words("En noviem"), ending("length")])
    service, _ = built(openai)
    async with rigged(service) as rig:
        await rig.send(asked())
        await rig.get(ErrorFrame)
        await rig.get(LLMFullResponseEndFrame)
    assert said(rig) == "En noviem"
    assert service.is_usable


async def test_after_many_steps_in_a_turn_the_model_is_asked_for_words(
    openai: OpenAIVendor,
) -> None:
    service, called = built(openai)
    async with rigged(service) as rig:
        await rig.send(asked(steps=STEPS - 1))
        await rig.get(LLMFullResponseEndFrame)
        await rig.send(asked(steps=STEPS))
        await rig.get(LLMFullResponseEndFrame, 2)
        openai.model = lambda _: Reply(chunks=[call("wrap_up", "{}"), ending("tool_calls")])
        await rig.send(asked(steps=STEPS))
        await rig.get(ErrorFrame)
    assert [body.get("tool_choice") for body in openai.bodies] == [None, *["none"] * 3]
    assert not called


# --- Refused


@pytest.mark.parametrize("status", [400, 422])
async def test_one_refused_request_is_an_answer_lost_and_no_more(
    openai: OpenAIVendor, status: int, log: list[str]
) -> None:
    openai.model = in_turn(Reply(status=status, refusal=SECRET), Reply(ANSWER))
    service, _ = built(openai)
    async with rigged(service) as rig:
        await rig.send(asked())
        error = await rig.get(ErrorFrame)
        assert service.is_usable
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame, 2)
    assert said(rig) == ANSWER
    assert SECRET not in error.error
    assert log
    assert SECRET not in "".join(log)


@pytest.mark.parametrize("status", [400, 422])
async def test_what_is_refused_is_asked_of_the_fallback_and_the_next_turn_of_the_model(
    openai: OpenAIVendor, status: int
) -> None:
    openai.model = in_turn(Reply(status=status, refusal=SECRET), Reply(ANSWER))
    second = OpenAIVendor(KEY)
    second.model = lambda _: Reply("En abril.")
    async with second.serving():
        switcher = build_llm(
            Settings.model_validate(
                {
                    "OPENAI_API_KEY": KEY,
                    "OPENAI_BASE_URL": openai.url,
                    "OPENAI_FALLBACK_BASE_URL": second.url,
                }
            )
        )
        assert isinstance(switcher, InformedLLMSwitcher)
        changes = asyncio.Queue[bool]()
        switcher.strategy.add_event_handler(
            "on_service_switched", lambda strategy, _: changes.put_nowait(strategy.gone_back)
        )
        async with rigged(switcher) as rig:
            await rig.send(asked())
            # As the call does, unless it was a change back.
            assert not await asyncio.wait_for(changes.get(), 30)
            await rig.send(asked())
            await rig.get(LLMFullResponseEndFrame, 2)
            assert said(rig) == "En abril."
            assert not rig.all(ErrorFrame)
            # What the fallback does in the same turn, it does to the end.
            await rig.send(asked(steps=1))
            await rig.get(LLMFullResponseEndFrame, 3)
            assert len(second.log.of("request")) == 2
            await rig.send(asked(then="¿Y en mayo?"))
            await rig.get(LLMFullResponseEndFrame, 4)
            assert await asyncio.wait_for(changes.get(), 30)
        assert said(rig) == f"En abril.En abril.{ANSWER}"
        assert len(second.log.of("request")) == 2
        assert all(service.is_usable for service in switcher.services)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_model_that_refuses_everything_is_out_of_order(
    openai: OpenAIVendor, status: int
) -> None:
    openai.model = lambda _: Reply(status=status)
    service, _ = built(openai)
    async with rigged(service) as rig:
        for number in range(1, LIMITS.max_lost + 1):
            assert service.is_usable
            await rig.send(asked())
            await rig.get(ErrorFrame, number)
    assert not service.is_usable


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_key_that_is_refused_once_is_good(openai: OpenAIVendor, status: int) -> None:
    openai.model = in_turn(Reply(status=status), Reply(ANSWER), Reply(status=status))
    service, _ = built(openai)
    async with rigged(service) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)
        assert said(rig) == ANSWER
        assert service.is_usable
        await rig.send(asked())
        await rig.get(ErrorFrame)
    assert not service.is_usable


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["30", "Wed, 21 Oct 2065 07:28:00 GMT"])
async def test_a_long_wait_is_not_begun(openai: OpenAIVendor, status: int, after: str) -> None:
    openai.model = lambda _: Reply(status=status, headers={"Retry-After": after})
    service, _ = built(openai)
    async with rigged(service) as rig:
        waiting = Waiting()
        await rig.send(asked())
        await rig.get(ErrorFrame)
        assert waiting.secs() < 2
    assert len(openai.log.of("request")) == 1


async def test_any_stream_ends_in_words_a_call_or_an_error(openai: OpenAIVendor) -> None:
    loop = asyncio.get_running_loop()
    service, called = built(openai)
    async with rigged(service) as rig:

        def outcomes() -> int:
            return len(called) + len(rig.all(LLMTextFrame)) + len(rig.all(ErrorFrame))

        # One service for all: what one answer leaves behind must not harm the next.
        async def answer(chunks: list[Any]) -> None:
            openai.model = lambda _: Reply(chunks=chunks)
            before, ends = outcomes(), len(rig.all(LLMFullResponseEndFrame))
            await service.set_usable(True)
            await rig.send(asked())
            await rig.get(LLMFullResponseEndFrame, ends + 1)
            async with asyncio.timeout(30):
                while outcomes() == before:
                    await asyncio.sleep(0.005)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(ANY_ANSWER)
        def any_stream(chunks: list[Any]) -> None:
            answering = asyncio.run_coroutine_threadsafe(answer(chunks), loop)
            answering.result(30)

        await asyncio.to_thread(any_stream)

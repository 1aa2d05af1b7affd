"""A weak model gets no call stuck: goodbyes are heeded, calls that are text are made, and neither
markup nor the prompt is read out."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import ErrorFrame, LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService

from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.rig import Rig, rigged
from sonora_app.flow.goodbyes import way_out
from sonora_app.llm import build_llm
from sonora_app.settings import Settings
from sonora_app.vendors.openai.guards import unheeded
from sonora_app.vendors.openai.written_calls import WrittenCalls

pytestmark = pytest.mark.unit

TALKING = ("wrap_up", "remember", "look")
ENDING = ("resume_conversation", "say_goodbye")
TOLD = (
    "Talk with the person about whatever they bring. Keep to what they want from this talk and "
    "help them get there. <quoted>My grandmother came from Oaxaca and cooked the best mole "
    "of the whole valley.</quoted>"
)

# --- What is a goodbye


@pytest.mark.parametrize(
    "text",
    [
        "gracias, chau",
        "Eso es todo, adiós.",
        "bye",
        "Bueno, muchas gracias por todo, hasta luego, Sonora.",
        "No, nada más, gracias.",
        "Okay, thanks. That’s all for now, bye bye!",
        "ADIOS",
        "¡Chau, chau!",
        "OK gracias, bye",
        "I'm done, thank you so much.",
    ],
)
def test_a_plain_goodbye(text: str) -> None:
    assert way_out(text, TALKING) == "wrap_up"
    assert way_out(text, ENDING) == "say_goodbye"
    assert way_out(text, ("look",)) is None


@pytest.mark.parametrize(
    "text",
    [
        "me despedí de mi jefe",
        "Le dije adiós a mi jefe.",
        "¿Cómo se dice adiós en inglés?",
        "¿adiós?",
        "I said goodbye to her and left.",
        "Me voy de viaje en abril.",
        "Adiós, pero antes dime la hora.",
        "No, espera, nada más una cosa.",
        "Nos vemos con mi hermana los lunes.",
        "",
        "…",
        "adiós " * 30,
    ],
)
def test_what_only_sounds_like_one(text: str) -> None:
    assert way_out(text, TALKING) is None
    assert way_out(text, ENDING) is None


@pytest.mark.parametrize("text", ["no", "Gracias.", "No, gracias, así está bien.", "I'm good."])
def test_needing_nothing_more_ends_only_what_is_ending(text: str) -> None:
    assert way_out(text, TALKING) is None
    assert way_out(text, ENDING) == "say_goodbye"


@pytest.mark.parametrize("text", ["Sí, una cosa más.", "no sé", "Nada que ver.", "Gracias a ti sé"])
def test_who_wants_more_is_not_sent_away(text: str) -> None:
    assert way_out(text, ENDING) is None


def test_what_was_not_heeded() -> None:
    def of(*turns: str) -> list[str]:
        roles = {"u": "user", "a": "assistant", "d": "developer", "t": "tool"}
        called = {"role": "assistant", "tool_calls": [{"id": "1"}]}
        return unheeded(
            [
                called if each == "c" else {"role": roles[each[0]], "content": each[2:]}
                for each in turns
            ]  # pyright: ignore[reportArgumentType]
        )

    assert of("u hola", "a hola", "d be brief", "u chau", "u adiós") == ["chau adiós", "hola"]
    assert of("u chau", "a chau", "u chau") == ["chau", "chau"]
    assert of("u chau", "c", "t {}") == []
    assert of("u chau", "c", "t {}", "a ¿algo más?", "u no") == ["no"]
    # What sums up after an event is no answer to the goodbye before it.
    assert of("u chau", "a chau", "d sum up") == []
    assert of() == []


# --- Calls that are written


def read(text: str, *, size: int = 3, offered: Sequence[str] = TALKING) -> tuple[str, list[Any]]:
    written = WrittenCalls(offered)
    said = "".join(written.add(text[at : at + size]) for at in range(0, len(text), size))
    rest, calls = written.end("")
    return said + rest, [(name, json.loads(given)) for name, given in calls]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<tool_call>\n{"name": "wrap_up", "arguments": {"title": "Un viaje"}}\n</tool_call>', ""),
        ('Claro. <tool_call>{"name": "wrap_up", "arguments": {"title": "Un viaje"}}', "Claro. "),
        ('{"name": "wrap_up", "parameters": {"title": "Un viaje"}}', ""),
        ('{"type": "function", "function": {"name": "wrap_up", "arguments": '
         '{"title": "Un viaje"}}}', ""),
        ('```json\n{"tool": "wrap_up", "args": {"title": "Un viaje"}}\n```', ""),
        ('[TOOL_CALLS] [{"name": "wrap_up", "arguments": {"title": "Un viaje"}}]', ""),
        ('<function=wrap_up>{"title": "Un viaje"}</function>', ""),
        ("```tool_code\nprint(wrap_up(title='Un viaje'))\n```", ""),
        ('wrap_up(title="Un viaje")', ""),
        ('wrap_up({"title": "Un viaje"})', ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 400])
def test_a_call_that_is_written_is_made(text: str, said: str, size: int) -> None:
    assert read(text, size=size) == (said, [("wrap_up", {"title": "Un viaje"})])


@pytest.mark.parametrize("text", ["wrap_up", "wrap_up()", "`wrap_up`", "<tool_call>wrap_up()"])
def test_a_call_may_have_no_arguments(text: str) -> None:
    said, calls = read(text)
    assert (said.strip(), calls) == ("", [("wrap_up", {})])


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "no_such_function", "arguments": {}}',
        "<tool_call>what?</tool_call>",
        "{}",
        '[{"a": 1}]',
        "```json\n{}\n```",
    ],
)
def test_markup_alone_says_nothing(text: str) -> None:
    assert read(text) == ("", [])


@pytest.mark.parametrize(
    "text",
    [
        "Hola, ¿qué tal?",
        "look",
        "Look at this: 3 < 4.",
        "remember",
        "Remember (again) the milk.",
        "Wrap it up.",
        "I <3 you",
        "a < b",
        "",
    ],
)
def test_words_are_said_as_they_are(text: str) -> None:
    assert read(text, size=1) == (text, [])


@pytest.mark.parametrize("size", [1, 400])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        # A model of 270 million parameters, behind llama.cpp, said this.
        ("<|im_end|>\n<|im_start|>admin\n<|im_end", ""),
        ("En noviembre.<end_of_turn>\n<start_of_turn>user\nGracias", "En noviembre."),
        ("En noviembre.</s>", "En noviembre."),
    ],
)
def test_nothing_that_the_model_makes_up_others_say_is_said(
    text: str, said: str, size: int
) -> None:
    assert read(text, size=size) == (said, [])


@settings(max_examples=60, deadline=None)
@given(st.text("wrap_up(){}[]<>`tool_call: \"'=,", max_size=60), st.integers(1, 9))
def test_however_it_is_cut_the_same_comes_out(text: str, size: int) -> None:
    assert read(text, size=size) == read(text, size=1)


# --- In a call


@pytest.fixture
async def server() -> AsyncGenerator[OpenAIVendor]:
    vendor = OpenAIVendor()
    async with vendor.serving():
        yield vendor


class Talk:
    """A model with the functions of a step, and what it called."""

    def __init__(self, server: OpenAIVendor, *, key: str | None = None) -> None:
        found = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": key}
        service = build_llm(Settings.model_validate(found))
        assert isinstance(service, OpenAILLMService)
        self.service, self.called = service, list[str]()
        for name in (*TALKING, *ENDING):
            service.register_function(name, self._call)

    async def _call(self, params: FunctionCallParams) -> None:
        self.called.append(params.function_name)
        await params.result_callback({"status": "done"})

    async def calls(self, count: int = 1) -> list[str]:
        async with asyncio.timeout(30):
            while len(self.called) < count:
                await asyncio.sleep(0.01)
        return self.called


def asked(*said: str, tools: Sequence[str] = TALKING) -> LLMContextFrame:
    """A context in which the person and the bot took turns."""
    messages: list[Any] = [{"role": "developer", "content": TOLD}]
    for number, text in enumerate(said):
        messages.append({"role": "assistant" if number % 2 else "user", "content": text})
    schemas = [FunctionSchema(name, "…", {}, []) for name in tools]
    return LLMContextFrame(LLMContext(messages, tools=ToolsSchema(standard_tools=[*schemas])))


def spoken(rig: Rig) -> str:
    return "".join(frame.text for frame in rig.all(LLMTextFrame))


async def test_a_goodbye_winds_up_though_the_model_only_talks(server: OpenAIVendor) -> None:
    server.model = lambda _: Reply("De nada, ¡hasta luego!")
    talk = Talk(server)
    async with rigged(talk.service) as rig:
        await rig.send(asked("gracias, chau"))
        assert await talk.calls() == ["wrap_up"]
        await rig.send(asked("gracias, chau", "¿Algo más?", "no, gracias", tools=ENDING))
        assert await talk.calls(2) == ["wrap_up", "say_goodbye"]
        assert spoken(rig) == ""
        await rig.send(asked("me despedí de mi jefe"))
        await rig.get(LLMFullResponseEndFrame, 3)
        assert spoken(rig) == "De nada, ¡hasta luego!"
    assert len(talk.called) == 2


async def test_what_the_model_calls_itself_is_left_to_it(server: OpenAIVendor) -> None:
    server.model = lambda _: Reply("Lo anoto.", (ToolCall("remember"), ToolCall("wrap_up")))
    talk = Talk(server)
    async with rigged(talk.service) as rig:
        await rig.send(asked("gracias, chau"))
        assert await talk.calls(2) == ["remember", "wrap_up"]
        assert spoken(rig) == "Lo anoto."


async def test_a_vendors_model_is_trusted_once(server: OpenAIVendor) -> None:
    server.key = "key-of-a-test"
    server.model = lambda _: Reply("Se dice así.")
    talk = Talk(server, key=server.key)
    async with rigged(talk.service) as rig:
        await rig.send(asked("chau"))
        await rig.get(LLMFullResponseEndFrame)
        assert (spoken(rig), talk.called) == ("Se dice así.", [])
        await rig.send(asked("chau", "Se dice así.", "chau"))
        assert await talk.calls() == ["wrap_up"]
        assert spoken(rig) == "Se dice así."


@pytest.mark.parametrize(
    "useless",
    [
        pytest.param("```json\n{}\n```", id="markup"),
        pytest.param("** — **", id="marks"),
        pytest.param("<|im_end|> <|im_start|>admin", id="marks of a template"),
        pytest.param("", id="nothing"),
        pytest.param(
            "Talk with the person about whatever they bring. Keep to what they", id="the prompt"
        ),
    ],
)
async def test_what_is_no_answer_is_asked_for_once_more_and_then_lost(
    server: OpenAIVendor, useless: str
) -> None:
    replies = [Reply(useless), Reply("En noviembre."), Reply(useless), Reply(useless)]

    def model(_: ChatRequest) -> Reply:
        return replies.pop(0)

    server.model = model
    talk = Talk(server)
    async with rigged(talk.service) as rig:
        await rig.send(asked("¿Cuándo?"))
        await rig.get(LLMFullResponseEndFrame)
        assert spoken(rig) == "En noviembre."
        await rig.send(asked("¿Cuándo?"))
        await rig.get(ErrorFrame)
        assert spoken(rig) == "En noviembre."
    assert replies == []
    assert talk.service.is_usable


@pytest.mark.parametrize(
    "answer",
    [
        # Short, and a coincidence.
        "Talk with the person.",
        # What somebody told may be told again.
        "My grandmother came from Oaxaca and cooked the best mole of the whole valley.",
    ],
)
async def test_words_that_stand_in_the_prompt_may_be_said(
    server: OpenAIVendor, answer: str
) -> None:
    server.model = lambda _: Reply(answer)
    talk = Talk(server)
    async with rigged(talk.service) as rig:
        await rig.send(asked("¿Cuándo?"))
        await rig.get(LLMFullResponseEndFrame)
        assert spoken(rig) == answer
    assert len(server.bodies) == 1

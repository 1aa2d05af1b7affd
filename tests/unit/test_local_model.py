"""A language model on this machine, against a server that speaks the protocol."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Iterator
from itertools import pairwise
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import ErrorFrame, LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService

from simulators.vendors.openai import OpenAIVendor, Reply
from simulators.vendors.port import ReservedPort
from simulators.vendors.rig import Rig, rigged
from sonora_app import llm
from sonora_app.call.ending.summary import look_back
from sonora_app.doctor.model_checks import examine_local_model, find_local_models
from sonora_app.errors import SettingsError
from sonora_app.llm import build_llm
from sonora_app.process.dev_runner import stand_in_table
from sonora_app.settings import Settings, Vendor
from sonora_app.vendors.openai.local_model import LocalLLMService, alternating

pytestmark = pytest.mark.unit

ANSWER = "En noviembre."
MODEL = "qwen2.5:1.5b"


@pytest.fixture
async def server() -> AsyncGenerator[OpenAIVendor]:
    vendor = OpenAIVendor()
    vendor.models = [MODEL, "llama3.2:latest", "nomic-embed-text"]
    vendor.model = lambda _: Reply(ANSWER)
    async with vendor.serving():
        yield vendor


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, level="INFO")
    yield lines
    logger.remove(sink)


def settings(url: str, **values: Any) -> Settings:
    return Settings.model_validate({"OPENAI_BASE_URL": url, "OPENAI_MODEL": MODEL, **values})


def service(server: OpenAIVendor, **values: Any) -> OpenAILLMService:
    built = build_llm(settings(server.url, **values))
    assert isinstance(built, OpenAILLMService)
    return built


def asked(*messages: Any) -> LLMContextFrame:
    return LLMContextFrame(LLMContext([*messages] or [{"role": "user", "content": "¿Cuándo?"}]))


def said(rig: Rig) -> str:
    return "".join(frame.text for frame in rig.all(LLMTextFrame))


# --- Which models are local


@pytest.mark.parametrize(
    ("url", "key", "local"),
    [
        ("http://localhost:11434/v1", None, True),
        ("http://127.0.0.1:8080/v1", None, True),
        ("http://[::1]:8000/v1", None, True),
        ("http://host.docker.internal:1234/v1", None, True),
        ("http://localhost:11434/v1", "ollama", True),
        # A gateway to a vendor.
        ("http://localhost:4000/v1", "sk-of-a-vendor", False),
        ("http://192.168.1.20:11434/v1", None, False),
        ("https://localhost.example/v1", None, False),
        ("http://[::1/v1", None, False),
        ("", None, False),
    ],
)
def test_what_counts_as_on_this_machine(url: str, key: str | None, local: bool) -> None:
    found = settings(url, OPENAI_API_KEY=key)

    assert (found.local_parts() == {Vendor.LLM}) == local
    assert (Vendor.LLM in found.stand_ins()) == (not local and key is None)
    assert ("OPENAI_API_KEY" in found.missing_keys()) == (not local and key is None)
    if not local and key is None:
        with pytest.raises(ValueError, match="needs an OpenAI key"):
            build_llm(found)
    else:
        assert isinstance(build_llm(found), LocalLLMService) == local


def test_a_deployment_may_have_its_model_beside_it() -> None:
    with pytest.raises(SettingsError) as refused:
        settings("http://localhost:8000/v1", ENV="production").check_deployable()

    assert "OPENAI_API_KEY" not in refused.value.message


def test_the_table_at_the_start_says_local() -> None:
    table = stand_in_table(settings("http://localhost:11434/v1"))

    states, players = ([*table.columns[at].cells] for at in (1, 2))
    assert states[1] == "[cyan]local[/cyan]"
    assert players[1] == f"{MODEL} at localhost:11434"


# --- Asked


async def test_it_answers_and_is_shown_no_key_of_a_vendor(server: OpenAIVendor) -> None:
    async with rigged(service(server)) as rig:
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame)

    assert said(rig) == ANSWER
    assert server.log.of("request")[-1]["headers"]["authorization"] == "Bearer none"


async def test_every_server_knows_the_roles(server: OpenAIVendor) -> None:
    talk = [
        {"role": "developer", "content": "Talk."},
        {"role": "assistant", "content": "Hola."},
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "¿Cuándo?"},
    ]
    async with rigged(service(server)) as rig:
        await rig.send(asked(*talk))
        await rig.get(LLMFullResponseEndFrame)

    assert server.bodies[-1]["messages"] == [
        {"role": "user", "content": "# Instructions\nTalk."},
        {"role": "assistant", "content": "Hola."},
        {
            "role": "user",
            "content": "# Instructions\nBe brief.\n\n# The person says\n¿Cuándo?",
        },
    ]


def test_what_is_said_next_changes_nothing_of_what_was_sent() -> None:
    talk: list[dict[str, Any]] = [
        {"role": "system", "content": "You are Sonora."},
        {"role": "developer", "content": "Talk."},
        {"role": "user", "content": "Hola."},
        {"role": "user", "content": [{"type": "text", "text": "¿Ves esto?"}]},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "{}"},
        {"role": "assistant", "content": "Sí."},
    ]
    for count in range(1, len(talk)):
        before, after = alternating(talk[:count]), alternating(talk[: count + 1])
        assert before[:-1] == after[: len(before) - 1]
        now = after[len(before) - 1]["content"] if "content" in before[-1] else None
        if isinstance(now, str):
            assert now.startswith(before[-1]["content"])
        roles = [each["role"] for each in after]
        assert all(one != two for one, two in pairwise(roles))


async def test_a_summary_is_asked_for_in_the_same_roles(server: OpenAIVendor) -> None:
    server.model = lambda _: Reply('{"title": "Un viaje", "summary": "Irá."}')
    context = LLMContext([{"role": "user", "content": "Hola."}])
    async with rigged(built := service(server)):
        told = await look_back(built, context, language="Spanish", timeout_secs=5)

    assert told.description is not None
    assert told.description.title == "Un viaje"
    assert {each["role"] for each in server.bodies[-1]["messages"]} <= {"system", "user"}


# --- What is wrong, in words


async def lost(rig: Rig, *, times: int = 1) -> str:
    await rig.send(asked())
    return (await rig.get(ErrorFrame, times)).error


async def test_a_server_that_is_not_there(server: OpenAIVendor, log: list[str]) -> None:
    async with rigged(service(server)) as rig:
        await server.go_down()
        told = await lost(rig)

    assert told == f"nothing answers at 127.0.0.1:{server.port}: start the server, or set " + (
        "OPENAI_BASE_URL"
    )
    assert told in "".join(log)


async def test_a_model_that_is_not_there(server: OpenAIVendor) -> None:
    built = service(server, OPENAI_MODEL="gpt-4.1")
    async with rigged(built) as rig:
        told = await lost(rig)

    assert "has no model gpt-4.1: set OPENAI_MODEL to one that it has" in told
    assert not built.is_usable


async def test_a_model_that_is_being_loaded(server: OpenAIVendor) -> None:
    built = service(server)
    async with rigged(built) as rig:
        server.loading = True
        assert f"has not loaded {MODEL} yet" in await lost(rig)
        server.loading = False
        await rig.send(asked())
        await rig.get(LLMFullResponseEndFrame, 2)

    assert built.is_usable
    assert said(rig) == ANSWER


async def test_a_model_that_is_too_slow_is_asked_once(
    server: OpenAIVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = dataclasses.replace(llm.LOCAL_LIMITS, first_token_secs=0.4)
    monkeypatch.setattr(llm, "LOCAL_LIMITS", hasty)
    server.model = lambda _: Reply(ANSWER, first_token_secs=5)
    async with rigged(service(server)) as rig:
        told = await lost(rig)

    assert "is too slow (no token within 0.4 s): take a smaller model" in told
    assert len(server.bodies) == 1


async def test_a_timeout_that_says_nothing_is_told_in_words(server: OpenAIVendor) -> None:
    model = service(server)
    assert isinstance(model, LocalLLMService)

    assert "is too slow (no answer in time)" in (model.in_words(TimeoutError()) or "")


# --- Found by the doctor


async def test_the_doctor_names_the_models_and_the_settings(server: OpenAIVendor) -> None:
    silent = ReservedPort()
    usual = (("Ollama", server.port), ("vLLM", silent.number))
    (found,) = await find_local_models(settings("", ENV="local"), usual)
    none = await find_local_models(settings("", ENV="local", OPENAI_API_KEY="sk-1"), usual)
    silent.release()
    state, told, advice = found

    assert state == "note"
    assert told == f"Ollama at localhost:{server.port}: {MODEL}, llama3.2:latest"
    assert f"OPENAI_BASE_URL=http://localhost:{server.port}/v1 and OPENAI_MODEL={MODEL}" in advice
    assert none == []


async def test_the_doctor_looks_at_the_model_that_is_set(server: OpenAIVendor) -> None:
    async def state(url: str = server.url, **values: str) -> tuple[str, str]:
        found = await examine_local_model(settings(url, **values))
        assert found is not None
        return found[0], found[1] + found[2]

    where = f"127.0.0.1:{server.port}"
    assert await state() == ("ok", f"{MODEL} at {where}")
    assert await state(OPENAI_MODEL="llama3.2") == ("ok", f"llama3.2 at {where}")
    kind, told = await state(OPENAI_MODEL="gpt-4.1")
    assert (kind, f"Set OPENAI_MODEL to what it has: {MODEL}, llama3.2:latest." in told) == (
        "problem",
        True,
    )
    assert (await state(server.url.removesuffix("/v1")))[0] == "problem"
    server.owner = "llamacpp"
    assert (await state(OPENAI_MODEL="gpt-4.1"))[0] == "ok"
    server.loading = True
    assert await state() == ("note", f"{where} is loading its modelWait until it is loaded.")
    server.loading, server.models = False, ()
    assert (await state())[1].startswith(f"{where} has no model")
    await server.go_down()
    await asyncio.sleep(0)
    assert (await state())[1].startswith(f"nothing answers at {where}")
    assert await examine_local_model(settings("", OPENAI_API_KEY="sk-1")) is None

"""Sums up a call that ended before the model could, and asks what it told of the person."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import yaml
from loguru import logger
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.services.openai.llm import OpenAILLMService
from pydantic import BaseModel, Field, ValidationError

from sonora_app.flow.goodbyes import way_out
from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.flow.quoted import quotations, quoted
from sonora_app.memories.person import Person
from sonora_app.memories.prompt import told_facts, without_facts
from sonora_app.memories.review import Review, SaidTurn, numbered
from sonora_app.rehearsal.wording import topics_of
from sonora_app.storage.records import utc_now

_MAX_TOKENS = 500
_MAX_TOKENS_WITH_FACTS = 1_500

_MOST_FORGOTTEN = 50
"""Of how much that was forgotten the request is told: the latest."""

_Part = TypeVar("_Part", bound=BaseModel)


class Description(BaseModel):
    """What a conversation was about."""

    title: str = Field(max_length=200)
    summary: str = Field(max_length=4_000)
    topics: list[str] = Field(default_factory=list, max_length=10)
    outcome: str = Field("", max_length=40)


@dataclass(frozen=True)
class LookBack:
    """What the model told of a call. Each is None where there was none in time, or none of use."""

    description: Description | None = None
    review: Review | None = None


async def look_back(
    llm: OpenAILLMService | LLMSwitcher[Any],
    context: LLMContext,
    *,
    language: str,
    timeout_secs: float,
    person: Person | None = None,
    turns: Sequence[SaidTurn] = (),
    forgotten: Sequence[str] = (),
) -> LookBack:
    """Have the model describe a conversation and tell of the person, in one bounded request.

    Args:
        llm: The call's language model; its pipeline need not run any more.
        context: The call's context.
        language: What to write it in, named as the prompts name it.
        timeout_secs: How long it may take, in seconds.
        person: Who talked, if anything may be kept of them.
        turns: What they said in this call.
        forgotten: What was forgotten in it, which nothing is to tell that comes of it.
    """
    request = load_summary_request()
    instruction = request["instruction"].format(language=language)
    schema = request["schema"]
    spoken = [*filter(None, map(_speech, context.get_messages()))]
    if forgotten:
        told = "\n".join(f"- {quoted(each)}" for each in forgotten[-_MOST_FORGOTTEN:])
        instruction += request["forgotten_instruction"].format(facts=told)
    if person is not None:
        instruction += request["memory_instruction"].format(
            today=utc_now().strftime("%A %Y-%m-%d"), facts=told_facts(person)
        )
        schema = {
            **schema,
            "required": [*schema["required"], *request["memory_schema"]],
            "properties": {**schema["properties"], **request["memory_schema"]},
        }
        spoken = numbered(spoken, turns)
    try:
        async with asyncio.timeout(timeout_secs):
            answer = await llm.run_inference(
                LLMContext(messages=spoken),
                max_tokens=_MAX_TOKENS if person is None else _MAX_TOKENS_WITH_FACTS,
                system_instruction=instruction,
                response_schema=schema,
            )
        told = json.loads(_without_fence(answer or ""))
    except TimeoutError:
        logger.warning(f"No summary of the conversation within {timeout_secs:g} s")
    except json.JSONDecodeError:
        logger.warning("The summary of the conversation cannot be used")
    except Exception as error:  # noqa: BLE001  # whatever the vendor's client raises: go without
        logger.warning(f"No summary of the conversation: {type(error).__name__}")
    else:
        return LookBack(
            _of_use(Description, told), _of_use(Review, told) if person is not None else None
        )
    return LookBack()


def described_in_words(said: Sequence[str], lines: Lines) -> Description | None:
    """What a conversation was about by the person's own words, where no model told it.

    Args:
        said: What the person said, oldest first.
        lines: In the language that they speak.
    """
    told = [text for text in said if way_out(text, ("say_goodbye",)) is None]
    topics = topics_of(told, lines)
    if not topics:
        return None
    title = f"{topics[0][0].upper()}{topics[0][1:200]}"
    listed = lines.text("described.and").join(filter(None, [", ".join(topics[:-1]), topics[-1]]))
    summary = lines.text("described.summary", {"topics": listed})
    return Description(title=title, summary=summary[:4_000], topics=topics[::-1], outcome="")


def _without_fence(answer: str) -> str:
    """The JSON object of an answer, which weak models put into a block of code, or into words."""
    first, last = answer.find("{"), answer.rfind("}")
    return answer[first : last + 1] if 0 <= first < last else answer


def _of_use(model: type[_Part], told: object) -> _Part | None:
    try:
        return model.model_validate(told)
    except ValidationError:
        logger.warning(f"The {model.__name__.lower()} of the conversation cannot be used")
        return None


def _speech(message: LLMContextMessage) -> LLMContextMessage | None:
    """What was said, or of an instruction what it quotes: of earlier calls, and earlier in this."""
    if not isinstance(message, dict) or not isinstance(content := message.get("content"), str):
        return None
    if message.get("role") in ("user", "assistant"):
        return message
    told = "\n".join(quotations(without_facts(content)))
    return {"role": "developer", "content": f"Summed up before: {told}"} if told else None


@cache
def load_summary_request() -> dict[str, Any]:
    """What the model is asked, from `flows/summary.yaml`, read once per process."""
    return yaml.safe_load((FLOWS_DIR / "summary.yaml").read_text(encoding="utf-8"))

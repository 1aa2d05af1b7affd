"""Writes the summary of a call that ended before the model could give one."""

import asyncio
import json
from functools import cache
from typing import Any

import yaml
from loguru import logger
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.services.openai.llm import OpenAILLMService
from pydantic import BaseModel, Field, ValidationError

from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.flow.quoted import quotations

_MAX_TOKENS = 500


class Description(BaseModel):
    """What a conversation was about."""

    title: str = Field(max_length=200)
    summary: str = Field(max_length=4_000)
    topics: list[str] = Field(default_factory=list, max_length=10)
    outcome: str = Field("", max_length=40)


async def describe_conversation(
    llm: OpenAILLMService | LLMSwitcher[Any],
    context: LLMContext,
    *,
    language: str,
    timeout_secs: float,
) -> Description | None:
    """Have the model describe a conversation, in one bounded request.

    Args:
        llm: The call's language model; its pipeline need not run any more.
        context: The call's context.
        language: What to write it in, named as the prompts name it.
        timeout_secs: How long it may take, in seconds.

    Returns:
        The description, or None when there was none in time, or none of use.
    """
    request = load_summary_request()
    spoken = [*filter(None, map(_speech, context.get_messages()))]
    try:
        async with asyncio.timeout(timeout_secs):
            answer = await llm.run_inference(
                LLMContext(messages=spoken),
                max_tokens=_MAX_TOKENS,
                system_instruction=request["instruction"].format(language=language),
                response_schema=request["schema"],
            )
        return Description.model_validate(json.loads(answer or ""))
    except TimeoutError:
        logger.warning(f"No summary of the conversation within {timeout_secs:g} s")
    except (ValidationError, json.JSONDecodeError):
        logger.warning("The summary of the conversation cannot be used")
    except Exception as error:  # noqa: BLE001  # whatever the vendor's client raises: go without
        logger.warning(f"No summary of the conversation: {type(error).__name__}")
    return None


def _speech(message: LLMContextMessage) -> LLMContextMessage | None:
    """What was said, or of an instruction what it quotes: of earlier calls, and earlier in this."""
    if not isinstance(message, dict) or not isinstance(content := message.get("content"), str):
        return None
    if message.get("role") in ("user", "assistant"):
        return message
    told = "\n".join(quotations(content))
    return {"role": "developer", "content": f"Summed up before: {told}"} if told else None


@cache
def load_summary_request() -> dict[str, Any]:
    """What the model is asked, from `flows/summary.yaml`, read once per process."""
    return yaml.safe_load((FLOWS_DIR / "summary.yaml").read_text(encoding="utf-8"))

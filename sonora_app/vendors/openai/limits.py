"""How long an answer may take, how often it is asked for, and how many steps it may have."""

from collections.abc import Mapping
from dataclasses import dataclass

from openai import Timeout
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import LLMContext

from sonora_app.runtime.retry_after import asked_wait_secs


@dataclass(frozen=True)
class AnswerLimits:
    """How long an answer may take, in seconds, and how often it is asked for.

    Parameters:
        first_token_secs: How long the first token may take before the request is given up and
            sent once more.
        second_attempt_secs: How long the first token of the second attempt may take.
        hold_on_secs: How long the first token may take before the user is asked for a moment's
            patience.
        next_token_secs: How long an answer that has begun may pause before it is given up.
        timeout: Seconds for each step of a request. `read` bounds what is not streamed: the
            summary.
        max_retries: How often OpenAI's client itself repeats a request that was refused with 408,
            409, 429 or 5xx, or that could not connect.
        retry_after_secs: How long a refusal may ask to wait before the client repeats a request;
            one that asks for longer is told at once, to a fallback or to the user.
        calls_secs: How long calls may go on coming, once they have begun to, with nothing said;
            both attempts together take no longer than theirs for a first token.
        steps_a_turn: How many answers in a row may be calls and no words. After that the model is
            asked for words.
        max_lost: How many answers in a row may be lost before the model counts as out of order.
    """

    first_token_secs: float
    second_attempt_secs: float
    hold_on_secs: float
    next_token_secs: float
    timeout: Timeout
    max_retries: int
    retry_after_secs: float
    calls_secs: float
    steps_a_turn: int
    max_lost: int


def offered_in(context: LLMContext) -> frozenset[str]:
    """The names of the functions that a model is offered with `context`."""
    tools = context.tools
    if not isinstance(tools, ToolsSchema):
        return frozenset()
    return frozenset(tool.name for tool in tools.standard_tools)


def steps_since_user(context: LLMContext) -> int:
    """How many answers that call functions there are since the user said something."""
    steps = 0
    for message in reversed(context.get_messages()):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "user":
            break
        steps += bool(message.get("tool_calls"))
    return steps


def retry_after_secs(headers: Mapping[str, str]) -> float:
    """How long a refusal asks to wait before the request is sent again, in seconds; 0 if it does
    not ask for that."""
    try:
        return float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        return asked_wait_secs(headers) or 0.0

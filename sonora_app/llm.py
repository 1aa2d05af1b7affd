"""The language model: OpenAI, or anything that speaks its chat completions API."""

from typing import Any

from openai import AsyncOpenAI, Timeout
from pipecat.services.openai.llm import OpenAILLMService

from sonora_app.settings import Settings, Vendor

FIRST_TOKEN_SECS = 6.0
"""How long the first token may take before the request is given up and sent once more."""

TIMEOUT = Timeout(connect=3.0, read=10.0, write=5.0, pool=3.0)
"""Seconds for each step of a request. `read` bounds the pause between two tokens, and the first
token of the second attempt: an answer that has not begun after 16 s never does."""

MAX_RETRIES = 1
"""How often the client itself repeats a request that was refused with 408, 409, 429 or 5xx, or
that could not connect."""


class BoundedOpenAILLMService(OpenAILLMService):
    """OpenAI's chat completions, with the client's patience set for talk.

    The client's own defaults (ten minutes, two retries) fit no conversation.
    """

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:  # noqa: ANN401  # Pipecat's signature
        """Create the client with `TIMEOUT` and `MAX_RETRIES`."""
        client = super().create_client(*args, **kwargs)
        return client.with_options(timeout=TIMEOUT, max_retries=MAX_RETRIES)


def build_llm(settings: Settings) -> OpenAILLMService:
    """The language model of a call.

    Args:
        settings: Must hold a key for it.
    """
    key = settings.key(Vendor.LLM)
    if key is None:
        raise ValueError("build_llm needs an OpenAI key")
    return BoundedOpenAILLMService(
        api_key=key.get_secret_value(),
        base_url=settings.openai_base_url or None,
        retry_on_timeout=True,
        retry_timeout_secs=FIRST_TOKEN_SECS,
        settings=BoundedOpenAILLMService.Settings(model=settings.openai_model),
    )

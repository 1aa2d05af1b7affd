"""Which language model a call has: OpenAI's, or any that speaks its chat completions API.

How it is asked is in `vendors/openai/requests.py`.
"""

from openai import Timeout
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.services.openai.llm import OpenAILLMService
from pydantic import SecretStr

from sonora_app.settings import Settings, Vendor
from sonora_app.vendors.openai.limits import AnswerLimits
from sonora_app.vendors.openai.requests import BoundedOpenAILLMService
from sonora_app.vendors.openai.switcher import InformedLLMSwitcher, ModelFailover

LIMITS = AnswerLimits(
    first_token_secs=6.0,
    second_attempt_secs=4.0,
    hold_on_secs=3.0,
    next_token_secs=4.0,
    timeout=Timeout(connect=3.0, read=10.0, write=5.0, pool=3.0),
    max_retries=1,
    retry_after_secs=1.0,
    calls_secs=8.0,
    steps_a_turn=4,
    max_lost=3,
)
"""An answer that has not begun 10 s after it was asked for never does."""


def build_llm(settings: Settings) -> OpenAILLMService | LLMSwitcher[ModelFailover]:
    """The language model of a call, and its fallback if the settings name one.

    Args:
        settings: Must hold a key for it.
    """
    key = settings.key(Vendor.LLM)
    if key is None:
        raise ValueError("build_llm needs an OpenAI key")
    if not settings.has_fallback(Vendor.LLM):
        return _service(key, settings.openai_base_url, settings.openai_model)
    services = [
        _service(key, settings.openai_base_url, settings.openai_model, attempts=1),
        _service(
            settings.openai_fallback_api_key or key,
            settings.openai_fallback_base_url or settings.openai_base_url,
            settings.openai_fallback_model or settings.openai_model,
            attempts=1,
        ),
    ]
    return InformedLLMSwitcher(services)


def _service(
    key: SecretStr, base_url: str, model: str, *, attempts: int = 2
) -> BoundedOpenAILLMService:
    return BoundedOpenAILLMService(
        limits=LIMITS,
        attempts=attempts,
        api_key=key.get_secret_value(),
        base_url=base_url or None,
        settings=BoundedOpenAILLMService.Settings(model=model),
    )

"""Which language model a call has: OpenAI's, or any that speaks its chat completions API.

How it is asked is in `vendors/openai/requests.py`.
"""

from openai import Timeout
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.services.openai.llm import OpenAILLMService
from pydantic import SecretStr

from sonora_app.settings import Settings, Vendor
from sonora_app.settings.addresses import is_local_model
from sonora_app.vendors.openai.limits import AnswerLimits
from sonora_app.vendors.openai.local_model import LocalLLMService
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

LOCAL_LIMITS = AnswerLimits(
    first_token_secs=40.0,
    second_attempt_secs=20.0,
    hold_on_secs=3.0,
    next_token_secs=10.0,
    timeout=Timeout(connect=3.0, read=60.0, write=5.0, pool=3.0),
    max_retries=1,
    retry_after_secs=1.0,
    calls_secs=30.0,
    steps_a_turn=3,
    max_lost=3,
)
"""Of a model on this machine. A model of 1.5 billion parameters on two processor cores takes 15 s
to read a call's prompt, and writes 19 tokens a second."""

_NO_KEY = SecretStr("none")
"""What a server that asks for no key is shown. OpenAI's client wants one."""


def build_llm(settings: Settings) -> OpenAILLMService | LLMSwitcher[ModelFailover]:
    """The language model of a call, and its fallback if the settings name one.

    Args:
        settings: Must hold a key for it, or the address of one on this machine.
    """
    key, url, model = settings.key(Vendor.LLM), settings.openai_base_url, settings.openai_model
    if key is None and not is_local_model(url, key):
        raise ValueError("build_llm needs an OpenAI key, or a model on this machine")
    if not settings.has_fallback(Vendor.LLM):
        return _service(key, url, model)
    services = [
        _service(key, url, model, attempts=1),
        _service(
            settings.openai_fallback_api_key or key,
            settings.openai_fallback_base_url or url,
            settings.openai_fallback_model or model,
            attempts=1,
        ),
    ]
    return InformedLLMSwitcher(services)


def _service(
    key: SecretStr | None, base_url: str, model: str, *, attempts: int = 2
) -> BoundedOpenAILLMService:
    shown = (key or _NO_KEY).get_secret_value()
    if is_local_model(base_url, key):
        return LocalLLMService(
            limits=LOCAL_LIMITS, attempts=attempts, api_key=shown, base_url=base_url, model=model
        )
    return BoundedOpenAILLMService(
        limits=LIMITS,
        attempts=attempts,
        api_key=shown,
        base_url=base_url or None,
        settings=BoundedOpenAILLMService.Settings(model=model),
    )

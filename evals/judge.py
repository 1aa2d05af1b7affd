"""The model that judges what the bot answered: the one of the settings, as the bot's own is."""

from typing import Any

from pipecat.services.openai.llm import OpenAILLMService

from sonora_app.settings import load_settings


def model(_: dict[str, Any]) -> OpenAILLMService:
    """What the scenarios name as `evals.judge.model`.

    Raises:
        SettingsError: The settings cannot be used.
        RuntimeError: They name no key.
    """
    settings = load_settings()
    if settings.openai_api_key is None:
        raise RuntimeError("Set OPENAI_API_KEY, and OPENAI_BASE_URL for another vendor's address.")
    return OpenAILLMService(
        api_key=settings.openai_api_key.get_secret_value(),
        base_url=settings.openai_base_url or None,
        settings=OpenAILLMService.Settings(model=settings.openai_model),
    )

"""What the vendors count of a call, by part, provider and model."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipecat.metrics.metrics import (
    LLMUsageMetricsData,
    MetricsData,
    STTUsageMetricsData,
    TTSUsageMetricsData,
)
from pipecat.pipeline.service_switcher import ServiceSwitcher

from sonora_app.call.services import CallServices
from sonora_app.reports.usage import ON_THIS_MACHINE, STAND_IN, Part, Used
from sonora_app.settings import Vendor
from sonora_app.settings.addresses import host_and_port

_VENDORS = {Vendor.STT: "deepgram", Vendor.LLM: "openai", Vendor.TTS: "cartesia"}
_OWN_HOSTS = frozenset({"", "api.deepgram.com", "api.openai.com", "api.cartesia.ai"})


@dataclass
class _Counts:
    audio_secs: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    answers: int = 0
    characters: int = 0
    model: str | None = None


@dataclass(frozen=True)
class _Service:
    """A service of the call, who provides it, and the model that it was set to."""

    part: Part
    provider: str
    model: str
    service: Any


@dataclass
class CallUsage:
    """What the services of one call report of their work. Each has one model for the whole call.

    Parameters:
        asked: How many answers the language model was asked for.
    """

    asked: int = 0
    _counts: dict[str, _Counts] = field(default_factory=dict[str, _Counts])

    def report(self, data: MetricsData) -> None:
        """Count what a service reports, if it is such a report."""
        if not isinstance(data, LLMUsageMetricsData | STTUsageMetricsData | TTSUsageMetricsData):
            return
        counts = self._counts.setdefault(data.processor, _Counts())
        counts.model = data.model or counts.model
        if isinstance(data, LLMUsageMetricsData):
            counts.prompt_tokens += data.value.prompt_tokens
            counts.cached_tokens += data.value.cache_read_input_tokens or 0
            counts.completion_tokens += data.value.completion_tokens
            counts.answers += 1
        elif isinstance(data, STTUsageMetricsData):
            counts.audio_secs += data.value.audio_seconds
        else:
            counts.characters += data.value

    def used(self, services: CallServices) -> tuple[Used, ...]:
        """What was used, with what the language model was asked beside the talk."""
        used: list[Used] = []
        uncounted = self.asked - sum(counts.answers for counts in self._counts.values())
        for each in _services(services):
            counts = self._counts.get(each.service.name)
            aside: Any = getattr(each.service, "aside", None)
            if each.part == "llm":
                if counts or uncounted > 0 or (aside and aside.prompt):
                    used.append(_tokens(each, counts or _Counts(), aside, max(0, uncounted)))
                    uncounted = 0
            elif counts:
                used.append(_sound(each, counts))
        return tuple(used)


def _tokens(of: _Service, counts: _Counts, aside: Any, uncounted: int) -> Used:  # noqa: ANN401
    return Used(
        part=of.part,
        provider=of.provider,
        model=counts.model or of.model,
        prompt_tokens=counts.prompt_tokens + (aside.prompt if aside else 0),
        cached_tokens=counts.cached_tokens + (aside.cached if aside else 0),
        completion_tokens=counts.completion_tokens + (aside.completion if aside else 0),
        answers=counts.answers,
        uncounted=uncounted,
    )


def _sound(of: _Service, counts: _Counts) -> Used:
    hears = of.part == "stt"
    return Used(
        part=of.part,
        provider=of.provider,
        model=counts.model or of.model,
        audio_secs=round(counts.audio_secs, 2) if hears else None,
        characters=None if hears else counts.characters,
    )


def _services(services: CallServices) -> Iterator[_Service]:
    """The services of a call, each with who provides it, the fallbacks after those they follow."""
    its = services.settings
    voices = services.tts.services if isinstance(services.tts, ServiceSwitcher) else [services.tts]
    heard = its.flux_model if its.uses_flux else its.speech_model
    llm, tts = its.openai_model, its.cartesia_model
    llm_url, tts_url = its.openai_base_url, its.cartesia_base_url
    set_to = {
        Vendor.STT: [(its.deepgram_base_url, heard)],
        Vendor.LLM: [
            (llm_url, llm),
            (its.openai_fallback_base_url or llm_url, its.openai_fallback_model or llm),
        ],
        Vendor.TTS: [
            (tts_url, tts),
            (its.cartesia_fallback_base_url or tts_url, its.cartesia_fallback_model or tts),
        ],
    }
    of = {Vendor.STT: [services.stt], Vendor.LLM: services.models, Vendor.TTS: voices}
    for vendor, each in of.items():
        for (url, model), service in zip(set_to[vendor], each, strict=False):
            yield _Service(vendor.value, _provider(services, vendor, url), model, service)


def _provider(services: CallServices, vendor: Vendor, url: str) -> str:
    if vendor in services.stand_ins:
        return STAND_IN
    if vendor in services.local:
        return ON_THIS_MACHINE
    host = host_and_port(url)
    return _VENDORS[vendor] if host in _OWN_HOSTS else host

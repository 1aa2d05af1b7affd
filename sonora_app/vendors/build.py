"""Builds the recogniser and the voice of a call: Deepgram's and Cartesia's services.

What is set on purpose, and why:

- The language, always: Deepgram and Cartesia assume English when none is given.
- Deepgram connects while the call is set up, and reconnects after a drop or a refusal
  (`deepgram/connection.py`).
- Cartesia sends the time of each word, because Pipecat asks for it. So only what was heard of an
  answer is remembered, even when Cartesia breaks off in the middle of a sentence
  (`cartesia/voice.py`).
- Markdown in the model's answer is removed before it is spoken.
"""

from collections.abc import Callable, Sequence

from pipecat.frames.frames import Frame, STTUpdateSettingsFrame, TTSUpdateSettingsFrame
from pipecat.pipeline.service_switcher import ServiceSwitcher
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language as PipecatLanguage
from pipecat.utils.text.transforms import strip_markdown

from sonora_app.settings import Language, Settings, Vendor
from sonora_app.vendors.cartesia.voice import HeardCartesiaTTSService
from sonora_app.vendors.deepgram.connection import LastingDeepgramSTTService
from sonora_app.vendors.deepgram.finalize import PromptDeepgramSTTService
from sonora_app.vendors.deepgram.flux import LastingFluxSTTService, UsersWords
from sonora_app.vendors.failover import FailoverAtOnce

NATIVE_VOICES = {
    # Latin American Spanish.
    Language.ES: "5c5ad5e7-1020-476b-8b91-fdcbe9cc313c",
    # "Katie", the American English voice that Cartesia recommends for voice agents
    # (https://docs.cartesia.ai/build-with-cartesia/tts-models/latest).
    Language.EN: "f786b574-daa5-4673-aa0c-cbe3e8534c02",
}
"""Cartesia's voice for each language, when `CARTESIA_VOICE_ID` names none."""


_MULTI = "multi"
"""What Deepgram calls any language that it recognises."""


def build_stt(
    settings: Settings,
    language: Language,
    *,
    users_words: UsersWords | None = None,
    count_others: Callable[[Sequence[str]], int] | None = None,
) -> STTService:
    """Speech recognition by Deepgram, for `language`, or for both where it may change.

    Args:
        settings: Must hold a key for it.
        language: What is spoken.
        users_words: Where the recogniser finds the turns, what leaves others' words out of them.
        count_others: Where it does not, how many words before the user's voice are others'.
    """
    key = _key(settings, Vendor.STT)
    if settings.uses_flux:
        base = settings.deepgram_base_url.rstrip("/") or "wss://api.deepgram.com"
        flux = LastingFluxSTTService(
            api_key=key,
            url=f"{base}/v2/listen",
            enable_eager_end_of_turn=settings.answer_early,
            settings=DeepgramFluxSTTService.Settings(
                model=settings.flux_model,
                language_hints=list(map(PipecatLanguage, _expected(settings, language))),
            ),
        )
        flux.users_words = users_words
        return flux
    # https://developers.deepgram.com/docs/nova-3-language-prompting
    hinted = settings.hears_both_languages and settings.speech_model.startswith("nova-3")
    nova = PromptDeepgramSTTService if settings.answer_early else LastingDeepgramSTTService
    service = nova(
        api_key=key,
        base_url=settings.deepgram_base_url,
        settings=DeepgramSTTService.Settings(
            model=settings.speech_model,
            language=_MULTI if settings.hears_both_languages else PipecatLanguage(language),
            extra={"language_hint": _expected(settings, language)} if hinted else {},
            interim_results=True,
            punctuate=True,
            smart_format=True,
            numerals=True,
        ),
    )
    service.count_others = count_others
    return service


def _expected(settings: Settings, language: Language) -> list[Language]:
    """What may be spoken, and first what is."""
    others = [each for each in Language if each is not language]
    return [language, *(others if settings.hears_both_languages else [])]


def build_tts(
    settings: Settings, language: Language, *, ahead: Sequence[str] = ()
) -> TTSService | ServiceSwitcher[FailoverAtOnce]:
    """Speech synthesis by Cartesia, with a native voice of `language`, and its fallback if the
    settings name one.

    Args:
        settings: Must hold a key for it.
        language: What is spoken.
        ahead: Lines to have made before they are due.
    """
    first = _voice(
        settings,
        language,
        base_url=settings.cartesia_base_url,
        model=settings.cartesia_model,
        voice_id=voice(settings, language),
        ahead=ahead,
    )
    if not settings.has_fallback(Vendor.TTS):
        return first
    second = _voice(
        settings,
        language,
        base_url=settings.cartesia_fallback_base_url or settings.cartesia_base_url,
        model=settings.cartesia_fallback_model or settings.cartesia_model,
        voice_id=voice(settings, language, fallback=True),
    )
    return ServiceSwitcher([first, second], FailoverAtOnce)


def _voice(
    settings: Settings,
    language: Language,
    *,
    base_url: str,
    model: str,
    voice_id: str,
    ahead: Sequence[str] = (),
) -> TTSService:
    return HeardCartesiaTTSService(
        api_key=_key(settings, Vendor.TTS),
        url=f"{base_url.rstrip('/') or 'wss://api.cartesia.ai'}/tts/websocket",
        ahead=ahead,
        text_transforms=[("*", strip_markdown)],
        settings=HeardCartesiaTTSService.Settings(
            model=model, voice=voice_id, language=PipecatLanguage(language)
        ),
    )


def voice(settings: Settings, language: Language, *, fallback: bool = False) -> str:
    """The id of Cartesia's voice for `language`, or of the one that speaks when it cannot."""
    chosen = settings.cartesia_voice_id or NATIVE_VOICES[language]
    return (settings.cartesia_fallback_voice_id or chosen) if fallback else chosen


def language_frames(
    settings: Settings,
    stt: STTService,
    tts: TTSService | ServiceSwitcher[FailoverAtOnce],
    language: Language,
) -> list[Frame]:
    """The frames that change the language of the recogniser and of the voice during a call.

    Args:
        settings: The settings.
        stt: The call's recogniser. Flux takes hints instead of a language.
        tts: The call's voice. A fallback is told as well, and has a voice of its own.
        language: What is spoken from here on.
    """
    spoken = PipecatLanguage(language)
    frames: list[Frame] = []
    if settings.hears_both_languages:
        pass  # It recognises this one already.
    elif isinstance(stt, DeepgramFluxSTTService):
        delta = DeepgramFluxSTTService.Settings(language_hints=[spoken])
        frames.append(STTUpdateSettingsFrame(delta=delta))
    else:
        delta = DeepgramSTTService.Settings(language=spoken)
        frames.append(STTUpdateSettingsFrame(delta=delta))
    voices = tts.services if isinstance(tts, ServiceSwitcher) else [tts]
    return [
        *frames,
        *(
            TTSUpdateSettingsFrame(
                service=service,
                delta=CartesiaTTSService.Settings(
                    language=spoken, voice=voice(settings, language, fallback=number > 0)
                ),
            )
            for number, service in enumerate(voices)
        ),
    ]


def _key(settings: Settings, vendor: Vendor) -> str:
    key = settings.key(vendor)
    if key is None:
        raise ValueError(f"there is no key for {vendor}")
    return key.get_secret_value()

"""The choices that a setting offers, and the names of the vendors' parts."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field


class Language(StrEnum):
    """The languages Sonora speaks."""

    ES = "es"
    EN = "en"


class Vendor(StrEnum):
    """The services that a call is made of, by what they do."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class VoiceOf(StrEnum):
    """Whose voice speaks. See `docs/local.md`."""

    CARTESIA = "cartesia"
    PIPER = "piper"


class Identity(StrEnum):
    """How a caller proves who they are. See `sonora_app/identity/callers.py`."""

    CLAIMED = "claimed"
    VERIFIED = "verified"


class MemoryMode(StrEnum):
    """Whether people are remembered. See `docs/privacy.md`."""

    ON = "on"
    ASK = "ask"
    OFF = "off"


class KnowledgeIn(StrEnum):
    """Where a call searches for documents. See `docs/knowledge.md`."""

    LOCAL = "local"
    SUPABASE = "supabase"
    MATCH_DOCUMENTS = "match_documents"


Seconds = Annotated[float, Field(gt=0)]
"""A length of time in seconds."""

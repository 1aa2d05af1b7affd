"""What can be set from outside, checked once: `Settings`, and what reads them, `load_settings`."""

from sonora_app.settings.choices import (
    Identity,
    KnowledgeIn,
    Language,
    MemoryMode,
    Vendor,
    VoiceOf,
)
from sonora_app.settings.settings import Settings, load_settings

__all__ = [
    "Identity",
    "KnowledgeIn",
    "Language",
    "MemoryMode",
    "Settings",
    "Vendor",
    "VoiceOf",
    "load_settings",
]

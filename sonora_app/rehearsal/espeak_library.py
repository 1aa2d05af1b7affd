"""The shared library of espeak-ng, and the part of its C interface that Sonora uses.

The names and values are those of its `speak_lib.h`. Only one thread at a time may use the library,
and a process can load it only once.
"""

import atexit
import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sonora_app.errors import SettingsError

EVENT_LIST_TERMINATED = 0
EVENT_WORD = 1

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_POS_CHARACTER = 1
_CHARS_UTF8 = 1

_BUFFER_MS = 200
"""How much audio the library hands over at a time."""

_LONGEST_PATH = 140
"""In bytes. The library cuts the path of its data at 160, file name included."""

_HINT = "Run `uv sync --extra rehearsal`, or set CARTESIA_API_KEY to speak with Cartesia."


class Event(ctypes.Structure):
    """Something that happens at a point of the audio, such as the beginning of a word."""

    # The last field is a union of an int, a pointer and eight characters.
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char_p),
    )


_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event)
)


class EspeakLibrary:
    """The library, loaded and started.

    Args:
        library: The shared library.
        data: Its folder `espeak-ng-data`.
        on_audio: Called in the middle of `synth` with the address of 16-bit samples (or None),
            how many there are, and an array of `Event` that ends with EVENT_LIST_TERMINATED.
            Anything but 0 as its answer ends the synthesis.

    Raises:
        OSError: The library cannot be loaded.
        RuntimeError: It cannot use its data.
    """

    def __init__(
        self, library: Path, data: Path, on_audio: Callable[[int | None, int, Any], int]
    ) -> None:
        """Load the library and start it, which takes some 10 ms."""
        self._functions = _declared(ctypes.CDLL(str(library)))
        self.sample_rate: int = self._functions.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS,
            _BUFFER_MS,
            os.fsencode(_within_reach(data)),
            _INITIALIZE_DONT_EXIT,
        )
        if self.sample_rate <= 0:
            raise RuntimeError(f"espeak-ng cannot use {data}")
        self._callback = _SynthCallback(on_audio)  # kept: the library has but a pointer to it
        self._functions.espeak_SetSynthCallback(self._callback)

    def set_voice(self, voice: str) -> None:
        """Speak with `voice` from now on.

        Raises:
            RuntimeError: There is no such voice.
        """
        if self._functions.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")

    def synth(self, text: str) -> None:
        """Speak `text`, and return when all of it was handed over or the callback ended it.

        Raises:
            RuntimeError: The library failed.
        """
        encoded = text.encode("utf-8", "replace")
        status = self._functions.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        if status != 0:
            raise RuntimeError(f"espeak-ng failed with status {status}")


def load_library(on_audio: Callable[[int | None, int, Any], int]) -> EspeakLibrary:
    """Load the library that the package espeakng-loader brings.

    Raises:
        SettingsError: The package is not installed, or does not work here.
    """
    try:
        import espeakng_loader  # pyright: ignore[reportMissingTypeStubs]  # it has none
    except ImportError as error:
        raise SettingsError(
            "The stand-in for speech synthesis is not installed (espeakng-loader).", hint=_HINT
        ) from error
    try:
        return EspeakLibrary(
            Path(espeakng_loader.get_library_path()),
            Path(espeakng_loader.get_data_path()),
            on_audio,
        )
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            f"The stand-in for speech synthesis does not work here: {error}.", hint=_HINT
        ) from error


def _declared(functions: Any) -> Any:  # noqa: ANN401  # ctypes finds them by name
    functions.espeak_Initialize.argtypes = [
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    ]
    functions.espeak_SetSynthCallback.argtypes = [_SynthCallback]
    functions.espeak_SetSynthCallback.restype = None
    functions.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    functions.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.POINTER(ctypes.c_uint),
        ctypes.c_void_p,
    ]
    return functions


def _within_reach(data: Path) -> Path:
    """A path to `data` that is short enough for the library."""
    if len(os.fsencode(data)) <= _LONGEST_PATH:
        return data
    folder = Path(tempfile.mkdtemp(prefix="espeak-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / data.name
    link.symlink_to(data, target_is_directory=True)
    return link

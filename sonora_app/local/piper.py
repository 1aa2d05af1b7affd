"""Speaks with a Piper voice inside this process: text in, audio and the time of each word out.

Piper tells no word times. They are estimated: a word takes its part of the sentence by how many
phonemes it has, so that a number takes as long as the words that it is read as.
"""

import asyncio
import importlib
import json
import os
import re
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from sonora_app.rehearsal.espeak import Speech
from sonora_app.rehearsal.written_out import written_out

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_PHONEMES = re.compile(r"(\[)(?=\[)")
"""What Piper takes for the beginning of phonemes, in place of text."""

_CHUNK_SECS = 0.5
_SILENT = 0.01
"""How loud the silence before and after a sentence is at most, as a part of the loudest."""


class PiperVoice:
    """A Piper voice in memory. All its work happens on one thread.

    Args:
        model: The `.onnx` file; its `.onnx.json` is beside it.
    """

    def __init__(self, model: Path) -> None:
        """Load the voice: half a second, and 100 MB; 150 once it has spoken. Blocks the thread."""
        # By their names, since only the extra `voice` brings them.
        piper: Any = importlib.import_module("piper")
        config: Any = importlib.import_module("piper.config")
        told = json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
        options: Any = onnxruntime.SessionOptions()  # pyright: ignore[reportUnknownVariableType]
        # Half of the processors: the calls need the others.
        options.intra_op_num_threads = max(1, (os.cpu_count() or 2) // 2)
        # Threads that wait by spinning take the processors from the calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        self._voice: Any = piper.PiperVoice(
            session=onnxruntime.InferenceSession(
                str(model), sess_options=options, providers=["CPUExecutionProvider"]
            ),
            config=config.PiperConfig.from_dict(told),
        )
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sonora-piper")

    @property
    def sample_rate(self) -> int:
        """Of the audio it makes, in Hz."""
        return self._voice.config.sample_rate

    async def speak(self, text: str, voice: str = "") -> AsyncGenerator[Speech]:
        """Speak `text`, sentence by sentence. Closing the generator stops the making.

        Args:
            text: What to say.
            voice: Not used: this is one voice.

        Raises:
            RuntimeError: The voice cannot speak it.
        """
        loop = asyncio.get_running_loop()
        began_secs = 0.0
        for sentence in _SENTENCE_END.split(text.strip()):
            try:
                samples, words = await loop.run_in_executor(self._worker, self._make, sentence)
            except Exception as error:  # onnxruntime's own, and espeak-ng's
                raise RuntimeError(f"Piper cannot speak: {type(error).__name__}") from error
            told = tuple((word, began_secs + secs) for word, secs in words)
            size = int(_CHUNK_SECS * self.sample_rate)
            for start in range(0, max(1, len(samples)), size):
                yield Speech(samples[start : start + size].tobytes(), () if start else told)
            began_secs += len(samples) / self.sample_rate

    # --- On its thread

    def _make(self, sentence: str) -> tuple[np.ndarray, list[tuple[str, float]]]:
        """The samples of a sentence, and the second at which each of its words begins."""
        chunks = [chunk.audio_int16_array for chunk in self._voice.synthesize(self._read(sentence))]
        samples: np.ndarray = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
        words = sentence.split()
        loud = np.flatnonzero(np.abs(samples) > _SILENT * np.abs(samples).max(initial=1))
        first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, 0)
        lengths = np.cumsum([0, *(self._length(word) for word in words)])
        begins = first + (last - first) * lengths[:-1] / max(1, lengths[-1])
        return samples, [
            (word, float(at) / self.sample_rate) for word, at in zip(words, begins, strict=True)
        ]

    def _length(self, word: str) -> int:
        phonemes: list[list[str]] = self._voice.phonemize(self._read(word))
        return sum(map(len, phonemes))

    def _read(self, text: str) -> str:
        return _PHONEMES.sub(r"\1 ", written_out(text, self._voice.config.espeak_voice))

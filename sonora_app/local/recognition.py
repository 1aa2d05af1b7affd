"""Recognises speech with Whisper on this machine: one model for all calls, never on the loop.

Whisper reads windows of 30 s, filled up with silence, which is most of what it costs: a second for
two words. Here the window is as long as the speech with some silence after it. What then
comes out doubtful is looked at again with a wider one, and what only repeats itself with the whole
window, as Whisper was trained.
"""

import importlib
import os
import zlib
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonora_app.errors import SettingsError
from sonora_app.runtime.memory import give_memory_back
from sonora_app.wording.translation import worded

RATE = 16_000
"""The sample rate that Whisper takes, in Hz."""

_FRAME = 160
"""Samples in a frame of Whisper's: 10 ms."""
_WHOLE_FRAMES = 3000
_AFTER_FRAMES = 800
"""The silence after the speech in a short window: 8 s. With half of it `base` got more words wrong
(`python -m benchmarks recognition`), and with less it repeats itself."""

_LANGUAGE_AFTER_FRAMES = 200
"""The same where only the language is told. Of 27 utterances 26 were told right with it as with the
whole window, which takes nine times the processor time and 100 MB more."""

_BEAMS = 5
"""How many texts are followed at once. One costs hardly less, and gets more words wrong."""

_MORE_FRAMES = 800
"""How much wider the window of a second look is."""
_DOUBTFUL = -0.8
"""The mean logarithm of the probability of a token below which a second look is taken."""

_TOKENS_A_SECOND = 12
_MORE_TOKENS = 16
_REPEATS = 2.4
"""How much shorter than itself a text is when compressed that only repeats itself."""
_UNLIKELY = -1.0
"""The mean logarithm of the probability of a token below which a text is a guess."""
_NO_SPEECH = 0.6
"""The probability that nobody spoke from which an unlikely text counts as made up. A short answer
has 0.4 to 0.5, and is likely all the same; so neither number decides alone."""


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a stretch of speech.

    Parameters:
        text: The words; empty where nothing was said.
        likelihood: The mean logarithm of the probability of a token.
        no_speech: The probability that nobody spoke.
    """

    text: str
    likelihood: float
    no_speech: float

    @property
    def repeats(self) -> bool:
        """Whether the text only repeats itself."""
        written = self.text.encode()
        return len(written) > 40 and len(written) / len(zlib.compress(written)) > _REPEATS

    @property
    def made_up(self) -> bool:
        """Whether Whisper made the text up, as it does in noise."""
        unlikely = self.likelihood < _UNLIKELY
        return self.repeats or (unlikely and self.no_speech > _NO_SPEECH)


class Recogniser:
    """A Whisper model in memory.

    Args:
        folder: The model, converted for CTranslate2.
    """

    def __init__(self, folder: Path) -> None:
        """Load the model, and run it once: 1 to 3 s and 190 MB for `base`. Blocks the thread.

        The first run is slower than the later ones by a second, and takes memory that stays.

        Raises:
            SettingsError: The model knows English alone, and would write Spanish as English.
        """
        # It would keep 2 MB of each length of input, and hardly two utterances are equally long.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")
        # Slow to import. By its name, since only the extra `local` brings it.
        whisper: Any = importlib.import_module("faster_whisper")
        # The compute type that is fastest here: 8 bits on a processor, which is half the memory.
        self._model = whisper.WhisperModel(
            str(folder),
            device="auto",
            compute_type="auto",
            # Half of the processors. Its threads wait for each other, which takes longer than to do
            # without the others where those are busy with calls.
            cpu_threads=max(1, (os.cpu_count() or 2) // 2),
        )
        if not self._model.model.is_multilingual:
            raise SettingsError(
                worded("The model in SONORA_WHISPER_MODEL knows English alone."),
                hint=worded("Name one that knows Spanish too, such as base."),
            )
        self._tokenizers: dict[str, Any] = {}
        self._lock = Lock()
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sonora-whisper")
        """Where recognitions run, one after another: each takes all processors."""
        self._pass(np.zeros(RATE, np.float32), "es", 2 * RATE // _FRAME)
        give_memory_back()

    @property
    def model(self) -> Any:  # noqa: ANN401  # faster-whisper's model, where its types are installed
        """The model itself."""
        return self._model

    def recognise(
        self, samples: NDArray[np.float32], language: str, wanted: Callable[[], bool]
    ) -> Recognised:
        """Recognise a stretch of speech. Blocks the thread.

        Args:
            samples: Mono at `RATE`, from -1 to 1.
            language: The language that is spoken, as `es`.
            wanted: Whether the result is still wanted; asked before each pass.

        Returns:
            What was said; without words where nothing was, or nothing is wanted.
        """
        nothing = Recognised("", 0.0, 1.0)
        with self._lock:
            if not wanted() or not len(samples):
                return nothing
            texts: list[Recognised] = []
            step = _WHOLE_FRAMES * _FRAME
            for start in range(0, len(samples), step):
                texts.append(self._window(samples[start : start + step], language, wanted))
        found = [each for each in texts if each.text and not each.made_up]
        if not found:
            return nothing
        return Recognised(
            " ".join(each.text for each in found),
            min(each.likelihood for each in found),
            max(each.no_speech for each in found),
        )

    def language_of(
        self, samples: NDArray[np.float32], among: Collection[str]
    ) -> tuple[str, float]:
        """Which of `among` is likeliest spoken, and its share of what is likely of all of them.

        Blocks the thread.
        """
        samples = samples[: _WHOLE_FRAMES * _FRAME]
        frames = min(_WHOLE_FRAMES, len(samples) // _FRAME + _LANGUAGE_AFTER_FRAMES)
        with self._lock:
            found = self._model.model.detect_language(self._encoded(samples, frames))[0]
        likely = {code: each for token, each in found if (code := token.strip("<|>")) in among}
        likeliest = max(likely, key=lambda code: likely[code])
        return likeliest, likely[likeliest] / (sum(likely.values()) or 1.0)

    def _window(
        self, samples: NDArray[np.float32], language: str, wanted: Callable[[], bool]
    ) -> Recognised:
        frames = min(_WHOLE_FRAMES, len(samples) // _FRAME + _AFTER_FRAMES)
        result = self._pass(samples, language, frames)
        doubtful = result.repeats or result.likelihood < _DOUBTFUL
        if not doubtful or frames == _WHOLE_FRAMES or not wanted():
            return result
        wider = _WHOLE_FRAMES if result.repeats else min(_WHOLE_FRAMES, frames + _MORE_FRAMES)
        again = self._pass(samples, language, wider)
        return again if result.repeats or again.likelihood > result.likelihood else result

    def _pass(self, samples: NDArray[np.float32], language: str, frames: int) -> Recognised:
        tokenizer = self._tokenizer(language)
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True)
        answer = self._model.model.generate(
            self._encoded(samples, frames),
            [prompt],
            beam_size=_BEAMS,
            return_scores=True,
            return_no_speech_prob=True,
            max_length=min(
                448, len(prompt) + _MORE_TOKENS + len(samples) * _TOKENS_A_SECOND // RATE
            ),
            no_repeat_ngram_size=3,
        )[0]
        text = tokenizer.decode(answer.sequences_ids[0]).strip()
        return Recognised(text, answer.scores[0], answer.no_speech_prob)

    def _encoded(self, samples: NDArray[np.float32], frames: int) -> Any:  # noqa: ANN401  # CTranslate2's
        frames += frames % 2
        heard = self._model.feature_extractor(samples)[:, :frames]
        features = np.pad(heard, ((0, 0), (0, frames - heard.shape[1])))
        return self._model.encode(np.ascontiguousarray(features))

    def _tokenizer(self, language: str) -> Any:  # noqa: ANN401  # faster-whisper's
        if language not in self._tokenizers:
            tokenizer: Any = importlib.import_module("faster_whisper.tokenizer")
            self._tokenizers[language] = tokenizer.Tokenizer(
                self._model.hf_tokenizer,
                self._model.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]

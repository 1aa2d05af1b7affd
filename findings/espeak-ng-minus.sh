#!/usr/bin/env bash
# espeak-ng leaves the minus out in Spanish and French: "-5 grados" is said as "5 grados".
#
# The guess that fails: what turns numbers into speech says their sign. The English voice does ("minus
# five"), and so do the Italian, German and Portuguese ones. At worst a text needs the true minus
# (U+2212) in place of the hyphen.
#
# What happens: the rules for Spanish, Latin American Spanish, French, Catalan and Polish have no word
# for a hyphen before a number, and drop it: frost becomes spring, a debt becomes a credit. With
# the true minus these voices say the English word, "mainus", in the midst of Spanish. Portuguese is
# the other way round: it says the hyphen and drops the true minus. Piper has its phonemes from
# espeak-ng, and so says the same.
#
# espeak-ng 1.52.0 in espeakng-loader 0.2.4, and that of piper-tts 1.8.0 (which only has another vowel
# in Portuguese). Output seen:
#   es-419: 5 sˈinko, -5 sˈinko, −5 mˈaɪnəs sˈinko
#   es: 5 θˈinko, -5 θˈinko, −5 mˈaɪnəs θˈinko
#   fr: 5 sˈɛ̃k, -5 sˈɛ̃k, −5 mˈaɪnəs sˈɛ̃k
#   pt-br: 5 sˈiŋkʊ, -5 mˈenʊs sˈiŋkʊ, −5 sˈiŋkʊ
#   it: 5 tʃˈinkwe, -5 mˈeno tʃˈinkwe, −5 mˈɛno tʃˈinkwe
#   en-us: 5 fˈaɪv, -5 mˈaɪnəs fˈaɪv, −5 mˈaɪnəs fˈaɪv
#
# What to do: write the word ("menos", "moins") before the text goes to the voice.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONUTF8=1
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'espeakng-loader==0.2.4' 'piper-tts==1.8.0'

cat > "$work/espeak.py" <<'PYTHON'
import ctypes

import espeakng_loader

_PHONEMES_AS_IPA = 2
_LIBRARY = ctypes.CDLL(espeakng_loader.get_library_path())
_LIBRARY.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
_LIBRARY.espeak_TextToPhonemes.restype = ctypes.c_char_p


def phonemes(voice: str, text: str) -> str:
    """How espeak-ng's own library says a text."""
    _LIBRARY.espeak_SetVoiceByName(voice.encode())
    rest = ctypes.pointer(ctypes.c_char_p(text.encode()))
    said = _LIBRARY.espeak_TextToPhonemes(rest, 1, _PHONEMES_AS_IPA).decode()
    # Where it changes to another language it says so in brackets.
    return "".join(part.partition(")")[2] or part for part in said.split("("))
PYTHON

cat > "$work/piper_says.py" <<'PYTHON'
import unicodedata

from piper.phonemize_espeak import EspeakPhonemizer

_PHONEMIZER = EspeakPhonemizer()


def phonemes(voice: str, text: str) -> str:
    """How a voice of Piper's says a text."""
    said = "".join(sum(_PHONEMIZER.phonemize(voice, text), []))
    return unicodedata.normalize("NFC", said)
PYTHON

cat > "$work/run.py" <<'PYTHON'
import importlib
import sys

DROP_THE_HYPHEN, SAY_IT = ("es-419", "es", "fr"), ("pt-br", "it", "en-us")


def main() -> int:
    phonemes = importlib.import_module(sys.argv[1]).phonemes
    holds = True
    for voice in DROP_THE_HYPHEN + SAY_IT:
        five, hyphen, minus = (phonemes(voice, text) for text in ("5", "-5", "\u22125"))
        print(f"{voice}: 5 {five}, -5 {hyphen}, \u22125 {minus}")
        if voice in DROP_THE_HYPHEN:
            holds = holds and hyphen == five and minus == phonemes("en-us", "minus") + " " + five
        else:
            holds = holds and hyphen != five
    return 0 if holds else 1


sys.exit(main())
PYTHON
for by in espeak piper_says espeak piper_says; do
  echo "by $by"
  "$work/venv/bin/python" "$work/run.py" "$by"
done

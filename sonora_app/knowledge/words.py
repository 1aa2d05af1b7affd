"""Words as they are compared: without case, accents and endings, or by how they sound."""

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:[.+#'’][^\W_]+)*|[^\W_]+")
_KEY_LETTERS = 7
"""Letters that two words must share at their start to count as forms of one."""

_STOP_WORDS = """
a al algo alguien algun alguna algunas alguno algunos ante antes aqui asi aun aunque bien cada
casi como con contra cosa cosas cual cuales cualquier cuando cuanta cuantas cuanto cuantos de
debe deben debo del desde donde dos e el ella ellas ellos en entonces entre era eres es esa
esas ese eso esos esta estaba estan estar estas este esto estos estoy fue gran ha hace hacen
hacer hacia hago han hasta hay haya he hola la las le les lo los mas me mi mis mismo mucho muy
nada necesito ni no nos nosotros o os otra otras otro otros para pero poco por porque pueda
puede pueden puedo pues que quien quienes quiero quisiera se sea ser si sin sirve sobre solo
son soy su sus tal tan tanto te tener tengo ti tiene tienen todo todos toda todas tu tus un
una unas uno unos usted va vamos van voy y ya yo about an and any are as at be been but by can
could did do does doing for from had has have how i if in into is it its just like may me mean
must my need not of off on one or our out should so some than that the their them then there
these they this those to too up use used using want was we were what when where which who why
will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words of Spanish and English that say nothing about what is asked."""

_SOUNDS = (
    ("ph", "f"), ("sh", "s"), ("ch", "x"), ("qu", "k"), ("gue", "ge"), ("gui", "gi"),
    ("ce", "se"), ("ci", "si"), ("ck", "k"), ("c", "k"), ("z", "s"), ("v", "b"), ("w", "u"),
    ("h", ""), ("ll", "y"), ("y", "i"), ("ee", "i"), ("oo", "u"), ("j", "g"), ("q", "k"),
)  # fmt: skip


_LITTLE_SPANISH = "el la los las de del que y en un una para con por se su es al lo como si"
_LITTLE_ENGLISH = "the of and to in is for with you your it on this that be are as can or from"
_SPANISH = frozenset(_LITTLE_SPANISH.split())
_ENGLISH = frozenset(_LITTLE_ENGLISH.split())


def language_of(text: str) -> str:
    """`es` or `en`: the language whose little words a text has more of."""
    words = words_of(text)
    spanish = sum(word in _SPANISH for word in words)
    return "en" if sum(word in _ENGLISH for word in words) > spanish else "es"


def words_of(text: str) -> list[str]:
    """The words of `text`, folded."""
    return _WORD.findall(folded(text))


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def folded(text: str) -> str:
    """`text` without case and accents; `ñ` is `n`."""
    if text.isascii():
        return text.casefold()
    return _folded(text) if len(text) < 200 else _folded.__wrapped__(text)


def key_of(word: str) -> str:
    """What the forms of a folded word have in common.

    Its plural, gender and ending are left out, in Spanish and English alike, by rule and not by a
    language's stemmer: a question may be in another language than the text.
    """
    if not word.isalpha():
        return word
    if len(word) > 4 and word.endswith("es"):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s"):
        word = word[:-1]
    if len(word) > 3 and word[-1] in "aeo":
        word = word[:-1]
    return word[:_KEY_LETTERS]


def keys_of(text: str) -> list[str]:
    """The keys of the words of `text` that say something, in order."""
    return [key_of(word) for word in words_of(text) if word not in STOP_WORDS]


@lru_cache(maxsize=65536)
def sound_of(word: str) -> str:
    """How a folded word sounds to a Spanish speaker, roughly: `cockpit` and `cocpit` are one."""
    for written, heard in _SOUNDS:
        word = word.replace(written, heard)
    return re.sub(r"(.)\1", r"\1", word)


def trigrams_of(sound: str) -> set[str]:
    """The pieces of three letters of a word, with its edges."""
    padded = f"  {sound} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}

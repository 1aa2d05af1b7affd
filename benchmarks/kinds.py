"""Kinds of turns of which it is hard to tell where they end."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.recordings import Colombian, Mexican, Volunteer
from benchmarks.speakers import SYNTHESISERS, Speaker
from benchmarks.utterance import Parts

_AT_HOME = (Volunteer(),)
_BY_TELEPHONE = (Mexican(), Colombian())


_IN_MID_SENTENCE = (
    ("Quiero reservar un hotel", 0.8, "para cuatro noches en abril"),
    ("El lunes que viene tengo que", 0.8, "llevar el coche al taller"),
    ("Me gustaría saber si", 0.8, "hay trenes directos a la costa"),
    ("Ayer fui al médico y", 0.8, "me dijo que todo estaba bien"),
)


def spelt(of: str, characters: str, pause_secs: float) -> Parts:
    """Recordings of single characters, with a pause between any two."""
    parts: list[str | float] = []
    for character in characters:
        parts += [f"{of}/{character}", pause_secs]
    return parts[:-1]


@dataclass(frozen=True)
class Kind:
    """A kind of turn.

    Parameters:
        name: What is hard about it.
        turns: Examples.
        speakers: Who says them, in turn.
        asked: What the bot has said before; empty: nothing that tells what comes.
        cut_target: How many of its turns Sonora may cut at most, as a ratio to the scaffold's.
        waste_limit: How many requests per turn Sonora may waste at most, in percent.
        wait_limit: How long Sonora's wait may be at most, in milliseconds.
    """

    name: str
    turns: Sequence[Parts]
    speakers: Sequence[Speaker] = SYNTHESISERS
    asked: str = ""
    cut_target: float | None = None
    waste_limit: float | None = None
    wait_limit: float | None = None


PAUSES = (
    Kind(
        "pause of 0.8 s in mid-sentence",
        _IN_MID_SENTENCE,
        cut_target=1.0,
        waste_limit=50.0,
    ),
    Kind(
        "pause of 0.8 s where it could be over",
        (
            ("Quiero cambiar la cita", 0.8, "porque el jueves no puedo"),
            ("Busco un regalo", 0.8, "para el cumpleaños de mi hermana"),
            ("Llamé ayer por la tarde", 0.8, "pero nadie me contestó"),
        ),
        cut_target=1.0,
    ),
)
SHORT = (
    Kind(
        "left hanging, then nothing",
        (
            ("Hola, quisiera saber…",),
            ("Pues mira, es que…",),
            ("Quiero hablar de…",),
            ("Estaba pensando…",),
        ),
        wait_limit=2000.0,
    ),
    Kind(
        "a short answer",
        (("Sí",), ("No",), ("Ajá",), ("Claro que sí",), ("El martes",), ("A las cinco",)),
    ),
)
LONG = (
    Kind(
        "a list with commas",
        (
            ("Necesito pan, leche, huevos, y un poco de queso fresco",),
            ("Vamos mi hermana, mi madre, los niños, y yo",),
            ("Trabajo lunes, martes, jueves, y algunos sábados",),
        ),
    ),
    Kind(
        "numbers said slowly",
        (
            ("Mi número es el", 0.4, "cincuenta y cinco", 0.5, "doce treinta", 0.5, "cuarenta"),
            ("Son ciento veinte", 0.5, "punto treinta", 0.5, "y dos"),
            ("El código es", 0.4, "siete cuatro", 0.5, "nueve uno", 0.5, "dos"),
        ),
    ),
    Kind(
        "a filler",
        (
            ("Me gustaría, eh,", 0.5, "viajar en tren"),
            ("Bueno, pues,", 0.5, "creo que el martes"),
            ("Quería, este,", 0.5, "cambiar la fecha"),
            ("Podemos ir, a lo mejor,", 0.5, "en coche"),
            ("Eh…", 0.8, "creo que sí"),
            ("Quería… eh…", 0.8, "cambiar la cita"),
        ),
    ),
)
RECORDINGS = (
    Kind(
        "a sentence by a person",
        (
            ("medical/stethoscope",),
            ("household/toilet",),
            ("people/toys/grannysmith",),
            ("military/vehicles/infantry-stryker",),
            ("town/roadsigns/stoplight_01_red",),
        ),
        speakers=_AT_HOME,
        cut_target=1.0,
    ),
    Kind(
        "a few words by a person",
        (
            ("animals/birds/pigeon",),
            ("clothes/hats/greenhat",),
            ("clothes/clotheshanger",),
            ("town/houses/cartoon/fairytale_castle",),
        ),
        speakers=_AT_HOME,
        cut_target=1.0,
    ),
    Kind(
        "a word by a person",
        (("digits/tomorrow",), ("digits/day-1",), ("digits/mon-3",), ("digits/yesterday",)),
        speakers=_BY_TELEPHONE,
    ),
    Kind(
        "a person's own pause, drawn out to 0.8 s",
        (
            ("space/planets/2_venus",),
            ("space/planets/5_jupiter",),
            ("seasonal/shamrock",),
            ("town/roadsigns/stoplight_03_green",),
            ("symbols/chess/b_3_bishop",),
        ),
        speakers=(Volunteer(pause_secs=0.8),),
        cut_target=1.0,
    ),
    Kind(
        "numbers dictated by a person",
        (
            spelt("digits", "5512304", 0.5),
            spelt("digits", "90817", 0.5),
            spelt("digits", "3346", 0.4),
            spelt("digits", "620158", 0.5),
        ),
        speakers=_BY_TELEPHONE,
        cut_target=1.0,
    ),
    Kind(
        "a name spelt by a person",
        (spelt("letters", "garcia", 0.4), spelt("letters", "lopez", 0.5)),
        speakers=(Mexican(),),
        cut_target=1.0,
    ),
    Kind(
        "a list by a person, with pauses of 0.5 s",
        (
            (
                "animals/birds/pigeon",
                0.5,
                "animals/mammals/deer/caribou",
                0.5,
                "animals/fish/lobster",
            ),
            ("clothes/bellbottoms", 0.5, "clothes/hats/greenhat"),
            ("animals/fish/lobster", 0.5, "household/tools/wrench_adjustable"),
        ),
        speakers=_AT_HOME,
        cut_target=1.0,
    ),
)
ASKED = (
    Kind(
        "yes or no, asked for",
        (("Sí",), ("No",), ("Claro que sí",), ("No gracias",), ("Ajá",), ("Sí por favor",)),
        asked="Tengo mesa el martes a las cinco. ¿Te parece bien?",
    ),
    Kind(
        "a code of six digits by a person, asked for",
        (
            spelt("digits", "551230", 0.6),
            spelt("digits", "908174", 0.6),
            spelt("digits", "334620", 0.5),
        ),
        speakers=_BY_TELEPHONE,
        asked="Dime el código de seis dígitos.",
        cut_target=1.0,
    ),
    Kind(
        "a name spelt by a person, asked for",
        (spelt("letters", "garcia", 0.5), spelt("letters", "lopez", 0.6)),
        speakers=(Mexican(),),
        asked="¿Cómo se escribe tu apellido?",
        cut_target=1.0,
    ),
    Kind(
        "a list by a person, asked for, with pauses of 0.8 s",
        (
            ("animals/birds/pigeon", 0.8, "animals/fish/lobster"),
            ("clothes/bellbottoms", 0.8, "clothes/hats/greenhat"),
            ("animals/fish/lobster", 0.8, "household/tools/wrench_adjustable"),
        ),
        speakers=_AT_HOME,
        asked="¿Qué cosas hay en la lista?",
        cut_target=1.0,
    ),
)
NOISY = (
    Kind(
        "in noise, a sentence by a person",
        (("household/toilet",), ("military/vehicles/infantry-stryker",)),
        speakers=_AT_HOME,
        cut_target=1.0,
    ),
    Kind(
        "in noise, a person's own pause, drawn out to 0.8 s",
        (("space/planets/5_jupiter",), ("town/roadsigns/stoplight_03_green",)),
        speakers=(Volunteer(pause_secs=0.8),),
        cut_target=1.0,
    ),
    Kind(
        "in noise, pause of 0.8 s in mid-sentence",
        (*_IN_MID_SENTENCE[:2], _IN_MID_SENTENCE[3]),
        cut_target=1.0,
    ),
    Kind(
        "in noise, a short answer",
        (("Sí",), ("Ajá",), ("El martes",)),
    ),
    Kind(
        "in noise, numbers dictated by a person",
        (spelt("digits", "90817", 0.5), spelt("digits", "5512", 0.5)),
        speakers=_BY_TELEPHONE,
        cut_target=1.0,
    ),
)

"""What the vendors ask for: `prices.yaml`, and the list that the settings name."""

import re
from datetime import date
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sonora_app.errors import SettingsError
from sonora_app.wording.translation import worded

_OURS = Path(__file__).with_name("prices.yaml")

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""What tells a snapshot of a model from the model: `gpt-4.1-2025-04-14`."""


class TokenPrices(BaseModel):
    """The prices of a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0)
    cached_input: float | None = Field(None, ge=0)
    output: float = Field(ge=0)


class Price(BaseModel):
    """What one model of one provider costs: by tokens, by minutes of audio or by characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = Field(min_length=1)
    model: str = Field(min_length=1)
    per_million_tokens: TokenPrices | None = None
    per_audio_minute: float | None = Field(None, ge=0)
    per_million_characters: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _has_one(self) -> "Price":
        given = (self.per_million_tokens, self.per_audio_minute, self.per_million_characters)
        if sum(each is not None for each in given) != 1:
            raise ValueError("a price has exactly one of the three units")
        return self


class PriceList(BaseModel):
    """Prices, as they were on one day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: date
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    prices: tuple[Price, ...] = ()

    def of(self, provider: str, model: str | None) -> Price | None:
        """The price of a model, or of the model that it is a snapshot of; None: not known."""
        for name in (model, _DATED.sub("", model or "")):
            for price in self.prices:
                if (price.provider, price.model) == (provider, name):
                    return price
        return None


@cache
def load_prices(own: Path | None) -> PriceList:
    """The prices that count, read once.

    Args:
        own: A list that counts before Sonora's: with its date, and in its currency alone, since
            nothing is changed from one into another. None names none.

    Raises:
        SettingsError: It cannot be read, or is no price list.
    """
    ours = _read(_OURS)
    if own is None:
        return ours
    theirs = _read(own)
    rest = ours.prices if theirs.currency == ours.currency else ()
    return theirs.model_copy(update={"prices": (*theirs.prices, *rest)})


def _read(path: Path) -> PriceList:
    try:
        return PriceList.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        why = error.strerror or type(error).__name__
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = _first(error)
    raise SettingsError(
        worded("The price list {file} cannot be used: {why}.", file=path, why=why),
        hint=worded("Set SONORA_PRICES to a file like sonora_app/reports/prices.yaml."),
    )


def _first(error: Exception) -> str:
    """The first problem, in one line."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    return " ".join(str(error).split())

"""What a call cost, as far as it is known."""

import datetime
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sonora_app.reports.prices import Price, PriceList
from sonora_app.reports.usage import UNPAID, Part, Used

Reason = Literal["no_price", "not_counted"]
"""Why a cost is not known: there is no price, or the vendor did not tell what it counted."""


class NotKnown(BaseModel):
    """A part of the cost that is not known, and why."""

    model_config = ConfigDict(frozen=True)

    part: Part
    provider: str
    model: str | None = None
    reason: Reason


class Cost(BaseModel):
    """What a call cost. A cost that is not known whole has no total."""

    model_config = ConfigDict(frozen=True)

    currency: str
    total: float | None = Field(description="Null where any part of it is not known.")
    known: float = Field(description="The sum of what is known: it cost at least this much.")
    not_known: tuple[NotKnown, ...] = ()
    prices_of: datetime.date = Field(description="The day of the price list.")


def cost_of(used: Iterable[Used], prices: PriceList) -> Cost:
    """What was used costs so much.

    What no vendor did costs nothing. Six places: a call costs some thousandths.
    """
    known, not_known = 0.0, list[NotKnown]()
    for each in used:
        if each.provider in UNPAID:
            continue
        price = prices.of(each.provider, each.model)
        amount = None if price is None else _amount(each, price)
        known += amount or 0.0
        reason: Reason | None = None
        if amount is None:
            reason = "no_price"
        elif each.uncounted:
            reason = "not_counted"
        if reason is not None:
            not_known.append(
                NotKnown(part=each.part, provider=each.provider, model=each.model, reason=reason)
            )
    known = round(known, 6)
    return Cost(
        currency=prices.currency,
        total=None if not_known else known,
        known=known,
        not_known=tuple(not_known),
        prices_of=prices.date,
    )


def _amount(used: Used, price: Price) -> float | None:
    """What it costs; None where the price does not say."""
    if price.per_million_tokens is not None:
        of = price.per_million_tokens
        cached, prompt = used.cached_tokens or 0, used.prompt_tokens or 0
        if cached and of.cached_input is None:
            return None
        read = (prompt - cached) * of.input + cached * (of.cached_input or 0.0)
        return (read + (used.completion_tokens or 0) * of.output) / 1e6
    if price.per_audio_minute is not None:
        return (used.audio_secs or 0.0) / 60 * price.per_audio_minute
    return (used.characters or 0) * (price.per_million_characters or 0.0) / 1e6

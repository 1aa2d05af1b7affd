"""A small booking API: the tables of one restaurant, kept in memory.

Run it beside the bot, `uv run python examples/booking/api.py`, and have the bot use it with this
folder's tools.yaml; see README.md.

It answers a request that comes twice as it did the first time: it knows the request by its
`Idempotency-Key`, which Sonora sends with each call of a tool.
"""

import argparse
import asyncio
import os
import secrets
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

HOURS = ("13:00", "14:30", "20:00", "21:30")
"""When a table can be booked, each for one party."""


@dataclass(frozen=True)
class Booking:
    """A table for a party, by the code that whoever booked it is told."""

    code: str
    name: str
    day: date
    hour: str
    people: int


class Wanted(BaseModel):
    """What is to be booked."""

    name: str
    day: date
    hour: str
    people: int


@dataclass
class Restaurant:
    """Its bookings.

    Parameters:
        bookings: Those that stand, by their code.
        requests: What was asked of it, in order: the method and the code.
        slow_secs: How long booking takes, in seconds.
    """

    bookings: dict[str, Booking] = field(default_factory=dict[str, Booking])
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    slow_secs: float = 0.0
    _answered: dict[str, Booking] = field(default_factory=dict[str, Booking])

    def free(self, day: date) -> list[str]:
        """The hours of a day that are free."""
        taken = {each.hour for each in self.bookings.values() if each.day == day}
        return [hour for hour in HOURS if hour not in taken]

    def book(self, wanted: Wanted, key: str | None) -> Booking:
        """Book a table, once for each key.

        Raises:
            HTTPException: It is taken, or there is no such hour.
        """
        if key and key in self._answered:
            return self._answered[key]
        if wanted.hour not in HOURS:
            raise HTTPException(422, f"There is no table at {wanted.hour}: {', '.join(HOURS)}.")
        if wanted.hour not in self.free(wanted.day):
            raise HTTPException(409, f"{wanted.hour} is taken.")
        booking = Booking(secrets.token_hex(2).upper(), **wanted.model_dump())
        self.bookings[booking.code] = booking
        self.requests.append(("book", booking.code))
        if key:
            self._answered[key] = booking
        return booking

    def cancel(self, code: str) -> Booking:
        """Cancel a booking.

        Raises:
            HTTPException: There is none of this code.
        """
        booking = self.bookings.pop(code.upper(), None)
        if booking is None:
            raise HTTPException(404, f"There is no booking {code}.")
        self.requests.append(("cancel", booking.code))
        return booking


def booking_api(restaurant: Restaurant, key: str) -> FastAPI:
    """The API.

    Args:
        restaurant: Whose tables it books.
        key: What whoever uses it has to show, as `Authorization: Bearer …`.
    """

    def allowed(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization, f"Bearer {key}"):
            raise HTTPException(401, "The key is wrong.")

    app = FastAPI(title="Booking", dependencies=[Depends(allowed)])

    @app.get("/tables")
    async def tables(day: date) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return {"day": day, "free": restaurant.free(day)}

    @app.post("/bookings", status_code=201)
    async def book(  # pyright: ignore[reportUnusedFunction]
        wanted: Wanted, idempotency_key: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        booking = restaurant.book(wanted, idempotency_key)
        await asyncio.sleep(restaurant.slow_secs)
        return asdict(booking)

    @app.delete("/bookings/{code}")
    async def cancel(code: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return asdict(restaurant.cancel(code))

    return app


def main() -> None:
    """Serve it on this machine."""
    parser = argparse.ArgumentParser(description="A small booking API, kept in memory.")
    parser.add_argument("--port", type=int, default=8700)
    port = parser.parse_args().port
    key = os.environ.get("BOOKING_KEY", "let-me-book")
    uvicorn.run(booking_api(Restaurant(), key), host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()

"""The booking API of examples/booking, asked as a tool asks it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest

pytestmark = pytest.mark.unit

API = Path(__file__).resolve().parents[2] / "examples" / "booking" / "api.py"
TABLE = {"name": "Ana", "day": "2026-12-04", "hour": "20:00", "people": 4}


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("booking_api", API)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def test_a_booking_that_comes_twice_is_one_booking(example: ModuleType) -> None:
    restaurant = example.Restaurant()
    app = example.booking_api(restaurant, "k")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://booking",
        headers={"Authorization": "Bearer k"},
    ) as http:

        async def free() -> list[str]:
            return (await http.get("/tables", params={"day": TABLE["day"]})).json()["free"]

        assert await free() == ["13:00", "14:30", "20:00", "21:30"]
        first, again = [
            await http.post("/bookings", json=TABLE, headers={"Idempotency-Key": "once"})
            for _ in range(2)
        ]
        assert (first.status_code, first.json()) == (201, again.json())
        assert await free() == ["13:00", "14:30", "21:30"]
        assert (await http.post("/bookings", json=TABLE)).status_code == 409
        late = {**TABLE, "hour": "03:00"}
        assert (await http.post("/bookings", json=late)).status_code == 422
        code = first.json()["code"]
        assert (await http.delete(f"/bookings/{code.lower()}")).json()["hour"] == "20:00"
        assert (await http.delete(f"/bookings/{code}")).status_code == 404
        assert restaurant.bookings == {}
        wrong = {"Authorization": "Bearer x"}
        assert (await http.get("/tables?day=2026-12-04", headers=wrong)).status_code == 401

"""What a measurement gives: values for each bot, and where they are kept."""

import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

from pydantic import BaseModel, Field

SCAFFOLD, SONORA = "scaffold", "Sonora"


class Figure(BaseModel):
    """One thing that was measured, for one bot or both.

    Parameters:
        name: What it is.
        unit: What its values are in.
        values: All of them, by the bot's name.
        target: The most that Sonora may have, as a ratio of medians to the scaffold's.
        limit: The most that Sonora's median may be, whatever the scaffold's.
        part_of: The name of the figure that this one is a part of.
    """

    name: str
    unit: str
    values: dict[str, list[float]]
    target: float | None = None
    limit: float | None = None
    part_of: str | None = None

    @property
    def rival(self) -> str:
        """Whom Sonora is measured beside: the scaffold, or another checkout of Sonora."""
        return next((name for name in self.values if name != SONORA), SCAFFOLD)

    @property
    def ratio(self) -> float | None:
        """Sonora's median to its rival's, or None where one is missing or nothing."""
        rival, sonora = (self.median(name) for name in (self.rival, SONORA))
        if rival is None or sonora is None or rival == 0:
            return None
        return sonora / rival

    def median(self, name: str) -> float | None:
        """The median of a bot's values, or None where there are none."""
        values = self.values.get(name)
        return median(values) if values else None


class Measurement(BaseModel):
    """What one measurement gave.

    Parameters:
        title: What was measured, as a heading.
        how: How, in a sentence or two.
        figures: What came of it.
        date: The day it was measured.
        traces: When each part of a typical turn ended, in milliseconds, by the bot's name.
        series: Values in the order they were taken, by the bot's name.
    """

    title: str
    how: str
    figures: list[Figure]
    date: str = Field(default_factory=lambda: date.today().isoformat())
    traces: dict[str, dict[str, float]] = Field(default_factory=dict)
    series: dict[str, list[float]] = Field(default_factory=dict)


class Results(BaseModel):
    """Everything that was measured, by the names of the measurements.

    Parameters:
        machine: What it was measured on.
        measurements: What came of it.
    """

    machine: dict[str, str]
    measurements: dict[str, Measurement] = Field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> "Results":
        """What `file` holds, or nothing yet, measured on this machine."""
        if file.exists():
            return cls.model_validate_json(file.read_text(encoding="utf-8"))
        return cls(machine=this_machine())

    def save(self, file: Path) -> None:
        """Write to `file`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.model_dump(exclude_none=True), ensure_ascii=False, indent=1)
        file.write_text(text + "\n", encoding="utf-8")


def this_machine() -> dict[str, str]:
    """What the figures depend on besides the code."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "pipecat": version("pipecat-ai"),
    }


def milliseconds(secs: list[float]) -> list[float]:
    """Seconds as milliseconds, to a tenth."""
    return [round(value * 1000, 1) for value in secs]

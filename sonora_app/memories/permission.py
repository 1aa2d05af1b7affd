"""Whether a person's memories may be used in a call, and whether something may be kept."""

from dataclasses import dataclass, replace

from sonora_app.settings import MemoryMode


@dataclass(frozen=True)
class Permission:
    """What may be done with what a person says.

    Parameters:
        mode: What the settings say.
        proven: Whether who calls is known to be that person, as far as this installation asks.
        remembers: Whether the person wants to be remembered; None has not said.
    """

    mode: MemoryMode
    proven: bool
    remembers: bool | None = None

    @property
    def uses(self) -> bool:
        """Whether what is remembered may be told to the model."""
        return self.proven and self.mode is not MemoryMode.OFF and self.remembers is not False

    @property
    def keeps(self) -> bool:
        """Whether something may be kept now."""
        return self.uses and (self.mode is MemoryMode.ON or self.remembers is True)

    @property
    def asks(self) -> bool:
        """Whether the person is to be asked first."""
        return self.uses and not self.keeps

    def chosen(self, remembers: bool) -> "Permission":
        """What may be done once the person has said whether they want it."""
        return replace(self, remembers=remembers)

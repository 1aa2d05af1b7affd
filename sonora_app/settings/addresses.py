"""Which addresses are on the machine that the bot runs on."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

_NAMES = frozenset({"localhost", "host.docker.internal", "host.containers.internal"})
"""Names of this machine. The last two are its names inside a container."""

_FILLED_IN = frozenset(
    {"none", "empty", "local", "ollama", "lm-studio", "not-needed", "sk-no-key-required"}
)
"""What the servers' own guides have people write for a key where none is needed."""


def is_local_model(url: str, key: SecretStr | None) -> bool:
    """Whether the language model at an address is one on this machine.

    With a key it is a gateway to a vendor, wherever the gateway runs.

    Args:
        url: The address; empty for a vendor's own.
        key: What is sent with each request.
    """
    shown = key.get_secret_value().strip().lower() if key is not None else ""
    return is_on_this_machine(url) and (not shown or shown in _FILLED_IN)


def is_on_this_machine(url: str) -> bool:
    """Whether a server's address is on this machine: then nothing that is said leaves it.

    Args:
        url: The address; empty for a vendor's own.
    """
    host = _host(url)
    if host in _NAMES or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_and_port(url: str) -> str:
    """The host of an address, with its port where it names one, and without a password."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return ""


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""

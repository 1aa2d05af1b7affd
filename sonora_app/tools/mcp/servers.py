"""What the section `mcp` of `flows/tools.yaml` declares: servers, and which tools they offer.

Nothing of a server is offered that is not named here: what a server adds later is not offered by
itself. Whether a tool may be repeated is declared here too, since a server's own word for it is
only a hint.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sonora_app.tools.templates import check_port

_SECRET = re.compile(r"\$\{(\w+)\}")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,23}$")]


class OfferedTool(BaseModel):
    """How one tool of a server is offered.

    Parameters:
        description: What the model is told it does; None is the server's own.
        repeatable: See `Tool`.
        confirm: See `Tool`.
        nodes: See `Tool`; None is the server's.
        time_limit_secs: See `Tool`; None is the server's.
        max_chars: See `Tool`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str | None = None
    repeatable: bool = False
    confirm: bool = False
    nodes: tuple[str, ...] | None = None
    time_limit_secs: Annotated[float, Field(gt=0, le=120)] | None = None
    max_chars: Annotated[int, Field(ge=100, le=20_000)] = 2_000


class McpServer(BaseModel):
    """One server: at an address (streamable HTTP), or a command that is run (stdio).

    Parameters:
        name: What it is called; the names of its tools begin with it.
        url: Its address.
        headers: What is sent with each request to it. `${NAME}` stands for a setting's value.
        command: What is run. Its input and output are the connection.
        args: The arguments of the command.
        env: Further environment variables for it. `${NAME}` stands for a setting's value.
        tools: Which of its tools are offered, and how.
        nodes: The nodes of the flow in which they are offered.
        time_limit_secs: How long one may take, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict[str, str])
    tools: Annotated[dict[str, OfferedTool], Field(min_length=1)]
    nodes: tuple[str, ...] = ("conversation",)
    time_limit_secs: Annotated[float, Field(gt=0, le=120)] = 10.0

    @model_validator(mode="before")
    @classmethod
    def _names_alone(cls, values: Any) -> Any:  # noqa: ANN401  # whatever the file holds
        """`tools` may be a list of names, and a tool may have nothing said of it."""
        if not isinstance(values, dict):
            return values
        given = cast(dict[str, Any], values)
        tools: object = given.get("tools")
        if isinstance(tools, list) and all(isinstance(name, str) for name in tools):  # pyright: ignore[reportUnknownVariableType]
            tools = dict.fromkeys(cast(list[str], tools))
        if isinstance(tools, dict):
            named = cast(dict[str, dict[str, Any] | None], tools)
            return {**given, "tools": {name: how or {} for name, how in named.items()}}
        return given

    @model_validator(mode="after")
    def _one_way_to_it(self) -> "McpServer":
        if (self.url is None) == (self.command is None):
            raise ValueError("a server has either `url` or `command`")
        if self.url is not None and not _is_address(self.url):
            raise ValueError("`url` is no address")
        if self.command is not None and not self.command.strip():
            raise ValueError("`command` names nothing to run")
        if not all(name.strip() for name in self.tools):
            raise ValueError("`tools` has one without a name")
        if self.headers and self.url is None:
            raise ValueError("`headers` go with `url`")
        if (self.args or self.env) and self.command is None:
            raise ValueError("`args` and `env` go with `command`")
        return self

    @property
    def secrets(self) -> frozenset[str]:
        """The settings that it names."""
        texts = (*self.headers.values(), *self.env.values())
        return frozenset(name for text in texts for name in _SECRET.findall(text))


def _is_address(url: str) -> bool:
    try:
        check_port(url)
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def filled(texts: dict[str, str], setting: Callable[[str], str]) -> dict[str, str]:
    """`texts` with the values of the settings that they name.

    Args:
        texts: Headers or environment variables.
        setting: Gives the value of a setting.
    """
    return {
        name: _SECRET.sub(lambda found: setting(found[1]), text) for name, text in texts.items()
    }


def offered_name(server: str, tool: str) -> str:
    """What the model calls a tool of a server: letters, digits, `_` and `-`, at most 64."""
    return f"{server}_{re.sub(r'[^A-Za-z0-9_-]', '_', tool)}"[:64]

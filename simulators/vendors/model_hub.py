"""A server that models are fetched from, which breaks off as lines do."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass
class ModelHub:
    """What it serves, and how badly.

    Parameters:
        files: Contents by path.
        url: Its address.
        breaks_off_after: How many bytes it sends of an answer; None for all.
        refuses: A status that it answers everything with.
        ignores_ranges: Whether it sends everything from the start.
        asked: The paths and ranges that it was asked for, in order.
        go_on: Set unless it keeps everybody waiting.
    """

    files: Mapping[str, bytes]
    url: str = ""
    breaks_off_after: int | None = None
    refuses: int | None = None
    ignores_ranges: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    go_on: Event = field(default_factory=Event)


@contextmanager
def model_hub(files: Mapping[str, bytes], *, waits: bool = False) -> Generator[ModelHub]:
    """Serve `files`, by their paths, on a free port of loopback.

    Args:
        files: Contents by path.
        waits: Whether everybody waits until `go_on` is set.
    """
    hub = ModelHub(files)
    if not waits:
        hub.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked_range = self.headers.get("Range", "")
            hub.asked.append((self.path, asked_range))
            hub.go_on.wait(30)
            content = hub.files.get(self.path)
            if hub.refuses or content is None:
                self.send_error(hub.refuses or 404)
                return
            found = re.fullmatch(r"bytes=(\d+)-", asked_range)
            begin = int(found[1]) if found and not hub.ignores_ranges else 0
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            if begin:
                self.send_header(
                    "Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            self.wfile.write(content[begin:][: hub.breaks_off_after])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield hub
        hub.go_on.set()
        server.shutdown()
        thread.join()

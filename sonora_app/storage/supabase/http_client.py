"""The HTTP client under Supabase's own: whose failures are sorted by what to do about them."""

import httpx

from sonora_app.storage.supabase.errors import sorted_error


def http_client(timeout_secs: float) -> httpx.AsyncClient:
    """Import the clients, which takes a second or two, and read the certificates.

    Args:
        timeout_secs: How long each read and write may take, in seconds.
    """
    import supabase  # pyright: ignore[reportUnusedImport]  # noqa: F401

    return httpx.AsyncClient(timeout=timeout_secs, event_hooks={"response": [_raise_for_failure]})


async def _raise_for_failure(response: httpx.Response) -> None:
    # Before the client sees it, whose own error has neither the status nor the headers.
    if not response.is_success:
        raise sorted_error(response.status_code, response.headers, await response.aread())

"""What the console's API answers with: JSON, which no other page may read and nobody keeps."""

from starlette.responses import JSONResponse

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer carries."""


def answer(data: object, status: int = 200) -> JSONResponse:
    """An answer of the API.

    Args:
        data: JSON.
        status: Its HTTP status.
    """
    return JSONResponse(data, status_code=status, headers=HEADERS)

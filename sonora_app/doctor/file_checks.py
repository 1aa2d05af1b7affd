"""Checks what is read of what people send, and where it is kept, for `sonora doctor`."""

from importlib.util import find_spec

from sonora_app.errors import SettingsError
from sonora_app.files.reading import MAX_FILE_BYTES
from sonora_app.identity.callers import Finding
from sonora_app.settings import Settings
from sonora_app.storage.files.kept_file import BUCKET
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket
from sonora_app.storage.supabase.errors import MIGRATE, SupabaseError
from sonora_app.wording.translation import worded

_PICTURES = "JPEG, PNG, WebP, GIF"


def examine_formats() -> Finding:
    """Which pictures and documents can be read here."""
    if find_spec("pypdfium2") is None or find_spec("mammoth") is None:
        return (
            "note",
            worded("{pictures} and text are read, PDF and DOCX are not", pictures=_PICTURES),
            worded("Install the extra `knowledge`, which reads them."),
        )
    found = worded(
        "{pictures}, PDF, DOCX and text are read; HEIC, AVIF and TIFF are not", pictures=_PICTURES
    )
    return "ok", found, ""


async def examine_bucket(settings: Settings) -> Finding | None:
    """The bucket that files are shipped to: whether it is there, private, and can be written.

    A file of a few bytes is written to it and removed again.

    Returns:
        None where there is no project, or where it cannot be asked, which another check tells.
    """
    try:
        if not settings.uses_supabase:
            return None
        api = await SupabaseApi.connect(settings)
    except SettingsError:
        return None
    try:
        return await _examined(Bucket(api), is_local=settings.is_local)
    except SupabaseError:
        return None
    finally:
        await api.aclose()


async def _examined(bucket: Bucket, *, is_local: bool) -> Finding:
    facts = await bucket.facts()
    if facts is None:
        found = worded("the project has no bucket {bucket}: files stay here", bucket=BUCKET)
        return "note" if is_local else "problem", found, MIGRATE
    if facts.public:
        return (
            "problem",
            worded("the bucket {bucket} is public: whoever has a link sees all", bucket=BUCKET),
            worded("Make it private in the dashboard, under Storage."),
        )
    try:
        await bucket.try_writing()
    except SupabaseError as error:
        return (
            "problem",
            worded("the bucket {bucket} cannot be written to: {error}", bucket=BUCKET, error=error),
            worded(
                "Look in the dashboard, under Storage, whether it is full and which types of "
                "files it takes."
            ),
        )
    if facts.file_size_limit is not None and facts.file_size_limit < MAX_FILE_BYTES:
        return (
            "note",
            worded(
                "the bucket {bucket} takes no files above {limit} bytes, and people may send "
                "{most}",
                bucket=BUCKET,
                limit=facts.file_size_limit,
                most=MAX_FILE_BYTES,
            ),
            worded("Raise its limit in the dashboard, under Storage; larger files stay here."),
        )
    return "ok", worded("the bucket {bucket} is private, and can be written to", bucket=BUCKET), ""

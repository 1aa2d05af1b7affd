"""Pictures as a model gets them: the right way up, in sRGB, small, and without metadata.

A phone writes into a picture where and when it was taken. None of that is kept.
"""

import io
import warnings
from dataclasses import dataclass, field
from typing import cast

from PIL import Image, ImageCms, ImageOps

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import FileError
from sonora_app.wording.translation import worded

LONGEST_EDGE = 1_568
"""In pixels. Vendors scale a larger picture down themselves, after it has been sent and paid for:
OpenAI to 2,048 and then 768 for the shorter edge, Anthropic to this."""

MAX_PIXELS = 50_000_000
"""The largest picture that is decoded: 200 MB of memory at 4 bytes a pixel. Phones make 50
megapixels; a file of some kilobytes can claim thousands of them."""

_QUALITY = 85
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
}
"""How the container of ISO/IEC 23008-12 names what is in it."""


@dataclass(frozen=True)
class SmallPicture:
    """A picture made small.

    Parameters:
        data: It as JPEG, without metadata.
        width: In pixels, as it is seen.
        height: In pixels, as it is seen.
    """

    data: bytes = field(repr=False)
    width: int
    height: int


def make_small(data: bytes) -> SmallPicture:
    """Make of a picture a JPEG as the person sees it, at most `LONGEST_EDGE` on its longest edge.

    Of an animated one it is the first picture; what is transparent becomes white.

    Raises:
        FileError: It is damaged, or has too many pixels.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; here they are refused, by a limit of our own.
            warnings.simplefilter("ignore")
            return _made_small(data)
    except FileError:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(worded("so many")) from None
    except MemoryError:
        raise FileError(
            ErrorCode.FILE_TOO_LARGE, worded("There is no memory for a picture of this size.")
        ) from None
    except Exception:  # noqa: BLE001  # Pillow's readers raise whatever damaged bytes lead to
        raise _unreadable() from None


def name_of_unread(data: bytes) -> str | None:
    """What a picture's format is called that is known and not read; None for everything else."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0":
        return "BMP"
    return "JPEG XL" if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL " else None


def _made_small(data: bytes) -> SmallPicture:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise _too_many_pixels(f"{width * height / 1e6:.0f}")
        photo = opened.format in ("JPEG", "MPO")
        profile = opened.info.get("icc_profile")
        # A JPEG is decoded at the size that is wanted, or somewhat larger.
        opened.draft(None, (LONGEST_EDGE, LONGEST_EDGE))
        # Pillow leaves half a picture grey unless it is loaded whole.
        opened.load()
        picture = _shallow(ImageOps.exif_transpose(opened))
    picture.thumbnail((LONGEST_EDGE, LONGEST_EDGE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture = _in_srgb(_on_white(picture), profile)
    written = io.BytesIO()
    # Fine coloured lines and letters of a drawing or a screenshot smear with half the colour.
    picture.save(written, "JPEG", quality=_QUALITY, subsampling=2 if photo else 0)
    return SmallPicture(written.getvalue(), *picture.size)


def _shallow(picture: Image.Image) -> Image.Image:
    """A picture with 8 bits a channel. Pillow itself cuts off what is above 255, which is white."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return picture


def _on_white(picture: Image.Image) -> Image.Image:
    """A picture without transparency."""
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if not picture.has_transparency_data:
        return picture
    layers = picture.convert("RGBA")
    paper = Image.new("RGBA", layers.size, "white")
    return Image.alpha_composite(paper, layers).convert("RGB")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None and picture.mode in ("RGB", "CMYK", "L"):
        try:
            return ImageCms.profileToProfile(
                picture,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                cast(ImageCms.ImageCmsProfile, ImageCms.createProfile("sRGB")),
                outputMode="RGB",
            ) or picture.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            # A profile that is damaged, or of another kind of picture: viewers ignore it, too.
            pass
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _too_many_pixels(megapixels: str) -> FileError:
    return FileError(
        ErrorCode.FILE_TOO_LARGE,
        worded(
            "The picture has {megapixels} megapixels; at most {most} are taken.",
            megapixels=megapixels,
            most=f"{MAX_PIXELS / 1e6:.0f}",
        ),
        hint=worded("Send a smaller one."),
    )


def _unreadable() -> FileError:
    return FileError(
        ErrorCode.FILE_UNREADABLE,
        worded("The picture is damaged or not whole."),
        hint=worded("Send it again, or another one."),
    )

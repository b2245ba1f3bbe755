"""The gate every uploaded picture passes: bytes in, one upright BGR array out, or a refusal.

The header is read and judged before a single pixel is decoded, so a decompression bomb costs its
header. Pillow works on the bytes in memory; nothing here opens a file.
"""

import io
import warnings
from typing import Final

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps, UnidentifiedImageError

from mobile_api.verify.codes import PictureRefusedError, Refusal
from mobile_api.verify.pixels import Image

BYTES_MAX: Final = 8 * 1024 * 1024  # the upload route's cap; a 12-megapixel phone JPEG has 3-6 MiB
PIXELS_MAX: Final = 50_000_000  # today's phones send 12 to 50 megapixels
SIDE_MIN: Final = 160  # below this no card field and no face is readable
SIDE_MAX_KEPT: Final = 2400  # what recognition uses; larger is scaled down here, once
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP")
_ANIMATED: Final = ("PNG", "WEBP")


def open_picture(raw: bytes) -> Image:
    """Decode an upload, upright by its EXIF mark, at most `SIDE_MAX_KEPT` pixels on its long side.

    Raises :class:`PictureRefusedError` with an ``image_…`` code.
    """
    if not raw:
        raise PictureRefusedError(Refusal.IMAGE_EMPTY)
    if len(raw) > BYTES_MAX:
        raise PictureRefusedError(Refusal.IMAGE_TOO_MANY_BYTES)
    # A switch of the whole process, which face_recognition turns on at import: then half a file
    # would pass as a picture.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        # Pillow warns about size and broken EXIF; we judge the size ourselves and need no EXIF.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(raw)
    except Pillow.DecompressionBombError:
        raise PictureRefusedError(Refusal.IMAGE_TOO_MANY_PIXELS) from None
    except UnidentifiedImageError:
        raise PictureRefusedError(Refusal.IMAGE_FORMAT) from None
    except PictureRefusedError:
        raise
    except Exception:  # noqa: BLE001 - decoders tell a broken file by whatever they trip over
        raise PictureRefusedError(Refusal.IMAGE_TRUNCATED) from None


def _decode(raw: bytes) -> Image:
    with Pillow.open(io.BytesIO(raw), formats=FORMATS) as header:
        _judge_header(header)
        header.draft("RGB", (SIDE_MAX_KEPT, SIDE_MAX_KEPT))  # JPEG: decode near the wanted size
        header.load()
        upright = ImageOps.exif_transpose(header).convert("RGB")
    upright.thumbnail((SIDE_MAX_KEPT, SIDE_MAX_KEPT), Pillow.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[:, :, ::-1])


def _judge_header(header: Pillow.Image) -> None:
    width, height = header.size
    if width * height > PIXELS_MAX:
        raise PictureRefusedError(Refusal.IMAGE_TOO_MANY_PIXELS)
    if min(width, height) < SIDE_MIN:
        raise PictureRefusedError(Refusal.IMAGE_TOO_SMALL)
    # A phone's JPEG may carry a second picture (depth, preview) without being animated.
    if header.format in _ANIMATED and getattr(header, "n_frames", 1) > 1:
        raise PictureRefusedError(Refusal.IMAGE_ANIMATED)

"""Pictures in the storage, through a list of operations, to a file beside the first."""

import io
import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from jobs.errors import TaskFailure
from jobs.work import keys
from jobs.work.operations import FORMATS, Operation, Picture, has_alpha, operation, upright

#: Formats that are read; none of them starts another program.
READABLE = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
#: The modes that each of them is written in; any other is converted.
MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("L", "LA", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("L", "RGB", "RGBA"),
    "BMP": ("L", "RGB", "RGBA"),
    "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK"),
}
MAX_BYTES = 50 * 1024 * 1024
#: A picture of more pixels than this is taken for a decompression bomb.
MAX_PIXELS = 50_000_000
#: What Pillow raises for files that are not what they say.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error)

#: Told after each step: done, total, what was done.
Progress = Callable[[int, int, str], None]


class PictureRefused(TaskFailure):
    """A file that can't be processed as a picture, however often it is tried."""

    def __init__(self, key: str, why: str) -> None:
        self.key, self.why = key, why
        super().__init__(key, why)

    def __str__(self) -> str:
        return f"{self.key} {self.why}"


def process(path: str, operations: Sequence[object], progress: Progress) -> dict[str, Any]:
    """Writes `<name>_processed.<ext>` beside the input; returns both keys, the operations and the sizes."""
    key = keys.key_of(path)
    steps = [operation(given) for given in operations]
    content = keys.read(key, MAX_BYTES)
    picture = before = opened(key, content)
    for number, step in enumerate(steps, start=1):
        picture = _applied(key, step, picture)
        progress(number, len(steps), step.op)
    result = encoded(key, picture)
    output = keys.write(keys.beside(key, "_processed", picture.extension), result)
    sizes = {"input": _size(before, content), "output": _size(picture, result)}
    return {"input": key, "output": output, "operations": [_posted(o) for o in operations], "sizes": sizes}


def opened(key: str, content: bytes) -> Picture:
    """The decoded picture; PictureRefused for foreign and truncated files and for bombs."""
    try:
        with warnings.catch_warnings():
            # Bombs are judged by MAX_PIXELS below, from the header, before a pixel is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=READABLE)
            kind = image.format or "PNG"
            _not_a_bomb(key, image.size)
            return Picture(_plain(upright(image)), *_written_as(key, kind), options=_metadata(image))
    except Image.DecompressionBombError as error:
        raise PictureRefused(key, f"has more than {MAX_PIXELS:,} pixels.") from error
    except BROKEN as error:
        raise PictureRefused(key, f"is no whole picture of {', '.join(READABLE)}: {error}") from error


def encoded(key: str, picture: Picture) -> bytes:
    """The file's bytes; PictureRefused if the format can't hold the picture."""
    out = io.BytesIO()
    try:
        _as_written(picture.image, picture.format).save(out, picture.format, **picture.options)
    except BROKEN as error:
        raise PictureRefused(key, f"can't be written as {picture.format}: {error}") from error
    return out.getvalue()


def _posted(given: object) -> object:
    """As JSON again: the signature may have read it into an Operation."""
    return given.model_dump(exclude_unset=True) if isinstance(given, Operation) else given


def _written_as(key: str, kind: str) -> tuple[str, str]:
    """Format and extension of the output: as the input, with the extension that its name has."""
    extension = PurePosixPath(key).suffix.lstrip(".").lower()
    known, usual = FORMATS.get(kind.lower(), (kind, kind.lower()))
    registered = Image.registered_extensions().get(f".{extension}")
    return known, extension if registered == known else usual


def _metadata(image: Image.Image) -> dict[str, Any]:
    """What Pillow keeps only when told to; the orientation is left out, as the pixels are turned."""
    exif = image.getexif()
    exif.pop(0x0112, None)
    found = {"exif": exif.tobytes() if exif else None, "icc_profile": image.info.get("icc_profile")}
    return {name: value for name, value in found.items() if value}


def _not_a_bomb(key: str, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise PictureRefused(key, f"has {size[0]} x {size[1]} pixels, more than {MAX_PIXELS:,}.")


def _applied(key: str, step: Operation, picture: Picture) -> Picture:
    try:
        picture = step.apply(picture)
    except BROKEN as error:
        raise PictureRefused(key, f"can't be put through {step.op}: {error}") from error
    _not_a_bomb(key, picture.image.size)
    return picture


def _as_written(image: Image.Image, kind: str) -> Image.Image:
    """In a mode that the format takes; where it knows no see-through parts they become white."""
    if image.mode in MODES[kind]:
        return image
    if not has_alpha(image):
        return image.convert("RGB")
    layer = image.convert("RGBA")
    if "RGBA" in MODES[kind]:
        return layer
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _plain(image: Image.Image) -> Image.Image:
    """In a mode that every operation works on."""
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return image
    return image.convert("RGBA" if has_alpha(image) else "RGB")


def _size(picture: Picture, content: bytes) -> dict[str, int]:
    return {"width": picture.image.width, "height": picture.image.height, "bytes": len(content)}

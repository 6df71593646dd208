"""A picture to try process_image with: uploads/photo.jpg."""

import io
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image, ImageDraw

KEY = "uploads/photo.jpg"
SIZE = (1600, 1067)


def put_sample(**_signal: Any) -> None:
    """Draws the picture into the storage, unless it is there."""
    if not default_storage.exists(KEY):
        default_storage.save(KEY, ContentFile(drawn()))


def drawn() -> bytes:
    """A station at dusk, as a JPEG of 1600 x 1067 with EXIF."""
    sky = Image.linear_gradient("L").resize(SIZE)
    image = Image.composite(Image.new("RGB", SIZE, "#f2a65a"), Image.new("RGB", SIZE, "#1d3557"), sky)
    pen = ImageDraw.Draw(image)
    pen.ellipse((1100, 560, 1300, 760), fill="#ffe8b6")
    pen.polygon([(0, 1067), (760, 660), (840, 660), (1600, 1067)], fill="#2b2d42")
    for x in (360, 1240):
        pen.line([(x, 1067), (800, 660)], fill="#edf2f4", width=8)
    pen.rectangle((180, 380, 214, 900), fill="#14213d")
    pen.rectangle((150, 380, 244, 560), fill="#14213d")
    pen.ellipse((172, 470, 222, 520), fill="#7bd389")
    exif = Image.Exif()
    exif[0x010E] = "A station at dusk"
    exif[0x010F] = "Stationmaster"
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, exif=exif)
    return out.getvalue()

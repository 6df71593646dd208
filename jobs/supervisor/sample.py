"""A picture for process_image to work on, drawn on the spot: an evening over the hills."""

import io
import math

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image, ImageDraw, ImageFilter

KEY = "uploads/photo.jpg"
WIDTH, HEIGHT = 1600, 1067
SKY, GLOW = (38, 52, 96), (250, 176, 110)
#: Height on the picture, swing, waves, colour; the farthest hill first.
HILLS = (
    (0.58, 46, 1.7, (122, 96, 128)),
    (0.68, 60, 2.6, (84, 72, 112)),
    (0.79, 38, 3.9, (52, 50, 86)),
    (0.90, 26, 5.3, (26, 28, 54)),
)


def store() -> None:
    """Put the picture into media storage, unless one stands there."""
    if not default_storage.exists(KEY):
        default_storage.save(KEY, ContentFile(draw()))


def draw() -> bytes:
    """A JPEG with a title in its metadata, so that strip_metadata has something to strip."""
    picture = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    scene = Image.composite(Image.new("RGB", picture.size, GLOW), Image.new("RGB", picture.size, SKY), picture)
    _sun(scene)
    for hill in HILLS:
        _hill(scene, *hill)
    metadata = Image.Exif()
    metadata[0x010E] = "Evening over the hills, drawn by Stationmaster"
    file = io.BytesIO()
    scene.save(file, "JPEG", quality=88, exif=metadata)
    return file.getvalue()


def _sun(scene: Image.Image) -> None:
    glow = Image.new("L", scene.size)
    pen = ImageDraw.Draw(glow)
    pen.ellipse((1020, 380, 1260, 620), fill=170)
    glow = glow.filter(ImageFilter.GaussianBlur(60))
    ImageDraw.Draw(glow).ellipse((1070, 430, 1210, 570), fill=255)
    scene.paste((255, 236, 190), mask=glow.filter(ImageFilter.GaussianBlur(2)))


def _hill(scene: Image.Image, level: float, swing: float, waves: float, colour: tuple[int, int, int]) -> None:
    line = [(x, level * HEIGHT + _rise(x / WIDTH, waves) * swing) for x in range(0, WIDTH + 1, 4)]
    ImageDraw.Draw(scene).polygon([*line, (WIDTH, HEIGHT), (0, HEIGHT)], fill=colour)


def _rise(x: float, waves: float) -> float:
    return math.sin(x * waves * 4) + 0.4 * math.sin(x * waves * 11 + waves)

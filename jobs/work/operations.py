"""The operations of process_image: each a name with defaults, or an object with parameters."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from PIL import Image, ImageOps
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from jobs.errors import TaskFailure

#: Both sides at their largest are still no decompression bomb (`images.MAX_PIXELS`).
LONGEST = 7_000
Side = Annotated[int, Field(ge=1, le=LONGEST)]
#: Format names of callers, as Pillow's name and the file's extension.
FORMATS = {"jpeg": ("JPEG", "jpg"), "jpg": ("JPEG", "jpg"), "png": ("PNG", "png"), "webp": ("WEBP", "webp")}


@dataclass(frozen=True)
class Picture:
    """An image on its way through the operations, with what its file will be."""

    image: Image.Image
    format: str
    extension: str
    #: Pillow's save options (quality, exif, ...).
    options: dict[str, Any] = field(default_factory=dict)


class Operation(BaseModel):
    """One step; `op` is its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    op: str

    def apply(self, picture: Picture) -> Picture:
        """The picture after this step."""
        raise NotImplementedError


class Resize(Operation):
    """To a width and height; with one of them the other follows."""

    op: Literal["resize"] = "resize"
    width: Side | None = None
    height: Side | None = None
    default: ClassVar[int] = 800

    def apply(self, picture: Picture) -> Picture:
        width, height = picture.image.size
        new_width = self.width or (self.default if not self.height else _side(width * self.height / height))
        new_height = self.height or _side(height * new_width / width)
        return replace(picture, image=picture.image.resize((new_width, new_height), Image.Resampling.LANCZOS))


class Thumbnail(Operation):
    """Into a box, never larger than it was."""

    op: Literal["thumbnail"] = "thumbnail"
    size: Side = 200

    def apply(self, picture: Picture) -> Picture:
        image = picture.image.copy()
        image.thumbnail((self.size, self.size), Image.Resampling.LANCZOS)
        return replace(picture, image=image)


class Compress(Operation):
    """A smaller file: quality for JPEG and WebP, optimised for all."""

    op: Literal["compress"] = "compress"
    quality: Annotated[int, Field(ge=1, le=95)] = 75

    def apply(self, picture: Picture) -> Picture:
        return replace(picture, options={**picture.options, "quality": self.quality, "optimize": True})


class Grayscale(Operation):
    """Without colours; transparency stays."""

    op: Literal["grayscale"] = "grayscale"

    def apply(self, picture: Picture) -> Picture:
        return replace(picture, image=picture.image.convert("LA" if has_alpha(picture.image) else "L"))


class Rotate(Operation):
    """Counter-clockwise, the canvas growing with it."""

    op: Literal["rotate"] = "rotate"
    degrees: Annotated[float, Field(ge=-360, le=360, validation_alias=AliasChoices("degrees", "angle"))] = 90

    def apply(self, picture: Picture) -> Picture:
        return replace(picture, image=picture.image.rotate(self.degrees, expand=True))


class Convert(Operation):
    """Into another file format."""

    op: Literal["convert"] = "convert"
    format: Annotated[Literal["jpeg", "jpg", "png", "webp"], Field()] = "webp"

    def apply(self, picture: Picture) -> Picture:
        kind, extension = FORMATS[self.format]
        return replace(picture, format=kind, extension=extension)


class StripMetadata(Operation):
    """Without EXIF, XMP and comments; the colour profile stays, colours depend on it."""

    op: Literal["strip_metadata"] = "strip_metadata"

    def apply(self, picture: Picture) -> Picture:
        kept = {name: value for name, value in picture.options.items() if name not in ("exif", "xmp", "comment")}
        image = picture.image.copy()
        image.info = {name: value for name, value in image.info.items() if name in ("icc_profile", "transparency")}
        return replace(picture, image=image, options=kept)


Name = Literal["resize", "thumbnail", "compress", "grayscale", "rotate", "convert", "strip_metadata"]
Detailed = Annotated[
    Resize | Thumbnail | Compress | Grayscale | Rotate | Convert | StripMetadata, Field(discriminator="op")
]
_detailed: TypeAdapter[Operation] = TypeAdapter(Detailed)


class OperationRefused(TaskFailure):
    """An operation that there isn't, or with parameters that it doesn't take."""

    def __init__(self, given: str, why: str) -> None:
        self.given, self.why = given, why
        super().__init__(given, why)

    def __str__(self) -> str:
        return f"{self.given} is not an operation: {self.why}"


def operation(given: object) -> Operation:
    """The operation of a name or an object; OperationRefused if there is none."""
    try:
        return _detailed.validate_python({"op": given} if isinstance(given, str) else given)
    except ValidationError as error:
        raise OperationRefused(repr(given), "; ".join(e["msg"] for e in error.errors())) from error


def _side(length: float) -> int:
    return max(1, min(LONGEST, round(length)))


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, so that later steps and readers need not know."""
    return ImageOps.exif_transpose(image)


def has_alpha(image: Image.Image) -> bool:
    """Whether some of it is see-through."""
    return "A" in image.getbands() or "transparency" in image.info

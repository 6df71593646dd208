"""Pictures: each operation, what is kept, and what is refused for good."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from jobs.errors import TaskFailure
from jobs.work import images, keys
from jobs.work.operations import OperationRefused

NO_PROGRESS = lambda done, total, note: None  # noqa: E731


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def put(key: str = "uploads/photo.jpg", size: tuple[int, int] = (400, 200), mode: str = "RGB", **options: Any) -> str:
    out = io.BytesIO()
    kind = Image.registered_extensions()[f".{key.rpartition('.')[2]}"]
    Image.effect_noise(size, 60).convert(mode).save(out, kind, **options)
    return str(default_storage.save(key, ContentFile(out.getvalue())))


def done(operations: list[object], path: str = "uploads/photo.jpg") -> tuple[dict[str, Any], Image.Image]:
    result = images.process(path, operations, NO_PROGRESS)
    with default_storage.open(result["output"]) as file:
        return result, Image.open(io.BytesIO(file.read()))


def test_the_result_names_both_files_the_operations_and_the_sizes() -> None:
    put()
    result, image = done(["resize", {"op": "compress", "quality": 40}], "/uploads/photo.jpg")
    assert (result["input"], result["output"]) == ("uploads/photo.jpg", "uploads/photo_processed.jpg")
    assert result["operations"] == ["resize", {"op": "compress", "quality": 40}]
    assert result["sizes"]["input"] == {"width": 400, "height": 200, "bytes": default_storage.size("uploads/photo.jpg")}
    assert result["sizes"]["output"] == {
        "width": image.width,
        "height": image.height,
        "bytes": default_storage.size("uploads/photo_processed.jpg"),
    }


@pytest.mark.parametrize(
    ("operation", "size"),
    [
        ("resize", (800, 400)),
        ({"op": "resize", "width": 100}, (100, 50)),
        ({"op": "resize", "height": 100}, (200, 100)),
        ({"op": "resize", "width": 30, "height": 30}, (30, 30)),
        ("thumbnail", (200, 100)),
        ({"op": "thumbnail", "size": 50}, (50, 25)),
        ({"op": "thumbnail", "size": 5000}, (400, 200)),
        ("rotate", (200, 400)),
        ({"op": "rotate", "degrees": 180}, (400, 200)),
        ({"op": "rotate", "angle": -90}, (200, 400)),
        ("compress", (400, 200)),
        ("grayscale", (400, 200)),
    ],
)
def test_an_operation_leaves_this_size(operation: object, size: tuple[int, int]) -> None:
    put()
    assert done([operation])[1].size == size


def test_compress_makes_the_file_smaller() -> None:
    put(quality=95)
    sizes = done([{"op": "compress", "quality": 30}])[0]["sizes"]
    assert sizes["output"]["bytes"] < sizes["input"]["bytes"] / 2


def test_grayscale_has_no_colours_and_keeps_what_is_see_through() -> None:
    put()
    assert done(["grayscale"])[1].mode == "L"
    put("uploads/icon.png", mode="RGBA")
    assert done(["grayscale"], "uploads/icon.png")[1].mode == "LA"


@pytest.mark.parametrize(("wanted", "kind", "extension"), [("webp", "WEBP", "webp"), ("png", "PNG", "png")])
def test_convert_changes_format_and_extension(wanted: str, kind: str, extension: str) -> None:
    put()
    result, image = done([{"op": "convert", "format": wanted}])
    assert (image.format, result["output"]) == (kind, f"uploads/photo_processed.{extension}")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L"])
def test_any_png_becomes_a_jpeg(mode: str) -> None:
    put("uploads/icon.png", mode=mode)
    assert done([{"op": "convert", "format": "jpeg"}], "uploads/icon.png")[1].format == "JPEG"


@pytest.mark.parametrize(
    ("key", "mode"), [("a.gif", "P"), ("a.bmp", "RGB"), ("a.tiff", "CMYK"), ("a.webp", "RGBA"), ("a.jpeg", "CMYK")]
)
def test_each_readable_format_goes_through_every_operation(key: str, mode: str) -> None:
    put(key, mode=mode)
    everything: list[object] = ["resize", "thumbnail", "compress", "grayscale", "rotate", "strip_metadata"]
    result, _ = done(everything, key)
    assert result["output"] == key.replace("a.", "a_processed.")


def test_metadata_is_kept_until_it_is_stripped() -> None:
    exif = Image.Exif()
    exif[0x010E] = "At home"
    put(exif=exif)
    assert done(["resize"])[1].getexif()[0x010E] == "At home"
    assert not dict(done(["strip_metadata"])[1].getexif())


def test_a_picture_stays_upright_when_its_orientation_is_stripped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    put(exif=exif)
    image = done(["strip_metadata"])[1]
    assert image.size == (200, 400)
    assert 0x0112 not in image.getexif()


def test_progress_is_told_after_each_operation() -> None:
    put()
    told: list[tuple[int, int, str]] = []
    images.process("uploads/photo.jpg", ["resize", "grayscale"], lambda *step: told.append(step))
    assert told == [(1, 2, "resize"), (2, 2, "grayscale")]


def test_a_second_run_writes_the_same_file(media: Path) -> None:
    put()
    done(["resize"])
    done(["grayscale"])
    assert sorted(path.name for path in (media / "uploads").iterdir()) == ["photo.jpg", "photo_processed.jpg"]


@pytest.mark.parametrize(
    "path",
    ["../secret.jpg", "uploads/../../secret.jpg", "/../secret.jpg", "//etc/passwd", "..\\x.jpg", "", "/", "a\0b"],
)
def test_a_path_out_of_the_storage_is_refused(path: str, media: Path) -> None:
    media.mkdir()
    Image.new("RGB", (2, 2)).save(media.parent / "secret.jpg")
    with pytest.raises(keys.PathRefused):
        images.process(path, ["resize"], NO_PROGRESS)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(keys.PathRefused, match="Upload it first"):
        images.process("uploads/nothing.jpg", ["resize"], NO_PROGRESS)


def test_a_truncated_file_is_refused() -> None:
    put()
    with default_storage.open("uploads/photo.jpg") as file:
        half = file.read()[:3000]
    keys.write("uploads/photo.jpg", half)
    with pytest.raises(images.PictureRefused):
        done(["resize"])
    assert not default_storage.exists("uploads/photo_processed.jpg")


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_a_foreign_file_is_refused(content: bytes) -> None:
    keys.write("uploads/photo.jpg", content)
    with pytest.raises(images.PictureRefused):
        done(["resize"])


@pytest.mark.parametrize("side", [8000, 30_000])
def test_a_decompression_bomb_is_refused_from_its_header(side: int) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    keys.write(
        "uploads/bomb.png", b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    with pytest.raises(images.PictureRefused, match="pixels"):
        done(["resize"], "uploads/bomb.png")


@pytest.mark.parametrize(
    "operation",
    [
        "sharpen",
        {"op": "resize", "width": 0},
        {"op": "resize", "widht": 5},
        {"width": 5},
        5,
        None,
        {"op": "compress", "quality": "a"},
    ],
)
def test_an_unknown_operation_is_refused_before_any_work(operation: object) -> None:
    put()
    with pytest.raises(OperationRefused):
        done(["resize", operation])
    assert not default_storage.exists("uploads/photo_processed.jpg")


def test_every_refusal_is_a_failure_that_is_never_retried() -> None:
    for refused in (images.PictureRefused, keys.PathRefused, OperationRefused):
        assert issubclass(refused, TaskFailure)

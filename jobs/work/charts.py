"""Bar charts: as SVG for pages, as PNG for mails."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, MARGIN, FOOT = 720, 280, 24, 36
INK, FAINT = "#22303c", "#d5dce2"
PALETTE = {
    "succeeded": "#2e8b57", "dead": "#c0392b", "cancelled": "#8e9aa6", "expired": "#d98e04",
    "running": "#2d74b8", "queued": "#7fb2dd", "scheduled": "#b7c9d9", "retrying": "#b06fc4",
    "before": "#9db4c8", "after": "#2d74b8",
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A rectangle of the chart, in its pixels."""

    x: float
    y: float
    width: float
    height: float
    name: str
    colour: str
    title: str


@dataclass(frozen=True)
class Chart:
    """Bars with the labels under them, ready to be drawn in any way."""

    bars: tuple[Bar, ...]
    #: (x of the middle, text).
    labels: tuple[tuple[float, str], ...]
    largest: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def legend(self) -> tuple[tuple[int, str, str], ...]:
        """(x, name, colour) of each kind of bar there is."""
        drawn = {bar.name: bar.colour for bar in self.bars if bar.height}
        return tuple((MARGIN + 100 * place, name, colour) for place, (name, colour) in enumerate(drawn.items()))

    @property
    def base(self) -> int:
        """The y on which the bars stand."""
        return self.height - FOOT


def grouped(columns: Sequence[tuple[str, dict[str, int]]]) -> Chart:
    """A group of bars side by side for each column (label, {name: value})."""
    largest = max((value for _, values in columns for value in values.values()), default=0)
    step, bars = _step(columns), []
    for index, (label, values) in enumerate(columns):
        wide = step * 0.8 / max(1, len(values))
        for place, (name, value) in enumerate(values.items()):
            x = MARGIN + step * (index + 0.1) + wide * place
            bars.append(_bar(x, 0, wide * 0.9, value, largest, name, label))
    return Chart(tuple(bars), _labels(columns, step), largest)


def stacked(columns: Sequence[tuple[str, dict[str, int]]]) -> Chart:
    """One bar for each column, its values upon each other."""
    largest = max((sum(values.values()) for _, values in columns), default=0)
    step, bars = _step(columns), []
    for index, (label, values) in enumerate(columns):
        below = 0
        for name, value in values.items():
            bars.append(_bar(MARGIN + step * (index + 0.15), below, step * 0.7, value, largest, name, label))
            below += value
    return Chart(tuple(bars), _labels(columns, step), largest)


def png(chart: Chart) -> bytes:
    """The chart as a PNG picture."""
    image = Image.new("RGB", (chart.width, chart.height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    pen.line([(MARGIN, chart.base), (chart.width - MARGIN, chart.base)], fill=FAINT, width=1)
    for bar in chart.bars:
        if bar.height >= 1:
            pen.rectangle((bar.x, bar.y, bar.x + bar.width, bar.y + bar.height), fill=bar.colour)
    for x, text in chart.labels:
        pen.text((x, chart.base + 8), text, fill=INK, font=font, anchor="ma")
    for x, name, colour in chart.legend:
        pen.rectangle((x, 6, x + 10, 16), fill=colour)
        pen.text((x + 16, 11), name, fill=INK, font=font, anchor="lm")
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _step(columns: Sequence[object]) -> float:
    return (WIDTH - 2 * MARGIN) / max(1, len(columns))


def _bar(x: float, below: int, width: float, value: int, largest: int, name: str, label: str) -> Bar:
    scale = (HEIGHT - FOOT - 2 * MARGIN) / max(1, largest)
    height = round(value * scale, 1)
    y = round(HEIGHT - FOOT - below * scale - height, 1)
    return Bar(round(x, 1), y, round(width, 1), height, name, PALETTE.get(name, INK), f"{label}: {name} {value:,}")


def _labels(columns: Sequence[tuple[str, object]], step: float) -> tuple[tuple[float, str], ...]:
    room = max(3, int(step / 8))
    return tuple(
        (round(MARGIN + step * (index + 0.5), 1), label if len(label) <= room else f"{label[: room - 1]}…")
        for index, (label, _) in enumerate(columns)
    )

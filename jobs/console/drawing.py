"""How facts look: a state is colour, icon and word; a time is relative, with the exact one on hover."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.spans import span
from jobs.states import State

NONE = "–"
ICONS = {
    State.SCHEDULED: "◔",
    State.QUEUED: "○",
    State.RUNNING: "▶",
    State.RETRYING: "↻",
    State.SUCCEEDED: "✓",
    State.DEAD: "✕",
    State.CANCELLED: "⊘",
    State.EXPIRED: "⌛",
}
TONES = {
    State.RUNNING: "busy",
    State.RETRYING: "warn",
    State.SUCCEEDED: "good",
    State.DEAD: "bad",
}


def badge(word: str, icon: str, tone: str = "") -> SafeString:
    """A word with its icon, coloured by its tone: "", "good", "busy", "warn" or "bad"."""
    return format_html('<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>', tone, icon, word)


def state(of: str) -> SafeString:
    """The badge of a job's state."""
    known = State(of)
    return badge(known.label, ICONS[known], TONES.get(known, ""))


def moment(at: datetime | None) -> SafeString | str:
    """`3 min ago` or `in 2 h`, with the exact time on hover."""
    if at is None:
        return NONE
    away = (timezone.now() - at).total_seconds()
    words = f"{span(away)} ago" if away >= 0 else f"in {span(-away)}"
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact(at), words)


def exact(at: datetime) -> str:
    """`2026-03-14 15:09:26 UTC`."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}"


def both(at: datetime | None) -> SafeString | str:
    """The exact time and how long ago."""
    return NONE if at is None else format_html('{} <span class="quiet">({})</span>', exact(at), moment(at))


def verbatim(text: Any) -> SafeString | str:
    """Text as it is, in a box that scrolls."""
    return format_html('<pre class="verbatim">{}</pre>', text) if text not in ("", None) else NONE

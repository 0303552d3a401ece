"""The curve of a soak, as an SVG that is a card of its own on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .watch import Sample

WIDTH, HEIGHT = 880, 470
LEFT, RIGHT = 70, 700
PANELS = ((60, 220), (290, 430))
BLUE, GREEN, GREY = "#1f5fbf", "#1c7c4a", "#6b7789"

Line = tuple[str, str, list[float]]


def chart(samples: Sequence[Sample], title: str) -> str:
    """Memory above, clients and open files below, over the minutes."""
    minutes = [each.at / 60 for each in samples]
    memory: list[Line] = [
        ("push server", BLUE, [each.push.memory / 1e6 for each in samples]),
        ("renderers, mean", GREEN, [_mean(each, lambda h: h.memory / 1e6) for each in samples]),
    ]
    counts: list[Line] = [
        ("clients", GREY, [float(each.clients) for each in samples]),
        ("files, push server", BLUE, [float(each.push.files) for each in samples]),
        ("files, renderers", GREEN, [_mean(each, lambda h: h.files) for each in samples]),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="13">',
            f"  <title>{title}</title>",
            f'  <rect x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="14"'
            ' fill="#f7f9fc" stroke="#b9c4d3"/>',
            _text(LEFT, 30, title, "#1f2733", size=16),
            *_panel(PANELS[0], minutes, memory, "resident memory, MB"),
            *_panel(PANELS[1], minutes, counts, "clients and open files"),
            _text(RIGHT, HEIGHT - 12, f"{minutes[-1]:.1f} minutes", GREY, anchor="end"),
            _text(LEFT, HEIGHT - 12, "0", GREY),
            "</svg>",
            "",
        ]
    )


def _mean(sample: Sample, value: Callable[..., float]) -> float:
    values = [value(each) for each in sample.renderers.values()]
    return sum(values) / len(values) if values else 0.0


def _panel(
    place: tuple[int, int], minutes: Sequence[float], lines: list[Line], name: str
) -> list[str]:
    top, bottom = place
    highest = _round_up(max(max(values) for _, _, values in lines))
    found = [_text(LEFT, top - 8, name, "#3d4b5f")]
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        found.append(f'  <path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#d5dce6" fill="none"/>')
        found.append(_text(LEFT - 8, y + 4, f"{share * highest:.0f}", GREY, anchor="end"))
    labels: list[float] = []
    for label, color, values in lines:
        points = " ".join(
            f"{_across(at, minutes):.1f},{bottom - value / highest * (bottom - top):.1f}"
            for at, value in zip(minutes, values, strict=True)
        )
        found.append(
            f'  <polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        )
        y = _free(bottom - values[-1] / highest * (bottom - top) + 4, labels)
        found.append(_text(RIGHT + 10, y, f"{label} {values[-1]:.0f}", color))
    return found


def _round_up(value: float) -> float:
    """The next number with one digit that is not 0: 86 becomes 90, 338 becomes 400."""
    step = 10 ** math.floor(math.log10(max(value, 1)))
    return math.ceil(value / step) * step


def _free(y: float, taken: list[float]) -> float:
    """A height for a label at which there is none yet."""
    while any(abs(y - each) < 16 for each in taken):
        y -= 4
    taken.append(y)
    return y


def _across(at: float, minutes: Sequence[float]) -> float:
    return LEFT + at / (minutes[-1] or 1) * (RIGHT - LEFT)


def _text(
    x: float, y: float, text: str, fill: str, *, anchor: str = "start", size: int = 13
) -> str:
    return (
        f'  <text x="{x}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}"'
        f' font-size="{size}">{text}</text>'
    )

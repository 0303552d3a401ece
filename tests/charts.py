"""Curves as an SVG that is a card of its own on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 880, 470
LEFT, RIGHT = 70, 700
PANELS = ((60, 220), (290, 430))
BLUE, GREEN, GREY = "#1f5fbf", "#1c7c4a", "#6b7789"

Line = tuple[str, str, list[float]]
"""A label, a colour, and the values."""


@dataclass(frozen=True)
class Panel:
    """Lines on one scale."""

    name: str
    lines: list[Line]


def chart(
    title: str, places: Sequence[float], panels: tuple[Panel, Panel], marks: Sequence[str]
) -> str:
    """Two panels, one above the other.

    Arguments:
        title: what it shows.
        places: where each value of each line is from left to right, between 0 and 1.
        panels: the upper and the lower one.
        marks: what stands below the first place and the last, or below each.
    """
    ends = places if len(marks) == len(places) else (places[0], places[-1])
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="13">',
            f"  <title>{title}</title>",
            f'  <rect x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="14"'
            ' fill="#f7f9fc" stroke="#b9c4d3"/>',
            _text(LEFT, 30, title, "#1f2733", size=16),
            *_panel(PANELS[0], places, panels[0]),
            *_panel(PANELS[1], places, panels[1]),
            *(_mark(place, mark) for place, mark in zip(ends, marks, strict=True)),
            "</svg>",
            "",
        ]
    )


def _panel(place: tuple[int, int], places: Sequence[float], panel: Panel) -> list[str]:
    top, bottom = place
    highest = _round_up(max(max(values) for _, _, values in panel.lines))
    found = [_text(LEFT, top - 8, panel.name, "#3d4b5f")]
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        found.append(f'  <path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#d5dce6" fill="none"/>')
        found.append(_text(LEFT - 8, y + 4, f"{share * highest:,.0f}", GREY, anchor="end"))
    labels: list[float] = []
    for label, color, values in panel.lines:
        points = " ".join(
            f"{_across(at):.1f},{bottom - value / highest * (bottom - top):.1f}"
            for at, value in zip(places, values, strict=True)
        )
        found.append(
            f'  <polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        )
        y = _free(bottom - values[-1] / highest * (bottom - top) + 4, labels)
        found.append(_text(RIGHT + 10, y, f"{label} {values[-1]:,.0f}", color))
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


def _across(place: float) -> float:
    return LEFT + place * (RIGHT - LEFT)


def _mark(place: float, text: str) -> str:
    anchor = {0.0: "start", 1.0: "end"}.get(place, "middle")
    return _text(_across(place), HEIGHT - 12, text, GREY, anchor=anchor)


def _text(
    x: float, y: float, text: str, fill: str, *, anchor: str = "start", size: int = 13
) -> str:
    return (
        f'  <text x="{x:g}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}"'
        f' font-size="{size}">{text}</text>'
    )

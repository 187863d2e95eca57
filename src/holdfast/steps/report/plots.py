"""Plots as inline SVG, in the page's colours (light, dark, print); the same figures give the same bytes."""

import math
from collections.abc import Collection, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 420.0
ROW = 26.0
LEFT, NAME = 140.0, 18  # space for the labels of rows, in units and in characters


class Estimate(NamedTuple):
    """One labelled value with its interval."""

    label: str
    value: float
    low: float
    high: float


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".").replace("-0", "0") if abs(value) < 0.05 else f"{value:.1f}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from within [low, high], 1, 2 or 5 times a power of ten apart."""
    span = max(high - low, 1e-9)
    step = 10.0 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    return [round(i * step, 10) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _label(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """The values' range with zero in it and a margin."""
    low, high = min([0.0, *values]), max([0.0, *values])
    margin = max((high - low) * 0.06, 0.5)
    return low - margin, high + margin


def _svg(width: float, height: float, title: str, parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_number(width)} {_number(height)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'


def _name(x: float, y: float, label: str) -> str:
    """The label of a row, ending at `x`; a long one is shortened, with the whole as a tooltip."""
    if len(label) <= NAME:
        return _text(x, y, label, "name", "end")
    at = f'x="{_number(x)}" y="{_number(y)}" text-anchor="end"'
    return f'<text {at} class="name"><title>{escape(label)}</title>{escape(_cut(label))}</text>'


def _cut(label: str) -> str:
    return label if len(label) <= NAME else f"{label[: NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}" class="{css}"/>'


def intervals(rows: Sequence[Estimate], title: str, axis: str) -> str:
    """A row for each estimate: a point with its interval, over a common axis with zero marked."""
    left, right, top = LEFT, WIDTH - 10, 6.0
    bottom = top + ROW * len(rows)
    low, high = _bounds([bound for row in rows for bound in (row.low, row.high)])

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = [_line(x(tick), top, x(tick), bottom, "zero" if tick == 0 else "grid") for tick in ticks(low, high)]
    parts += [_text(x(tick), bottom + 15, _label(tick), "tick", "middle") for tick in ticks(low, high)]
    parts.append(_text((left + right) / 2, bottom + 32, axis, "axis", "middle"))
    for i, row in enumerate(rows):
        y = top + ROW * (i + 0.5)
        side = "good" if row.low > 0 else "bad" if row.high < 0 else "even"
        parts.append(_name(left - 8, y + 4, row.label))
        parts.append(_line(x(row.low), y, x(row.high), y, f"whisker {side}"))
        parts.append(f'<circle cx="{_number(x(row.value))}" cy="{_number(y)}" r="4.5" class="dot {side}"/>')
    return _svg(WIDTH, bottom + 40, title, parts)


def staircase(points: Sequence[tuple[float, float]], left: float, bottom: float) -> list[tuple[float, float]]:
    """Corners of the line below and left of which some point is at least as far right and as high (y grows upwards)."""
    corners, at = [], left
    for i, (x, y) in enumerate(
        found := sorted(p for p in points if not any(q[0] >= p[0] and q[1] > p[1] for q in points))
    ):
        corners += [(at, y), (x, y)]
        at = x if i + 1 < len(found) else at
    return [*corners, (corners[-1][0], bottom)] if corners else []


def scatter(
    rows: Sequence[tuple[Estimate, Estimate]], title: str, x_axis: str, y_axis: str, best: Collection[str] = ()
) -> str:
    """A cross for each (x, y) pair of estimates, with both intervals; the base is at the origin.

    The labels in `best` are marked, and joined by a line where no other point is above and to the right.
    """
    left, right, top, bottom = 46.0, WIDTH - 12, 10.0, 300.0
    x_low, x_high = _bounds([bound for general, _ in rows for bound in (general.low, general.high)])
    y_low, y_high = _bounds([bound for _, domain in rows for bound in (domain.low, domain.high)])

    def x(value: float) -> float:
        return left + (value - x_low) / (x_high - x_low) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - y_low) / (y_high - y_low) * (bottom - top)

    parts = [_line(x(t), top, x(t), bottom, "zero" if t == 0 else "grid") for t in ticks(x_low, x_high)]
    parts += [_line(left, y(t), right, y(t), "zero" if t == 0 else "grid") for t in ticks(y_low, y_high)]
    parts += [_text(x(t), bottom + 15, _label(t), "tick", "middle") for t in ticks(x_low, x_high)]
    parts += [_text(left - 6, y(t) + 4, _label(t), "tick", "end") for t in ticks(y_low, y_high)]
    parts.append(_text((left + right) / 2, bottom + 33, x_axis, "axis", "middle"))
    parts.append(_turned(11, (top + bottom) / 2, y_axis))
    corners = staircase([(g.value, d.value) for g, d in rows if g.label in best], x_low, y_low)
    if corners:
        path = " ".join(f"{_number(x(across))},{_number(y(up))}" for across, up in corners)
        parts.append(f'<polyline points="{path}" class="line edge"/>')
    taken: list[tuple[float, float, float]] = []  # left, right and base line of the labels so far
    for general, domain in sorted(rows, key=lambda row: row[1].value):
        cx, cy = x(general.value), y(domain.value)
        side = "good" if general.label in best else "even"
        parts.append(_line(x(general.low), cy, x(general.high), cy, f"whisker {side}"))
        parts.append(_line(cx, y(domain.low), cx, y(domain.high), f"whisker {side}"))
        parts.append(f'<circle cx="{_number(cx)}" cy="{_number(cy)}" r="4.5" class="dot {side}"/>')
        label, leftwards = _cut(general.label), cx > (left + right) / 2
        wide = 6.8 * len(label)
        start = cx - 8 - wide if leftwards else cx + 8
        shifts = [shift for i in range(20) for shift in (-8 - 13 * i, 16 + 13 * i)]  # above, below, further above, …
        free = (
            cy + shift
            for shift in shifts
            if top + 10 <= cy + shift <= bottom - 4
            and not any(start < end and begin < start + wide and abs(cy + shift - at) < 13 for begin, end, at in taken)
        )
        ly = next(free, cy)
        taken.append((start, start + wide, ly))
        parts.append(_text(cx + (-8 if leftwards else 8), ly, label, "name", "end" if leftwards else "start"))
    return _svg(WIDTH, bottom + 42, title, parts)


def change_bars(rows: Sequence[tuple[str, float, float]], title: str, axis: str) -> str:
    """A row for each (label, forgotten, learned): bars to the left and to the right of a common line."""
    left, right, top = LEFT, WIDTH - 10, 20.0
    bottom = top + ROW * len(rows)
    most = max([1.0, *(max(forgotten, learned) for _, forgotten, learned in rows)])
    centre, half = (left + right) / 2, (right - left) / 2 - 26
    parts = [
        _text(centre - 8, 12, "\N{LEFTWARDS ARROW} forgotten", "tick", "end"),
        _text(centre + 8, 12, "learned \N{RIGHTWARDS ARROW}", "tick"),
    ]
    for i, (label, forgotten, learned) in enumerate(rows):
        y, height = top + ROW * i + 5, ROW - 10
        parts.append(_name(left - 8, y + height - 3, label))
        for size, css, sign in ((forgotten, "bad", -1), (learned, "good", 1)):
            length = size / most * half
            start = centre - length if sign < 0 else centre
            x, y_top, wide, high = map(_number, (start, y, length, height))
            parts.append(f'<rect x="{x}" y="{y_top}" width="{wide}" height="{high}" class="bar {css}"/>')
            parts.append(
                _text(centre + sign * (length + 4), y + height - 3, f"{size:g}", "tick", "end" if sign < 0 else "start")
            )
    parts.append(_line(centre, top, centre, bottom, "zero"))
    parts.append(_text(centre, bottom + 16, axis, "axis", "middle"))
    return _svg(WIDTH, bottom + 24, title, parts)


def curves(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    title: str,
    x_axis: str,
    y_axis: str,
    bars: Sequence[Sequence[tuple[float, float, float]]] = (),
) -> str:
    """Up to three lines of (x, y) points over common axes; a lone point is a dot. The y axis starts at zero.

    `bars`: of each line intervals (x, low, high), none below zero.
    """
    left, right, top, bottom = 52.0, WIDTH - 12, 22.0, 190.0
    points = [point for _, line in series for point in line]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_high = max([*(y for _, y in points), *(high for line in bars for _, _, high in line)]) * 1.05 or 1.0

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - x_low) / ((x_high - x_low) or 1.0)
        return left + across * (right - left), bottom - point[1] / y_high * (bottom - top)

    parts = [_line(left, y, right, y, "grid") for t in ticks(0, y_high, 5) for y in [place((x_low, t))[1]]]
    parts += [_text(left - 6, place((x_low, t))[1] + 4, _label(t), "tick", "end") for t in ticks(0, y_high, 5)]
    parts += [_text(place((t, 0))[0], bottom + 15, _label(t), "tick", "middle") for t in ticks(x_low, x_high, 5)]
    parts.append(_text((left + right) / 2, bottom + 33, x_axis, "axis", "middle"))
    parts.append(_turned(11, (top + bottom) / 2, y_axis))
    for (_, line), side in zip(series, ("even", "bad", "good"), strict=False):
        if len(line) > 1:
            path = " ".join(f"{_number(x)},{_number(y)}" for x, y in map(place, sorted(line)))
            parts.append(f'<polyline points="{path}" class="line {side}"/>')
        else:
            x, y = place(line[0])
            parts.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="4.5" class="dot {side}"/>')
    for whiskers, side in zip(bars, ("even", "bad", "good"), strict=False):
        for at, low, high in whiskers:
            (x, below), (_, above) = place((at, low)), place((at, high))
            parts.append(_line(x, below, x, above, f"whisker {side}"))
    parts += _legend([name for name, _ in series], right)
    return _svg(WIDTH, bottom + 42, title, parts)


def histogram(bins: Sequence[tuple[str, float, float]], names: tuple[str, str], title: str, axis: str) -> str:
    """Two bars for each (label, first, second), each as a share of its own total, in per cent."""
    left, right, top, bottom = 46.0, WIDTH - 10, 22.0, 190.0
    all_first, all_second = sum(row[1] for row in bins) or 1, sum(row[2] for row in bins) or 1
    shares = [(label, 100 * first / all_first, 100 * second / all_second) for label, first, second in bins]
    most = max([1.0, *(max(first, second) for _, first, second in shares)]) * 1.05
    wide = (right - left) / max(len(bins), 1)
    parts = []
    for tick in ticks(0, most, 5):
        y = bottom - tick / most * (bottom - top)
        parts += [_line(left, y, right, y, "grid"), _text(left - 6, y + 4, f"{_label(tick)} %", "tick", "end")]
    for i, (label, first, second) in enumerate(shares):
        x = left + wide * i
        parts.append(_text(x + wide / 2, bottom + 15, label, "tick", "middle"))
        for j, (share, side) in enumerate(((first, "even"), (second, "good"))):
            height, bar = share / most * (bottom - top), wide * 0.4
            at = f'x="{_number(x + wide * 0.1 + bar * j)}" y="{_number(bottom - height)}"'
            parts.append(f'<rect {at} width="{_number(bar)}" height="{_number(height)}" class="bar {side}"/>')
    parts.append(_text((left + right) / 2, bottom + 33, axis, "axis", "middle"))
    parts += _legend(list(names), right, ("even", "good"))
    return _svg(WIDTH, bottom + 42, title, parts)


def _legend(names: list[str], right: float, sides: tuple[str, ...] = ("even", "bad", "good")) -> list[str]:
    """Names beside a dash of their colour, above the plot, from the right."""
    parts, x = [], right
    for name, side in reversed(list(zip(names, sides, strict=False))):
        parts.append(_text(x, 12, name, "tick", "end"))
        x -= 6.2 * len(name) + 8
        parts.append(_line(x - 14, 8, x, 8, f"whisker {side}"))
        x -= 26
    return parts


def _turned(x: float, y: float, text: str) -> str:
    """The label of a vertical axis."""
    turned = f'transform="translate({_number(x)} {_number(y)}) rotate(-90)" text-anchor="middle"'
    return f'<text {turned} class="axis">{escape(text)}</text>'

"""Writes figures as text: short enough to read, with the digits that they deserve."""

from __future__ import annotations


def short_number(value: float) -> str:
    """Write three significant digits, whole from 1,000 on, no powers of ten: "0.0412", "9,770"."""
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.6f}"


def duration(seconds: float) -> str:
    """Write seconds as people say them: "8.2 s", "3 min 20 s", "5 h 12 min"."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float, digits: int = 3) -> str:
    """Write a number of `digits` significant digits, with a thin space between thousands."""
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:#.{digits}g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.1e}"

"""Writes figures as text: short enough to read, with the digits that they deserve."""

from __future__ import annotations


def short_number(value: float) -> str:
    """Write three significant digits, whole from 1,000 on, no powers of ten: "0.0412", "9,770"."""
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.6f}"

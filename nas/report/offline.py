"""Holds what every page has in common: one file, no network, nothing to send.

Plotly can upload a chart, and which of its buttons do changes from release to release: 6.0 has
`sendDataToCloud` and `editInChartStudio`, 6.9 and 7 `sendChartToCloud`, which is shown unless it is
refused. So buttons are allowed by name, for all charts of all pages, and the browser is told to
refuse every request that a page might make.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

Chart = dict[str, Any]
"""One chart as Plotly's JSON: `data` has its traces, `layout` what lies around them."""

BUTTONS = ("toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d")
"""All that a chart's bar may offer: a picture of the chart, and where to look."""

CHART_CONFIG: dict[str, Any] = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtons": [list(BUTTONS)],
    "modeBarButtonsToAdd": [],
    "showSendToCloud": False,
    "showEditInChartStudio": False,
    "showLink": False,
    "sendData": False,
    "plotlyServerURL": "",
}
"""Plotly's configuration of every chart; a page only adds whether the bar is shown at all."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""The page's Content-Security-Policy: what it holds, and nothing else.

Plotly compiles the programs of its WebGL charts (thousands of trials), hence 'unsafe-eval'.
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='7' fill='%230a6b66'/%3E%3Cpath d='M6 25h6v-7h7v-6h7' "
    "fill='none' stroke='white' stroke-width='3'/%3E%3C/svg%3E"
)
"""Every page's icon: the step of a front."""

_HERE = Path(__file__).parent


def policy() -> Markup:
    """Return the element for a page's head that has the browser refuse every request."""
    from markupsafe import Markup

    return Markup('<meta http-equiv="Content-Security-Policy" content="{}">').format(POLICY)


def chart_scripts(payload: dict[str, Any], *scripts: str) -> Markup:
    """Return a page's scripts: Plotly, the function `draw` for its charts, and the page's own.

    `payload` is what these read from the element "payload"; its `charts` are Plotly's JSON by name.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    data = [("payload", payload), ("chart-config", CHART_CONFIG)]
    held = [f'<script type="application/json" id="{i}">{safe_json(v)}</script>' for i, v in data]
    code = (get_plotlyjs(), (_HERE / "charts.js").read_text(), *scripts)
    return Markup("\n".join([*held, *(f"<script>{text}</script>" for text in code)]))


def safe_json(value: Any) -> str:
    """Return JSON that can stand inside a <script> element: it has no `<`, so no end tag."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")

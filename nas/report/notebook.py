"""Shows the models of a front in a notebook, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nas.report.busy import source_said
from nas.report.titles import brief_title, marked_figure
from nas.study.trial_result import TrialResult

_RIGHT = ' style="text-align:right"'


def front_as_html(front: Sequence[TrialResult], metrics: Sequence[str], taken: int | None) -> str:
    """Return a front as a table with a column for each metric; a tooltip has a figure's source.

    The row of the trial to take is bold.
    """
    shown = [name for name in metrics if any(name in member.metrics for member in front)]
    heads = "".join(f"<th{_RIGHT}>{escape(brief_title(name))}</th>" for name in shown)
    rows = "".join(_row(member, shown, member.number == taken) for member in front)
    return (
        f"<table><thead><tr><th{_RIGHT}>trial</th>{heads}<th>network</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p>Bold: the one to take, the best or, of those that "
        "noise can't tell from the best, the fastest.</p>"
    )


def _row(member: TrialResult, shown: Sequence[str], taken: bool) -> str:
    cells = [f"<td{_RIGHT}>{member.number}</td>"]
    for name in shown:
        metric = member.metrics.get(name)
        if metric is None:
            cells.append(f"<td{_RIGHT}>–</td>")
            continue
        source = escape(source_said(metric, metric.source, metric.conditions), quote=True)
        cells.append(f'<td{_RIGHT} title="{source}">{marked_figure(name, metric)}</td>')
    cells.append(f'<td style="text-align:left">{escape(member.label)}</td>')
    bold = ' style="font-weight:bold"' if taken else ""
    return f"<tr{bold}>{''.join(cells)}</tr>"

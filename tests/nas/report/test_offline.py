"""No page of ours may offer to send anything, whatever a release of Plotly can."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.networks.candidate import Candidate, Compression
from nas.paper.page import write_comparison
from nas.paper.run import run_steps
from nas.report import write_report
from nas.report.offline import BUTTONS, CHART_CONFIG, POLICY, safe_json
from nas.report.supernet import SCORE
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.files import write_json
from search_spaces import ARCHITECTURES, UNet, architecture_from_dict
from studies.paper import SCALES
from tests.browser import axe_violations, probe
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import open_model, pairs
from tests.helpers.small_paper import small_scale

PACKAGE = Path(nas.__file__).parent
SENDING = {"sendDataToCloud", "editInChartStudio", "sendChartToCloud"}
"""The buttons of Plotly 6 and 7 that upload a chart."""
KNOWN = {
    "toImage", "downloadJson", "zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d",
    "autoScale2d", "resetScale2d", "hoverClosestCartesian", "hoverCompareCartesian", "zoom3d",
    "pan3d", "orbitRotation", "tableRotation", "resetCameraDefault3d", "resetCameraLastSave3d",
    "hoverClosest3d", "zoomInGeo", "zoomOutGeo", "resetGeo", "hoverClosestGeo", "hoverClosestPie",
    "hoverClosestGl2d", "resetViewSankey", "toggleHover", "resetViews", "toggleSpikelines",
    "resetViewMapbox", "resetViewMap", "zoomInMapbox", "zoomInMap", "zoomOutMapbox", "zoomOutMap",
    "drawline", "drawopenpath", "drawclosedpath", "drawcircle", "drawrect", "eraseshape",
}  # fmt: skip
"""The other buttons of Plotly 6 and 7."""


class Elements(HTMLParser):
    """Every element with its attributes, and scripts of data by their id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.data: dict[str, str] = {}
        self._id = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        self._id = str(dict(attrs).get("id", "")) if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self._id:
            self.data[self._id] = self.data.get(self._id, "") + data


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each kind of page that is written as HTML."""
    folder = tmp_path_factory.mktemp("pages")
    fake = make_run(folder / "run", 40, ("host", "phone"))
    report = write_report(fake, 2, pairs(), open_model, architecture_from_dict)
    run = run_steps(small_scale(), folder / "paper")
    paper = write_comparison(run, SCALES, ARCHITECTURES, architecture_from_dict, measure=False)
    return {
        "report": report,
        "paper": paper.html,
        "supernet": write_report(_ranked(folder / "ranked"), 0),
        "compression": write_report(_compressed(folder / "compressed"), 0),
    }


def _ranked(path: Path) -> RunFolder:
    """A run whose candidates a supernet ranked."""
    run = make_run(path, 30)
    complete = [result for result in run.results() if result.state == "complete"]
    rows = [{"key": r.key, "figures": {SCORE: r.value("psnr_db") - 1}} for r in complete]
    document = {"supernet": "made-up", "ranked": 400, "candidates": rows}
    write_json(path / "supernet" / "chosen.json", document)
    return run


def _compressed(path: Path) -> RunFolder:
    """A run of one network in every precision and several pruned shares."""
    run = make_run(path, 0)
    network = UNet("resize-bilinear", "relu", (8, 16), 1, 3)
    forms = [(p, share) for p in ("float", "int8-ptq", "int8-qat") for share in (0.0, 0.2, 0.5)]
    for number, (precision, share) in enumerate(forms):
        candidate = Candidate(network, Compression(precision, share))
        figures = {
            "psnr_db": Metric(30.0 - share - 0.1 * number, "synthetic"),
            "latency_ms[host]": Metric(20.0 - number, "synthetic", interval=(5.0, 25.0)),
            "gmacs_profiler": Metric(2.0 * (1 - share), "computed"),
        }
        key, label, values = candidate.key, candidate.label, candidate.to_dict()
        run.write_result(TrialResult(number, key, label, values, "complete", {}, figures))
    return run


KINDS = ["report", "paper"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_nothing_of_a_network_and_has_nothing_to_send(
    pages: dict[str, Path], kind: str
) -> None:
    page = Elements(pages[kind].read_text())
    tags = [tag for tag, _ in page.found]
    assert not {"form", "iframe", "object", "embed", "base"} & set(tags)
    policy = ("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})
    assert page.found.index(policy) < min(tags.index("script"), tags.index("style"))
    addresses = [a[k] for _, a in page.found for k in ("src", "href", "action") if k in a]
    assert not [a for a in addresses if re.match(r"(https?:)?//", a)]


def test_the_browser_is_told_to_refuse_every_request() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert not [value for value in rules.values() if "http" in value or "*" in value]
    assert "connect-src" not in rules  # as default-src says
    assert rules["form-action"] == "'none'"


@pytest.mark.parametrize("kind", KINDS)
def test_all_charts_have_one_configuration_that_allows_buttons_by_name(
    pages: dict[str, Path], kind: str
) -> None:
    config = json.loads(Elements(pages[kind].read_text()).data["chart-config"])
    assert config == CHART_CONFIG
    assert config["modeBarButtons"] == [list(BUTTONS)]
    assert not SENDING & set(BUTTONS)
    assert (config["modeBarButtonsToAdd"], config["plotlyServerURL"]) == ([], "")
    assert config["showSendToCloud"] is config["showEditInChartStudio"] is False


def test_only_one_place_draws_charts() -> None:
    sources = [p for p in PACKAGE.parent.rglob("*") if p.suffix in (".py", ".js", ".j2")]
    ours = [p for p in sources if {"nas", "evaluators", "studies"} & set(p.parts[-4:])]
    drawing = re.compile(r"Plotly\.(react|newPlot|plot|makeTemplate)\b|\bnewPlot\(|write_html\(")
    found = {p.name for p in ours if ".venv" not in p.parts and drawing.search(p.read_text())}
    assert found - {Path(__file__).name} == {"charts.js"}


def test_the_installed_plotly_has_no_button_that_nobody_looked_at() -> None:
    """Of `plotly>=6,<8`; what a later release adds must be looked at, though it is not shown."""
    from plotly.offline import get_plotlyjs

    buttons = set(re.findall(r'\.(\w+)=\{name:"\1",(?:_cat:"\w+",)?title:', get_plotlyjs()))
    assert set(BUTTONS) <= buttons
    assert buttons & SENDING
    assert buttons - SENDING - KNOWN == set()


def test_json_cannot_end_a_script() -> None:
    assert "<" not in safe_json({"label": "</script><script>alert(1)"})
    assert json.loads(safe_json(["</script>"])) == ["</script>"]


SEEN = """
const drawn = () => document.querySelectorAll(".js-plotly-plot").length;
for (let turn = 0; turn < 600 && drawn() < 3; turn++) {
  await new Promise((done) => setTimeout(done, 100));
}
const titles = [...document.querySelectorAll(".modebar-btn")].map((one) => one.dataset.title);
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
let sent = true;
try { await fetch("https://example.invalid/"); } catch { sent = false; }
new Image().src = "https://example.invalid/pixel.png";
await new Promise((done) => setTimeout(done, 300));
return { titles: [...new Set(titles)], violations, charts: drawn(), sent };
"""


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_browser_no_chart_offers_to_share_and_nothing_leaves(
    pages: dict[str, Path], kind: str
) -> None:
    seen = probe(pages[kind], SEEN)
    assert seen["charts"] >= 3
    looks = {"Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"}
    shown = set(seen["titles"])
    pictures = {title for title in shown if title.startswith("Download plot as a")}
    assert shown - pictures == (looks if kind == "report" else set())
    assert not seen["sent"]
    refused = {"https://example.invalid/", "https://example.invalid/pixel.png"}
    assert set(seen["violations"]) == refused


def test_in_a_browser_the_bars_of_a_phone_s_page_are_full(pages: dict[str, Path]) -> None:
    code = """return [...document.querySelectorAll(".bars .bar i")]
      .map((bar) => bar.getBoundingClientRect().width);"""
    widths = probe(pages["report"], code, width=390)
    assert len(widths) >= 4
    assert max(widths) > 40
    assert min(widths) >= 2


@pytest.mark.parametrize(
    ("kind", "width", "dark"),
    [
        ("report", 1400, False),
        ("report", 390, True),
        ("paper", 1400, False),
        ("paper", 390, True),
        ("supernet", 1400, False),
        ("compression", 1400, True),
    ],
)
def test_in_a_browser_axe_finds_nothing_to_mend(
    pages: dict[str, Path], kind: str, width: int, dark: bool
) -> None:
    assert axe_violations(pages[kind], width, dark) == []


LINKED = """
const chart = document.querySelector("figure.front");
dispatchEvent(new Event("beforeprint"));  // draws all charts, however seldom a busy browser looks
const ready = () => chart._ev?.listenerCount("plotly_click");
for (let turn = 0; turn < 600 && !ready(); turn++)
  await new Promise((done) => setTimeout(done, 100));
const row = document.querySelectorAll("#front-table tr[data-trial]")[2];
const trial = row.dataset.trial;
const state = () => ({
  rows: [...document.querySelectorAll("#front-table tr.chosen")].map((one) => one.dataset.trial),
  said: document.querySelector("#chosen:not([hidden]) p")?.textContent.split(" · ")[0],
  places: [...document.querySelectorAll("#chosen nav a")].map((one) => one.getAttribute("href")),
  address: location.hash,
});
row.querySelector("a[data-trial]").click();
const clicked = state();
const members = chart.data.find((one) => one.name === "Pareto front").customdata;
chart.emit("plotly_click", { points: [{ customdata: members[0] }] });
const dotted = state();
chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
const moved = state();
document.getElementById("unchoose").click();
const [first, second] = [...members].map(String);
return { trial, first, second, clicked, dotted, moved, closed: state().said };
"""


def test_in_a_browser_a_row_a_dot_and_a_key_lead_to_a_trial(pages: dict[str, Path]) -> None:
    seen = probe(pages["report"], LINKED)
    for state, trial in (
        (seen["clicked"], seen["trial"]),
        (seen["dotted"], seen["first"]),
        (seen["moved"], seen["second"]),
    ):
        assert state["rows"] == [trial]
        assert state["said"] == f"Trial {trial}"
        assert "#front-table" in state["places"]
        assert state["address"] == f"#trial={trial}"
    assert seen.get("closed") is None


def test_in_a_browser_a_phone_s_page_shows_latency_beside_psnr(pages: dict[str, Path]) -> None:
    code = """return [...document.querySelectorAll("#front-table thead th")]
      .map((cell) => [cell.firstChild.textContent, cell.getBoundingClientRect().right]);"""
    right = dict(probe(pages["report"], code, width=390))
    assert right["PSNR"] < right["Latency"] <= 390


def test_print_cuts_no_table() -> None:
    css = (PACKAGE / "report" / "report.css").read_text()
    printed = css.split("@media print")[1]
    limited = re.findall(r"([^{}]+)\{[^}]*(?:max-height|overflow-[xy]: auto)", css)
    assert {name.strip() for name in limited if "#" in name or "." in name} >= {"#front-table"}
    for selector in (".scroll", "#front-table"):
        rule = next(r for r in re.findall(r"[^{}]+\{[^}]*\}", printed) if selector in r)
        assert "overflow: visible" in rule
        assert "max-height: none" in rule

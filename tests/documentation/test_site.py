"""The site is built strictly, fetches nothing, and its reference has all that the code has."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from documentation.hooks import site_text
from documentation.reference import PAGES
from tests.browser import axe_violations

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    pages = {*PAGES, "project/changelog.md", *(path.as_posix() for path in sources)}
    assert not [page for page in pages if not (site / page).with_suffix(".html").exists()]
    first = (site / "index.html").read_text()
    assert all(tab in first for tab in ("Tutorials", "Reference", "Laboratory notes"))


def test_the_site_fetches_nothing_from_other_hosts(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\" >]+)"
    )
    fetched = {
        (page.name, address)
        for page in site.rglob("*.html")
        for address in loads.findall(page.read_text())
    }
    assert not fetched
    assert not [p for p in site.rglob("*.css") if re.search(r"url\(\"?https?:", p.read_text())]


@pytest.mark.parametrize(
    ("page", "width", "dark"),
    [("index", 1400, False), ("start/quickstart", 390, True), ("reference/json", 1400, True)],
)
def test_in_a_browser_axe_finds_nothing_to_mend(
    site: Path, page: str, width: int, dark: bool
) -> None:
    assert axe_violations(site / f"{page}.html", width, dark) == []


def test_lists_links_and_details_on_the_site() -> None:
    docs = ROOT / "docs"
    text = "Two things:\n- one\n  goes on\n- two\n\n"
    text += "A [study](../studies/quickstart.py), [a page](data.md)."
    assert site_text(text, docs, docs) == (
        "Two things:\n\n- one\n  goes on\n- two\n\n"
        "A study (`studies/quickstart.py`), [a page](data.md)."
    )
    assert site_text("[x](none.md) <details>", docs, docs) == "[x](none.md) <details markdown>"
    assert site_text("a\n\n- b\n- c", docs, docs) == "a\n\n- b\n- c"
    both = "![a](images/win-light.png#only-light) ![a](images/win-dark.png#only-dark)"
    assert site_text("![a](images/win-light.png)", docs, docs) == both
    assert site_text("![a](images/none-light.png)", docs, docs) == "![a](images/none-light.png)"

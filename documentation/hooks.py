"""Hooks of MkDocs: pages that are made from the code, and what differs between forges and the site.

A page is written so that it reads well as a plain file, too. So links to the project's other files
lose their address on the site, and lists may follow a paragraph without a blank line.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from documentation.reference import PAGES  # noqa: E402

LINK = re.compile(r"(!?)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
LIGHT = re.compile(r"!(\[[^\]]+\])\(([^)\s#]+)-light\.(png|svg)\)")
ITEM = re.compile(r"^(?:[-*+]|\d+\.) ")


def on_config(config: Any) -> Any:
    """Put pages that the navigation does not name into a section of their own."""
    named = set(_named(config.nav))
    docs = Path(config.docs_dir)
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    others = sorted(pages - named)
    if others:
        config.nav.append({"More": others})
    return config


def _named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    values = nav.values() if isinstance(nav, dict) else nav
    return [name for value in values for name in _named(value)]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made from the code, and the changelog."""
    from mkdocs.structure.files import File

    made = {name: page() for name, page in PAGES.items()}
    changes = (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "](../")
    for name, text in {**made, "project/changelog.md": changes}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return a page's text as Python-Markdown wants it."""
    here = (Path(config.docs_dir) / page.file.src_uri).parent
    parts = re.split(r"(^ *```.*?^ *```\n?)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [site_text(text, here, Path(config.docs_dir)) for text in parts[::2]]
    return "".join(parts)


SHIM = "https://unpkg.com/iframe-worker/shim"  # of the plugin `offline`: it would be fetched


SEARCH = '<div class="md-search" data-md-component="search" role="dialog"'
EMPTY_HEAD = re.compile(r"<th\b([^>]*)></th>")  # of a table's corner: a head needs words
# A section's navigation, whose label holds but an icon: its title stands inside.
NAV = re.compile(
    r'aria-labelledby="__nav_\w+_label"'
    r'([^>]*>\s*<label class="md-nav__title"[^>]*>\s*<span[^>]*></span>)(?=\s*([^<]*?)\s*</label>)'
)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Return a page that loads the shim of its search from the site itself, its landmarks named."""
    named = NAV.sub(r'aria-label="Pages: \2"\1', output)
    named = EMPTY_HEAD.sub(r"<td\1></td>", named)
    return _with_own_shim(named, page.url).replace(SEARCH, f'{SEARCH} aria-label="Search"')


def on_post_template(output: str, template_name: str, config: Any) -> str:
    """As `on_post_page`, for pages that are no document: 404.html."""
    return _with_own_shim(output, template_name)


def _with_own_shim(output: str, url: str) -> str:
    from mkdocs.utils import get_relative_url

    return output.replace(SHIM, get_relative_url("assets/iframe-worker.js", url))


def site_text(text: str, here: Path, docs: Path) -> str:
    """Return text between programs as the site shows it; `here` is its page's folder."""
    text = LINK.sub(lambda match: _link(match, here, docs), text)
    text = LIGHT.sub(lambda match: _both_lights(match, here), text)
    text = text.replace("<details>", "<details markdown>")
    lines: list[str] = []
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        if ITEM.match(line) and before.strip() and not re.match(r"\s|[-*+] |\d+\. ", before):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _both_lights(match: re.Match[str], here: Path) -> str:
    """Return a picture that has a twin for dark pages with it; the site shows the one that fits."""
    words, name, ending = match.groups()
    if not (here / f"{name}-dark.{ending}").exists():
        return match[0]
    return " ".join(f"!{words}({name}-{kind}.{ending}#only-{kind})" for kind in ("light", "dark"))


def _link(match: re.Match[str], here: Path, docs: Path) -> str:
    """Return a link as it is, or its text alone where it leads to a file beside the documents."""
    _, words, target, _ = match.groups()
    path = (here / target).resolve()
    if "://" in target or path.is_relative_to(docs.resolve()) or not path.exists():
        return match[0]
    return words if words.startswith("`") else f"{words} (`{path.relative_to(ROOT)}`)"

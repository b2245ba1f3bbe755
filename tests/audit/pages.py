"""Reading the pages: links, anchors, commands, tables. For `test_docs`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE_PLACES = ("lockserver", "firmware_sim", "mobile_api", "police_sync", "bench", "tests", ".ci")

_LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^()\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NAMED_PAGE = re.compile(r"(?<![\w/.])docs/[\w./-]*[\w/]")
_MEASURED = re.compile(
    r"\d ?(?:ms|µs|ns)\b|\d ?(?:k|M|MiB|req|events|records)?/s\b|\d ?%|\bp(?:50|99)\b"
    r"|\d ?×(?! bstr)|\d times (?:faster|slower)"
)
_BENCH = re.compile(r"python -m bench\.(\w+)|make bench ONLY=(\w+)")


def pages() -> list[Path]:
    """Every page for people, the vendored ones and the licence apart."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "police_sync").rglob("*.md")),
    ]


@cache
def text(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def anchors(markdown: str) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    shown = (heading.replace("`", "").strip().lower() for heading in _HEADING.findall(markdown))
    return {re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in shown}


def broken_links(page: Path, markdown: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    broken = []
    for target in _LINK.findall(_CODE.sub("", markdown)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        known = (
            anchors(markdown if there == page else text(there)) if anchor and there.is_file() else {anchor}
        )
        if not there.exists() or anchor not in known:
            broken.append(target)
    return broken


def missing_pages(source: str) -> list[str]:
    """Pages of docs/ that are named somewhere and do not exist."""
    return [name for name in _NAMED_PAGE.findall(source) if not (ROOT / name).exists()]


def unmeasured(markdown: str) -> bool:
    """Whether a page claims a measured figure and names no bench that measures it."""
    named = {one or other for one, other in _BENCH.findall(markdown)}
    measured = any((ROOT / "bench" / f"{name}.py").exists() for name in named)
    return bool(_MEASURED.search(_without_marks(markdown))) and not measured


def _without_marks(markdown: str) -> str:
    """Percent signs of patterns and formats are no figures."""
    return re.sub(r"%[us]\b|%\d|\d%[2-7A-F]", "", markdown)


def table_rows(markdown: str) -> dict[str, str]:
    """First cell → the rest, of every table row whose first cell is `code`."""
    return dict(re.findall(r"^\| `([^`]+)` \|(.*)\|$", markdown, re.MULTILINE))

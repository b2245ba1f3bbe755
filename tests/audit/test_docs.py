"""What the pages say is there: links, commands, tests, tables, routes, keys; and no figure without its measurement."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from lockserver.db import migrations
from lockserver.keys.keyring import create_site
from lockserver.main import _parser
from mobile_api import routes
from tests.audit.laws import all_tests
from tests.audit.pages import (
    CODE_PLACES,
    ROOT,
    anchors,
    broken_links,
    missing_pages,
    pages,
    table_rows,
    text,
    unmeasured,
)

README, DOCS = ROOT / "README.md", ROOT / "docs"
every_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())

# ---- links and names


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, text(page)) == []


def test_pages_that_code_names_exist() -> None:
    sources = [
        path
        for place in CODE_PLACES
        for path in (ROOT / place).rglob("*")
        if path.suffix in {".py", ".sql", ""}
    ]
    sources = [path for path in sources if path.is_file() and path.name != Path(__file__).name]
    sources += [ROOT / "Makefile", ROOT / "pyproject.toml", *pages()]
    named = {
        name: path for path in sources for name in missing_pages(path.read_text("utf-8", errors="ignore"))
    }
    assert {name: path.relative_to(ROOT).as_posix() for name, path in named.items()} == {}


@every_page
def test_named_tests_exist(page: Path) -> None:
    there = {test.name for test in all_tests()} | {Path(test.file).stem for test in all_tests()}
    assert {name for name in re.findall(r"`(test_\w+)`", text(page)) if name not in there} == set()


def test_mutant_a_broken_link_anchor_page_or_figure_is_found() -> None:
    page = DOCS / "laws.md"
    assert broken_links(page, "[a](nowhere.md) [b](threats.md#nothing) [c](#here)\n# Here\n`[d](x.md)`") == [
        "nowhere.md", "threats.md#nothing",
    ]  # fmt: skip
    assert anchors("## The wire, version 1 (LK1)\n### `L-01`") == {"the-wire-version-1-lk1", "l-01"}
    assert missing_pages("see docs/no" + "where.md, and docs/laws.md.") == ["docs/no" + "where.md"]
    for claim in ("it takes 4.5 ms", "50k/s", "in 98 % of cases", "twice: 2 × the beside", "p50 of all"):
        assert unmeasured(claim), claim
        assert not unmeasured(f"{claim} (`python -m bench.face`)")
    assert unmeasured("4 ms, by `python -m bench.nothing`")
    assert not unmeasured("within 5 s; 1–4 × bstr 65; pattern write l/+/%u/up/#")


# ---- indexes


@pytest.mark.parametrize("folder", [DOCS, DOCS / "decisions"], ids=["docs", "decisions"])
def test_an_index_names_every_page_beside_it(folder: Path) -> None:
    index = text(folder / "README.md")
    there = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert {name for name in there if f"({name})" not in index} == set()


# ---- commands


def subcommands() -> set[str]:
    (choices,) = (one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction))
    return set(choices.choices)


def commands(markdown: str) -> Iterator[tuple[str, str]]:
    """(`make` | `lockserver` | `python`, what) for every command in code of a page."""
    for code in re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", markdown, re.DOTALL):
        for line in "".join(code).splitlines():
            if found := re.match(r"\s*(make|lockserver|python -m) ([a-z][\w.-]*)", line):
                yield found[1].split()[0], found[2]


def unknown(markdown: str) -> set[str]:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {"make": targets.__contains__, "lockserver": subcommands().__contains__, "python": _is_module}
    return {f"{program} {what}" for program, what in commands(markdown) if not known[program](what)}


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return (
        path.with_suffix(".py").is_file() or (path / "__main__.py").is_file() or find_spec(name) is not None
    )


@every_page
def test_commands_exist(page: Path) -> None:
    assert unknown(text(page)) == set()


def test_every_figure_that_a_page_asks_for_has_its_bench() -> None:
    asked = {name for page in pages() for name in re.findall(r"bench ONLY=(\w+)", text(page))}
    assert {name for name in asked if not (ROOT / "bench" / f"{name}.py").is_file()} == set()


def test_mutant_an_unknown_command_is_found() -> None:
    assert unknown("`make tea`, `lockserver brew --x`, `make test`, `lockserver audit`") == {
        "make tea",
        "lockserver brew",
    }
    assert unknown("```\npython -m bench.nothing\npython -m tests.audit.laws\n```") == {
        "python bench.nothing"
    }


# ---- figures


@every_page
def test_no_figure_without_its_measurement(page: Path) -> None:
    assert not unmeasured(text(page)), "a measured figure, and no `python -m bench.…` that measures it"


# ---- what the shared pages say of the code


def schema() -> dict[str, set[str]]:
    """Table → columns, from the first migration's SQL."""
    sql = (Path(migrations.__file__).parent / "sql" / "0001_tables.sql").read_text()
    made = re.findall(r"^CREATE TABLE (\w+) \((.*?)^\);", sql, re.MULTILINE | re.DOTALL)
    return {table: set(re.findall(r"^\t(?!CONSTRAINT)(\w+) ", body, re.MULTILINE)) for table, body in made}


def columns_not_on(page: str) -> set[str]:
    rows = table_rows(page)
    missing = set()
    for table, columns in schema().items():
        told = set(re.findall(r"\w+", rows.get(table, "")))
        missing |= {f"{table}.{one}" for one in columns - told - {"id", "created_at"}}
    return missing


def test_the_architecture_names_every_table_and_column() -> None:
    page = text(DOCS / "architecture.md")
    assert columns_not_on(page) == set()
    named = set(table_rows(page.split("## Tables")[1].split("## ")[0]))
    assert named == set(schema())


def test_mutant_a_column_left_out_is_found() -> None:
    page = text(DOCS / "architecture.md")
    assert columns_not_on(page.replace("ask_first", "")) == {"outbox.ask_first"}


def test_the_architecture_names_every_route() -> None:
    page = text(DOCS / "architecture.md").split("## HTTP")[1].replace("{front|back|selfie}", "{kind}")
    told = {
        (method, re.sub(r"\{\w+\}", "{}", path.split("?")[0]))
        for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/(?!v1)[\w/{}?=|.-]*)", page)
    }
    served = {
        (method, re.sub(r"\{\w+\}", "{}", route.path))
        for router in routes.routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert served - told == set()
    assert told - served - {("GET", "/openapi.json"), ("GET", "/docs")} == set()


def test_the_keys_page_names_every_file_of_set_up(tmp_path: Path) -> None:
    create_site(tmp_path / "keys", datetime.now(UTC))
    made = {path.relative_to(tmp_path / "keys").as_posix() for path in (tmp_path / "keys").rglob("*.*")}
    assert {name for name in table_rows(text(DOCS / "keys.md")) if "/" in name} == made


def test_the_data_map_names_every_table() -> None:
    page = text(DOCS / "privacy.md")
    assert {table for table in schema() if not re.search(rf"`{table}[`.]", page)} == set()
    named = re.findall(r"`(\w+)\.(\w+)`", page)
    wrong = {
        f"{table}.{column}" for table, column in named if table in schema() and column not in schema()[table]
    }
    assert wrong == set()


def test_the_readme_stays_one_page() -> None:
    assert text(README).count("\n") <= 90

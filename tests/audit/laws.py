"""Write docs/laws.md: ``python -m tests.audit.laws``.

Sentence, status and notes stand in `laws.toml`; which tests hold a law, which mutants they catch and which
breaches the auditor is shown to find is read from the tests themselves. A test holds the page against this.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "laws.md"
SOURCE = Path(__file__).with_name("laws.toml")
AUDITOR_TEST = "tests/contract/db/test_auditor.py"
STATUS = {"held": "held here", "partly": "partly", "later": "not yet (later work)"}

_NAME = re.compile(r"test(?:_L\d\d)+_")
_LAW = re.compile(r"_L(\d\d)(?=_)")
_BREACH = re.compile(r'^    \("(L-\d\d)", "', re.MULTILINE)

HEAD = """# The laws

Sentences that must hold whatever fails. A law is never loosened to make a test pass; a new one gets the next number.
Its number stands in the names of its tests. A test that cannot fail proves nothing, so beside it stands a *mutant*:
a check taken out, after which the test must fail. The auditor (`lockserver audit`) derives laws once more from the
end state and believes no trigger and no role; *breaches* counts the rows that its own test tampers with, each of
which it must find.

**held here**: tested, with something that the test catches. **partly**: the note says what is missing.
**not yet**: later work. What an attacker makes of the gaps: [threats.md](threats.md).

Written by `python -m tests.audit.laws` from `tests/audit/laws.toml` and the tests; a test tells when it is out of date.
"""


@dataclass(frozen=True)
class Law:
    """One law as `laws.toml` has it."""

    id: str
    group: str
    says: str
    status: str
    note: str = ""
    also: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """Its two digits."""
        return self.id.removeprefix("L-")


@dataclass(frozen=True)
class Test:
    """One test function; `laws` are the numbers in its name."""

    __test__ = False  # pytest: not a test class

    file: str
    name: str

    @property
    def laws(self) -> tuple[str, ...]:
        """`("04", "40")` for `test_L04_L40_…`."""
        head = _NAME.match(self.name)
        return tuple(_LAW.findall(head[0])) if head else ()

    @property
    def mutant(self) -> bool:
        """Whether it shows that a broken variant is caught."""
        return "_mutant_" in self.name


def laws() -> list[Law]:
    """Every law, in order."""
    groups = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    return [
        Law(name, group, row["says"], row["status"], row.get("note", ""), tuple(row.get("also", ())))
        for group, rows in groups.items()
        for name, row in rows.items()
    ]


@cache
def all_tests() -> tuple[Test, ...]:
    """Every test function below tests/, by file and place in it."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = (
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        names = [node.name for node in sorted(functions, key=lambda node: node.lineno)]
        file = path.relative_to(ROOT).as_posix()
        found += [Test(file, name) for name in names if name.startswith("test_")]
    return tuple(found)


@cache
def breaches() -> Counter[str]:
    """By law: how many tamperings the auditor's own test shows to be found."""
    return Counter(_BREACH.findall((ROOT / AUDITOR_TEST).read_text(encoding="utf-8")))


def of(law: Law, among: tuple[Test, ...]) -> list[Test]:
    """The tests that wear this law's number."""
    return [test for test in among if law.number in test.laws]


def render(among: tuple[Test, ...]) -> str:
    """The page."""
    rows = laws()
    lines = [HEAD, "| law | status | tests | mutants | breaches |", "|---|---|---|---|---|"]
    for law in rows:
        named = of(law, among)
        mutants = sum(test.mutant for test in named)
        counts = (len(named) - mutants, mutants, breaches()[law.id])
        shown = " | ".join(str(count or "—") for count in counts)
        lines.append(f"| [{law.id}](#{law.id.lower()}) | {STATUS[law.status]} | {shown} |")
    group = ""
    for law in rows:
        if law.group != group:
            group = law.group
            lines += ["", f"## {group}"]
        lines += ["", *_section(law, of(law, among))]
    return "\n".join(lines) + "\n"


def _section(law: Law, named: list[Test]) -> list[str]:
    status = f"**{STATUS[law.status]}**"
    stated = f"{status}." if law.status == "held" else f"{status}:"
    lines = [f"### {law.id}", "", law.says, "", f"{stated} {law.note}".rstrip()]
    listed = _by_file([test for test in named if not test.mutant])
    listed += [f"- mutants, {line.removeprefix('- ')}" for line in _by_file([t for t in named if t.mutant])]
    also = [Test(*one.split("::")) for one in law.also]
    listed += [f"- also, {line.removeprefix('- ')}" for line in _by_file(also)]
    return [*lines, "", *listed] if listed else lines


def _by_file(chosen: list[Test]) -> list[str]:
    files = dict.fromkeys(test.file for test in chosen)
    return [
        f"- `{file}`: " + ", ".join(f"`{test.name}`" for test in chosen if test.file == file)
        for file in files
    ]


if __name__ == "__main__":
    PAGE.write_text(render(all_tests()), encoding="utf-8")

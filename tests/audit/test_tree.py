"""What may stand in no file of the tree: secrets, addresses of one machine, real people. And small files."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from lockserver.domain.identity import RegionStatus, check_character, region_status

ROOT = Path(__file__).parents[2]
BINARY = {".png", ".jpg", ".jpeg", ".onnx", ".ico", ".woff2"}
LINES_AT_MOST = 420  # "under about 400"
TEST_LINES_AT_MOST = 600  # a law with its mutants stays together
VECTORS = "tests/vectors/"  # golden vectors hold keys and secrets that were made up for them

# A letter in brackets keeps a rule from finding itself.
RULES = {
    "a private key": re.compile(r"BEGIN [A-Z ]*PRIVATE [K]EY-----\s*\n?[A-Za-z0-9+/=]{20,}"),
    "a password": re.compile(
        r"""(?i)(password|passwd|secret|token)["']?\s*[:=]\s*["'](?=[^"']*\d)[A-Za-z0-9+/_=-]{20,}["']"""
    ),
    "a service's token": re.compile(
        r"\b(AKI[A][0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|xox[abp]-[A-Za-z0-9-]{10,})"
    ),
    "a path of one machine": re.compile(r"(?<![\w.])/(?:w[o]rk|ho[m]e|ro[o]t|Us[e]rs|opt/py[p]i)/[a-z.]"),
    "a registry's address": re.compile(
        r"https?://[^\s\"')]*(?:py[p]i\.org|python[h]osted\.org|npm[j]s\.(?:org|com)|deb[i]an\.org)"
    ),
}


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    return tuple(name for name in listed.decode().split("\0") if name and (ROOT / name).is_file())


def texts() -> list[tuple[str, str]]:
    return [
        (name, (ROOT / name).read_text(encoding="utf-8", errors="replace"))
        for name in tracked()
        if Path(name).suffix not in BINARY
    ]


def found(text: str) -> set[str]:
    return {what for what, pattern in RULES.items() if pattern.search(text)}


def test_no_file_holds_a_secret_or_an_address_of_one_machine() -> None:
    faults = [(name, what) for name, text in texts() if not name.startswith(VECTORS) for what in found(text)]
    assert faults == []


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("-----BEGIN PRIVATE " + "KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49", "a private key"),
        ('broker_password = "' + "Zm9vYmFyYmF6cXV4MTIzNDU2" + '"', "a password"),
        ("data = '/ro" + "ot/lockserver/data'", "a path of one machine"),
        ("--index-url https://py" + "pi.org/simple", "a registry's address"),
    ],
)
def test_mutant_a_planted_one_is_found(planted: str, what: str) -> None:
    assert what in found(planted)


NUMBER = re.compile(
    r"(?<![\dA-Za-z])[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX](?![\dA-Za-z])"
)
PUBLISHED = {
    # Specimens of standards and authorities, nobody's numbers.
    "11010519491231002X", "440524188001010014", "810000199408230021", "830000199201300022",
}  # fmt: skip


def is_somebodys(number: str) -> bool:
    """Whether the number could be a living person's: right check digit, an existing region, no specimen."""
    if number in PUBLISHED or region_status(number[:6]) in {None, RegionStatus.UNLISTED}:
        return False
    return check_character(number[:17]) == number[17]


def test_no_identity_number_outside_the_published_specimens() -> None:
    """Tests and examples use specimens, numbers of regions that do not exist, or wrong check digits."""
    faults = [
        (name, number[:6] + "…")
        for name, text in texts()
        for number in NUMBER.findall(text)
        if is_somebodys(number)
    ]
    assert faults == []


def test_mutant_a_number_with_a_right_check_digit_is_found() -> None:
    stem = "33010219900101" + "123"
    assert is_somebodys(NUMBER.findall(f"number={stem}{check_character(stem)}")[0])


def test_files_stay_small() -> None:
    """A file is one thing; generated files, vectors and vendored code are none of ours."""
    large = [
        (name, text.count("\n"))
        for name, text in texts()
        if name.endswith((".py", ".js"))
        and "/vendor/" not in name
        and text.count("\n") > (TEST_LINES_AT_MOST if name.startswith("tests/") else LINES_AT_MOST)
    ]
    assert large == []


def test_requirements_are_complete_and_name_no_registry() -> None:
    for name in ("build", "app", "test", "face-recognition"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        logical = [one for one in text.replace("\\\n", " ").splitlines() if one and not one.startswith("#")]
        assert logical
        for line in logical:
            assert re.match(r"[a-z0-9._-]+==[\w.+!-]+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+$", line), line[
                :80
            ]


def test_every_wished_package_is_pinned() -> None:
    for name in ("build", "app", "test", "face-recognition"):
        wished = re.findall(
            r"^([A-Za-z0-9][A-Za-z0-9_-]*)", (ROOT / "requirements" / f"{name}.in").read_text(), re.MULTILINE
        )
        pinned = re.findall(
            r"^([a-z0-9._-]+)==", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE
        )
        assert {one.lower().replace("_", "-") for one in wished} <= set(pinned)

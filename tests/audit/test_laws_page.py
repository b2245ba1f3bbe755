"""docs/laws.md names every law test there is and none that is not, and calls nothing held that bites nothing."""

from __future__ import annotations

import re

import pytest

from tests.audit.laws import AUDITOR_TEST, PAGE, STATUS, Law, Test, all_tests, breaches, laws, of, render

CURE = "docs/laws.md is out of date: python -m tests.audit.laws"
WITH_MUTANT = (
    "L-01", "L-02", "L-04", "L-07", "L-15", "L-16", "L-18", "L-22", "L-23", "L-24", "L-25", "L-31", "L-35", "L-36",
)  # fmt: skip
"""Laws that the main job stands on: each has tests and a mutant by name."""


def faults(page: str, among: tuple[Test, ...], known: list[Law]) -> set[str]:
    """What is wrong between a page, the tests and the laws."""
    found = {CURE} if page != render(among) else set()
    numbers = {law.number for law in known}
    found |= {f"{test.name}: no such law" for test in among if set(test.laws) - numbers}
    found |= {
        f"{test.name} is not on the page" for test in among if test.laws and f"`{test.name}`" not in page
    }
    there = {f"{test.file}::{test.name}" for test in among}
    found |= {f"{law.id}: no test {one}" for law in known for one in law.also if one not in there}
    names = {test.name for test in among}
    found |= {f"the page names {name}" for name in re.findall(r"`(test_\w+)`", page) if name not in names}
    return found


def bites(law: Law, among: tuple[Test, ...]) -> bool:
    return any(test.mutant for test in of(law, among)) or breaches()[law.id] > 0


def test_the_page_is_what_the_tests_say() -> None:
    assert faults(PAGE.read_text(encoding="utf-8"), all_tests(), laws()) == set()


def test_the_laws_are_numbered_without_a_gap_and_have_a_status() -> None:
    assert [law.id for law in laws()] == [f"L-{n:02}" for n in range(1, len(laws()) + 1)]
    assert len(laws()) >= 54
    assert {law.status for law in laws()} <= set(STATUS)


@pytest.mark.parametrize("law", laws(), ids=lambda law: law.id)
def test_a_status_is_earned(law: Law) -> None:
    named = [test for test in of(law, all_tests()) if not test.mutant]
    if law.status == "held":
        assert named, "held by no test of its name"
        assert bites(law, all_tests()), "nothing shows that its tests can fail"
    else:
        assert law.note, "say what is missing"


@pytest.mark.parametrize("name", WITH_MUTANT)
def test_the_laws_of_the_main_job_are_held_with_a_mutant(name: str) -> None:
    law = next(law for law in laws() if law.id == name)
    assert law.status == "held"
    assert any(test.mutant for test in of(law, all_tests()))


def test_the_auditors_breaches_are_counted() -> None:
    assert breaches()["L-23"] >= 6, f"{AUDITOR_TEST} is written another way now"


def test_mutant_a_renamed_a_new_and_a_lost_test_are_found() -> None:
    page, among, known = PAGE.read_text(encoding="utf-8"), all_tests(), laws()
    first = next(test for test in among if test.laws)
    renamed = tuple(Test(first.file, first.name + "_x") if test is first else test for test in among)
    assert faults(page, renamed, known) >= {
        CURE,
        f"{first.name}_x is not on the page",
        f"the page names {first.name}",
    }
    assert "test_L99_x: no such law" in faults(page, (*among, Test("tests/test_x.py", "test_L99_x")), known)
    gone = next(one for law in known for one in law.also)
    less = tuple(test for test in among if f"{test.file}::{test.name}" != gone)
    assert any(f"no test {gone}" in fault for fault in faults(page, less, known))

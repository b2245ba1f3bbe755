"""One recognition worker: frames in on standard input, frames out, until its pool goes away.

Run by the pool as ``python -m mobile_api.verify.worker ENGINE``. It has no keys, no database and a
bare environment; it writes no file and leaves no core image that could hold a picture.
"""

import os
import resource
import signal
import sys
from typing import BinaryIO

from mobile_api.verify.codes import PictureRefusedError
from mobile_api.verify.document import CardReader
from mobile_api.verify.engines import load_engine
from mobile_api.verify.face import Comparison, FaceEngine
from mobile_api.verify.frames import (
    LENGTH_BYTES,
    Plain,
    body_of,
    comparison_to_plain,
    frame,
    length_of,
    reading_to_plain,
)
from mobile_api.verify.intake import open_picture

_NICENESS = 5  # a recognition may wait for a door, never the other way round


def main() -> None:
    """Serve requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    os.nice(_NICENESS)
    # Libraries that print would break the frames: answers go to a private copy of standard output.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    reader, engine = _load(sys.argv[1])
    _send(answers, {"ready": True})
    while (request := _receive(sys.stdin.buffer)) is not None:
        _send(answers, _answer(request, reader, engine))


def compare_pictures(engine: FaceEngine, portrait: bytes, selfie: bytes) -> Comparison:
    """Decode both through the gate, then compare."""
    pictures = []
    for raw, of_selfie in ((portrait, False), (selfie, True)):
        try:
            pictures.append(open_picture(raw))
        except PictureRefusedError as refused:
            return Comparison(engine.name, refusal=refused.code, of_selfie=of_selfie)
    return engine.compare(pictures[0], pictures[1])


def _load(engine_name: str) -> tuple[CardReader, FaceEngine]:
    import cv2

    from mobile_api.verify.ocr import RapidReader
    from mobile_api.verify.sface import SFaceEngine

    cv2.setNumThreads(1)
    engine = load_engine(engine_name)
    finder = engine if isinstance(engine, SFaceEngine) else SFaceEngine()
    return CardReader(RapidReader(threads=1), finder), engine


def _answer(request: Plain, reader: CardReader, engine: FaceEngine) -> Plain:
    try:
        if request["verb"] == "read_card":
            reading = reader.read_card(request["front"], request["back"])
            return {"reading": reading_to_plain(reading)}
        found = compare_pictures(engine, request["portrait"], request["selfie"])
        return {"comparison": comparison_to_plain(found)}
    except Exception as failure:  # noqa: BLE001 - one bad picture must not end the worker; told by type
        return {"failed": type(failure).__name__}


def _receive(source: BinaryIO) -> Plain | None:
    prefix = source.read(LENGTH_BYTES)
    if len(prefix) < LENGTH_BYTES:
        return None
    length = length_of(prefix)
    raw = source.read(length)
    return body_of(raw) if len(raw) == length else None


def _send(target: BinaryIO, body: Plain) -> None:
    rest = memoryview(frame(body))
    while rest:
        rest = rest[target.write(rest) :]


if __name__ == "__main__":
    main()

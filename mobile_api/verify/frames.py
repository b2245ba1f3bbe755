"""What crosses the pipe between the pool and its workers: length-prefixed CBOR, no pickle.

A worker decodes strangers' pictures; should one take it over, what it sends back must stay data.
"""

from dataclasses import asdict
from typing import Any, Final

import cbor2

from mobile_api.verify.codes import Refusal, Step
from mobile_api.verify.face import Comparison, Likeness
from mobile_api.verify.reading import CardReading, FieldReading, Quality, SideReading, Source

LENGTH_BYTES: Final = 4
FRAME_MAX: Final = 20 * 1024 * 1024  # two uploads of 8 MiB, with room

Plain = dict[str, Any]


def frame(body: Plain) -> bytes:
    """Prefix and body."""
    raw = cbor2.dumps(body)
    if len(raw) > FRAME_MAX:
        msg = f"a frame of {len(raw)} bytes is above {FRAME_MAX}"
        raise ValueError(msg)
    return len(raw).to_bytes(LENGTH_BYTES, "big") + raw


def length_of(prefix: bytes) -> int:
    """Length of the body that follows; raises ValueError above the limit."""
    length = int.from_bytes(prefix, "big")
    if length > FRAME_MAX:
        msg = f"a frame of {length} bytes is above {FRAME_MAX}"
        raise ValueError(msg)
    return length


def body_of(raw: bytes) -> Plain:
    """The body of a frame; raises ValueError if it is not a map."""
    body = cbor2.loads(raw)
    if not isinstance(body, dict):
        msg = "a frame's body is a map"
        raise ValueError(msg)  # noqa: TRY004 - to the caller it is a broken frame like any other
    return body


def reading_to_plain(reading: CardReading) -> Plain:
    """For the pipe."""
    return {
        "front": _side_to_plain(reading.front),
        "back": _side_to_plain(reading.back) if reading.back else None,
        "portrait": reading.portrait,
    }


def reading_from_plain(plain: Plain) -> CardReading:
    """From the pipe."""
    return CardReading(
        _side_from_plain(plain["front"]),
        _side_from_plain(plain["back"]) if plain["back"] else None,
        bytes(plain["portrait"]) if plain["portrait"] else None,
    )


def comparison_to_plain(comparison: Comparison) -> Plain:
    """For the pipe."""
    return {
        "engine": comparison.engine,
        "score": comparison.score,
        "likeness": str(comparison.likeness) if comparison.likeness else None,
        "refusal": str(comparison.refusal) if comparison.refusal else None,
        "of_selfie": comparison.of_selfie,
    }


def comparison_from_plain(plain: Plain) -> Comparison:
    """From the pipe."""
    return Comparison(
        str(plain["engine"]),
        None if plain["score"] is None else float(plain["score"]),
        Likeness(plain["likeness"]) if plain["likeness"] else None,
        Refusal(plain["refusal"]) if plain["refusal"] else None,
        bool(plain["of_selfie"]),
    )


def _side_to_plain(side: SideReading) -> Plain:
    return {
        "step": str(side.step),
        "fields": {
            name: [part.text, part.confidence, str(part.source)] for name, part in side.fields.items()
        },
        "refusal": str(side.refusal) if side.refusal else None,
        "unread": list(side.unread),
        "quarter_turns": side.quarter_turns,
        "quality": asdict(side.quality) if side.quality else None,
    }


def _side_from_plain(plain: Plain) -> SideReading:
    return SideReading(
        Step(plain["step"]),
        {
            str(name): FieldReading(str(text), float(confidence), Source(source))
            for name, (text, confidence, source) in plain["fields"].items()
        },
        Refusal(plain["refusal"]) if plain["refusal"] else None,
        tuple(str(name) for name in plain["unread"]),
        int(plain["quarter_turns"]),
        Quality(**plain["quality"]) if plain["quality"] else None,
    )

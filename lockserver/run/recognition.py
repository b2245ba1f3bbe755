"""The port `Recogniser` over `mobile_api.verify`: its pool of processes and its judge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import cbor2

from lockserver.app.ports import FaceReading, Judgement, RecognitionBusyError, SideReading
from mobile_api.verify.codes import ADVICE
from mobile_api.verify.frames import (
    comparison_from_plain,
    comparison_to_plain,
    reading_from_plain,
    reading_to_plain,
)
from mobile_api.verify.pool import RecognitionError, RecognitionPool
from mobile_api.verify.verdict import judge

if TYPE_CHECKING:
    from datetime import date

    from lockserver.domain.identity import IdentityFields

_WAIT = frozenset({"recognition_busy", "recognition_closed"})
SEND_AGAIN = "send_again"


class PooledRecogniser:
    """Keeps no image: what it hands back for keeping is what judging needs, as CBOR."""

    def __init__(self, pool: RecognitionPool) -> None:
        self._pool = pool

    async def read_side(self, side: Literal["front", "back"], image: bytes) -> SideReading:
        """Read one side. An empty front makes the reader look at the back alone."""
        try:
            reading = await (
                self._pool.read_card(image) if side == "front" else self._pool.read_card(b"", image)
            )
        except RecognitionError as lost:
            if lost.code in _WAIT:
                raise RecognitionBusyError from None
            return SideReading({}, b"", refusal=lost.code, advice=SEND_AGAIN)
        seen = reading.front if side == "front" else reading.back
        if seen is None:
            return SideReading({}, b"", refusal="recognition_failed", advice=SEND_AGAIN)
        return SideReading(
            fields={name: part.text for name, part in seen.fields.items()},
            kept=cbor2.dumps(reading_to_plain(reading)),
            refusal=None if seen.refusal is None else str(seen.refusal),
            advice=None if seen.advice is None else str(seen.advice),
        )

    async def compare(self, front_kept: bytes, selfie: bytes) -> FaceReading:
        """Compare a selfie with the portrait on the front: 1:1."""
        front = reading_from_plain(cbor2.loads(front_kept))
        if front.portrait is None:  # the front would have been refused
            return FaceReading(b"", refusal="portrait_not_found", advice="show_the_whole_card")
        try:
            compared = await self._pool.compare(front.portrait, selfie)
        except RecognitionError as lost:
            if lost.code in _WAIT:
                raise RecognitionBusyError from None
            return FaceReading(b"", refusal=lost.code, advice=SEND_AGAIN)
        refusal = compared.refusal if compared.of_selfie else None
        return FaceReading(
            kept=cbor2.dumps(comparison_to_plain(compared)),
            refusal=None if refusal is None else str(refusal),
            advice=None if refusal is None else str(ADVICE[refusal]),
        )

    def judge(
        self,
        front_kept: bytes,
        back_kept: bytes,
        face_kept: bytes | None,
        confirmed: IdentityFields,
        today: date,
    ) -> Judgement:
        """Judge what was read against what its holder confirmed."""
        front = reading_from_plain(cbor2.loads(front_kept))
        back = reading_from_plain(cbor2.loads(back_kept)).back
        comparison = None if face_kept is None else comparison_from_plain(cbor2.loads(face_kept))
        verdict = judge(replace(front, back=back), comparison, confirmed, today=today)
        return Judgement(
            outcome=verdict.outcome.value,
            reasons=tuple(reason.as_json() for reason in verdict.reasons),
            repeat_step=None if verdict.repeat_step is None else str(verdict.repeat_step),
            scores=dict(verdict.scores),
        )

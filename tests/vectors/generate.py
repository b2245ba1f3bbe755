"""Write the golden vectors: ``python -m tests.vectors.generate``.

Everything is derived from labels (``cast``), so that a second run writes the same bytes; a test holds
the files against ``build()``.  ``hand.json`` is not written here: it was copied from its sources.
"""

import json
from pathlib import Path

from tests.vectors.build_access import access_vectors
from tests.vectors.build_carriers import firmware_vectors, gateway_vectors
from tests.vectors.build_codec import codec_vectors, framing_vectors, sealed_vectors, topic_vectors
from tests.vectors.build_documents import document_vectors
from tests.vectors.build_enrolment import enrolment_vectors
from tests.vectors.build_envelopes import envelope_vectors, journal_vectors
from tests.vectors.build_handshake import handshake_vectors
from tests.vectors.build_pins import pin_vectors

FOLDER = Path(__file__).parent


def build() -> dict[str, object]:
    """File name -> content."""
    return {
        "access.json": access_vectors(),
        "codec.json": codec_vectors(),
        "documents.json": document_vectors(),
        "enrolment.json": enrolment_vectors(),
        "envelopes.json": envelope_vectors(),
        "firmware.json": firmware_vectors(),
        "framing.json": framing_vectors(),
        "gateway.json": gateway_vectors(),
        "handshake.json": handshake_vectors(),
        "journal.json": journal_vectors(),
        "pins.json": pin_vectors(),
        "sealed.json": sealed_vectors(),
        "topics.json": topic_vectors(),
    }


def text(content: object) -> str:
    """A vector file's exact text."""
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write every file."""
    for name, content in build().items():
        (FOLDER / name).write_text(text(content), encoding="ascii")


if __name__ == "__main__":
    main()

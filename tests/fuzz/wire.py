"""Every decoder of the wire under a coverage-guided fuzzer (atheris: libFuzzer for Python).

    python tests/fuzz/wire.py [--runs 20000] [--seed 1] [--mutant NAME] [--doors NAME,NAME] [--folder FOLDER]

Invariant: whatever the bytes, whole or split, a decoder returns or raises `RemoteError`; nothing else escapes,
and no input makes the process grow. The first byte of an input chooses the decoder, so that one corpus grows
for all. Ends with 0 after `--runs` inputs, and with 77 (libFuzzer's) at the first input that breaks the
invariant, which is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["lockserver.protocol"]):
    from lockserver.protocol import codec
    from lockserver.protocol.errors import RemoteError
    from lockserver.protocol.framing import Reassembler
    from tests.property.hostile_bytes import GOLDEN, INNER_DOORS, OPEN_DOORS, PAYLOADS

Decoder = Callable[[bytes], object]

#: Bytes of one input: a whole message, and a little more.
LONGEST = 4_200
#: MiB that the process may take. All decoders with their vectors need a fifth; a bomb would need more.
MEMORY_MB = 1_024


def _split(data: bytes) -> object:
    """A stream cut where the first bytes say must give what the whole stream gives."""
    at, stream = (data[0] if data else 0), data[1:]
    parts = (stream[:at], *(stream[i : i + 1] for i in range(at, len(stream))))
    assert _read((stream,)) == _read(parts), "a split stream is read otherwise than the whole"
    return None


def _read(parts: Iterable[bytes]) -> object:
    """The messages of a stream, or the code with which it was refused."""
    reader, given = Reassembler(), list[bytes]()
    try:
        for part in parts:
            given += reader.push(part)
    except RemoteError as error:
        return error.code
    return given


def _encodes_the_same(data: bytes) -> object:
    """What is read is written back byte for byte: there is one encoding."""
    assert codec.encode(codec.decode(data)) == data, "a second encoding was read"
    return None


def _believes_lengths(data: bytes) -> object:
    """A reader that takes the fields it expects: the mutant."""
    fields = codec.decode(data)
    return fields[1]  # type: ignore[index]  # the mistake itself


def _swallows_memory(data: bytes) -> object:
    """A reader that makes room for the length that it is told: the mutant."""
    return bytearray(int.from_bytes(data[:5], "big"))


MUTANTS: dict[str, Decoder] = {"fields": _believes_lengths, "memory": _swallows_memory}


def doors() -> dict[str, Decoder]:
    """All decoders: open to anybody's bytes, and behind a right signature or key."""
    inner = {f"inside {name}": decoder for name, decoder in INNER_DOORS.items()}
    return OPEN_DOORS | inner | {"split stream": _split, "one encoding": _encodes_the_same}


def seeds(chosen: list[str], folder: Path) -> None:
    """Start from what is right: golden messages for open doors, rightful payloads behind signatures."""
    for number, name in enumerate(chosen):
        for count, data in enumerate(PAYLOADS if name.startswith("inside ") else GOLDEN):
            if len(data) < LONGEST:
                (folder / f"{number:03d}-{count:04d}").write_bytes(bytes([number]) + data)


def fuzz(options: argparse.Namespace, folder: Path) -> None:
    """Fuzz in this process; libFuzzer ends it."""
    known = {options.mutant: MUTANTS[options.mutant]} if options.mutant else doors()
    chosen = [name for name in known if not options.doors or name in options.doors.split(",")]
    decoders = [known[name] for name in chosen]

    def one_input(data: bytes) -> None:
        if not data:
            return
        try:
            decoders[data[0] % len(decoders)](data[1:])
        except RemoteError:
            return

    seeds(chosen, folder)
    flags = [
        f"-runs={options.runs}",
        f"-seed={options.seed}",
        f"-max_len={LONGEST}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(folder)], one_input)
    atheris.Fuzz()


def main() -> int:
    """Fuzz in a child, whose corpus is cleared away afterwards."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=20_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--mutant", choices=sorted(MUTANTS), help="fuzz a reader that is known to be wrong")
    asked.add_argument("--doors", default="", help="only these decoders, joined by commas")
    asked.add_argument("--folder", type=Path, help="where the corpus grows; kept")
    options = asked.parse_args()
    if options.folder is not None:
        fuzz(options, options.folder)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return subprocess.run([sys.executable, *sys.argv, "--folder", folder], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""L-01 by a coverage-guided fuzzer: what a property test would not think of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("wire.py")
#: Inputs a process. More are a matter of patience: `python tests/fuzz/wire.py --runs 5000000 --seed 7`.
RUNS = 60_000


def fuzz(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(FUZZER), *options],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("seed", [1, 2])
def test_L01_a_fuzzer_finds_no_other_exception_and_no_growth(seed: int) -> None:
    code, said = fuzz(f"--runs={RUNS}", f"--seed={seed}")
    assert code == 0, said[-3000:]
    assert f"number_of_executed_units: {RUNS}" in said
    covered = [int(one) for one in re.findall(r"cov: (\d+)", said)]
    assert covered[-1] > covered[0], "guided by nothing: the decoders are not instrumented"


@pytest.mark.parametrize(("mutant", "fault"), [("fields", "TypeError"), ("memory", "MemoryError")])
def test_L01_mutant_reader_is_found_by_the_fuzzer(mutant: str, fault: str) -> None:
    code, said = fuzz(f"--runs={RUNS}", "--seed=1", f"--mutant={mutant}")
    assert code != 0
    assert re.search(rf"{fault}|KeyError|IndexError|out-of-memory", said), said[-3000:]

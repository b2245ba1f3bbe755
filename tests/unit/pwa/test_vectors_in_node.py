"""The browser's wire against the golden vectors: a second implementation, written from ``docs/protocol.md`` alone."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "vectors"
RUNNER = Path(__file__).with_name("vectors.mjs")
FILES = sorted(path.stem for path in VECTORS.glob("*.json"))


def _node(folder: Path, *mode: str) -> dict[str, dict[str, Any]]:
    """What the checks said, by vector file."""
    node = shutil.which("node")
    assert node, "Node.js 18 or later is needed (Debian: apt install nodejs)"
    done = subprocess.run(
        [node, str(RUNNER), str(folder), *mode], capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    return _node(VECTORS)


@pytest.mark.parametrize("file", FILES)
def test_the_vectors_hold_in_javascript(file: str, results: dict[str, dict[str, Any]]) -> None:
    assert results[file]["checks"] >= 5
    assert results[file]["failed"] == []


def test_L40_window_edges_are_the_same_in_javascript(results: dict[str, dict[str, Any]]) -> None:
    access = json.loads((VECTORS / "access.json").read_text(encoding="utf-8"))
    edges = {each["name"] for each in access["decide"]}
    assert {"from -1", "from +0", "until -1", "until +0", "week wrap at midnight", "day until"} <= edges
    assert results["access"]["checks"] == len(access["decide"]) + len(access["minute_of_week"])
    assert results["access"]["failed"] == []


@pytest.mark.parametrize("broken", ["closed_window", "open_from", "week_in_utc"])
def test_L40_mutant_another_edge_is_noticed(broken: str) -> None:
    assert _node(VECTORS, "--broken", broken)["access"]["failed"] != []


@pytest.mark.parametrize(
    ("broken", "file"),
    [
        ("unchecked_points", "handshake"),
        ("cut_without_length", "framing"),
        ("pin_closed_window", "pins"),
        ("pins_without_dates", "pins"),
    ],
)
def test_mutant_a_broken_implementation_is_noticed(broken: str, file: str) -> None:
    assert _node(VECTORS, "--broken", broken)[file]["failed"] != []


def test_mutant_every_changed_value_of_the_vectors_is_noticed() -> None:
    for file, said in _node(VECTORS, "--mutants").items():
        assert said["mutants"] >= 5, file
        assert said["unnoticed"] == [], file


def test_mutant_a_tampered_vector_fails(tmp_path: Path) -> None:
    for path in VECTORS.glob("*.json"):
        shutil.copy(path, tmp_path)
    tampered = json.loads((tmp_path / "handshake.json").read_text(encoding="utf-8"))
    m4 = tampered["exchanges"][0]["m4"]
    tampered["exchanges"][0]["m4"] = m4[:-1] + ("0" if m4[-1] != "0" else "1")
    (tmp_path / "handshake.json").write_text(json.dumps(tampered), encoding="utf-8")
    results = _node(tmp_path)
    assert [file for file, said in results.items() if said["failed"]] == ["handshake"]
    assert any(name.startswith("bare: whole") for name in results["handshake"]["failed"])


def test_the_pages_examples_of_a_wish_that_covers_a_request() -> None:
    page = (VECTORS.parents[1] / "docs" / "protocol.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\| `(\{.*\})` \| `([0-9a-f]{64})` \|$", page, flags=re.MULTILINE)
    assert len(examples) >= 2
    wire = (RUNNER.parents[3] / "mobile_api" / "pwa" / "protocol.js").as_uri()
    script = f"""
        import {{ webcrypto }} from "node:crypto";
        globalThis.crypto ??= webcrypto;
        const {{ covering, toHex }} = await import("{wire}");
        const salt = Uint8Array.from({{ length: 16 }}, (_, at) => at);
        for (const body of JSON.parse(process.argv[1])) console.log(toHex((await covering(body, salt)).get("of")));
    """
    backwards = [dict(reversed(json.loads(body).items())) for body, _ in examples]
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps(backwards)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.split() == [claimed for _, claimed in examples]

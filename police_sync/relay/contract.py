"""The relay's own reading of the contract's schemas. The mock province reads them with its own code."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from police_sync.relay.filing import Kind

BODY_SCHEMA = {
    Kind.REGISTER: "registration",
    Kind.CHANGE: "change",
    Kind.DEPARTURE: "departure",
    Kind.WITHDRAWAL: "withdrawal",
}


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """Where a document leaves its schema: names only, never a value."""

    path: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path or 'body'}:{self.rule}"


@cache
def _validators() -> dict[str, Draft202012Validator]:
    folder = resources.files("police_sync") / "contract"
    suffix = ".schema.json"
    found = {
        entry.name: json.loads(entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(suffix)
    }
    return {
        name.removesuffix(suffix): Draft202012Validator(
            _unfold(schema, found), format_checker=FormatChecker()
        )
        for name, schema in found.items()
    }


def _unfold(node: Any, files: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON is what it is
    """`node` with every reference replaced by what it names.

    The validator would resolve each reference anew at each check, which took five times as long as
    all the rest of a filing. The contract's references are absolute paths without cycles.
    """
    if isinstance(node, list):
        return [_unfold(one, files) for one in node]
    if not isinstance(node, dict):
        return node
    rest = {key: _unfold(value, files) for key, value in node.items() if key != "$ref"}
    if "$ref" not in node:
        return rest
    name, _, pointer = node["$ref"].partition("#")
    target = files[name]
    for step in pointer.split("/")[1:]:
        target = target[step]
    named = _unfold(target, files)
    return {"allOf": [named], **rest} if set(rest) - {"description"} else {**named, **rest}


def _path(error: ValidationError) -> str:
    steps = [str(step) for step in error.absolute_path]
    if error.validator == "required" and isinstance(error.instance, dict):
        wanted = error.schema["required"] if isinstance(error.schema, dict) else []
        steps += sorted(set(wanted) - set(error.instance))[:1]
    return ".".join(steps)


def _leaves(error: ValidationError) -> SchemaFault:
    return SchemaFault(_path(error), str(error.validator))


def faults(name: str, document: dict[str, Any]) -> list[SchemaFault]:
    """Where `document` leaves the schema `name`; empty when it conforms."""
    errors = _validators()[name].iter_errors(document)
    return sorted((_leaves(error) for error in errors), key=str)


def body_faults(kind: Kind, body: dict[str, Any]) -> list[SchemaFault]:
    """Where a filing's body leaves the schema of its kind."""
    return faults(BODY_SCHEMA[kind], body)


@cache
def repairable_fields() -> frozenset[str]:
    """The fields that a change may carry, and that therefore can be repaired one by one."""
    schema = _validators()["change"].schema
    if not isinstance(schema, dict):  # a schema may be `true`; ours is not
        raise TypeError("change.schema.json is not an object")
    return frozenset(schema["properties"]["changes"]["properties"])

"""The province's copy of the contract's data: schemas, return codes, code tables."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

_CONTRACT = files("police_sync").joinpath("contract")


def _read(*steps: str) -> dict[str, Any]:
    document = json.loads(_CONTRACT.joinpath(*steps).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise TypeError(f"contract file {steps}: an object is needed")
    return document


@cache
def _definitions() -> dict[str, Any]:
    return {name: _whole(rule) for name, rule in _read("fields.schema.json")["$defs"].items()}


def _whole(rule: Any) -> Any:  # noqa: ANN401 - any JSON
    """A rule in which `$ref`s are spelt out: following them at every check is most of its cost."""
    match rule:
        case {"$ref": str(reference), **beside}:
            file, _, place = reference.partition("#/$defs/")
            spelt = _definitions()[place] if place else _whole(_read(file))
            kept = {k: v for k, v in spelt.items() if not k.startswith("$")}
            return {**kept, **{k: v for k, v in beside.items() if k == "description"}}
        case dict():
            return {key: _whole(value) for key, value in rule.items()}
        case list():
            return [_whole(value) for value in rule]
        case _:
            return rule


@cache
def _schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(_whole(_read(f"{name}.schema.json")), format_checker=FormatChecker())


def fields_at_fault(schema: str, body: dict[str, Any]) -> list[str]:
    """The names of the fields in which `body` leaves the schema, in order; `body` for the whole."""
    found: set[str] = set()
    for error in _schema(schema).iter_errors(body):
        if error.validator == "required" and isinstance(error.instance, dict):
            rule = error.schema
            wanted = rule["required"] if isinstance(rule, dict) else []
            found.update(set(wanted) - set(error.instance))
        else:
            path = [step for step in error.absolute_path if isinstance(step, str)]
            found.add(path[-1] if path and path[-1] != "changes" else "body")
    return sorted(found)


@cache
def return_codes() -> dict[str, dict[str, str]]:
    """Return code → its entry (`field`, `zh`, `en`)."""
    return {entry["code"]: entry for entry in _read("return_codes.json")["codes"]}


@cache
def code_tables() -> dict[str, dict[str, Any]]:
    """Code table name → the table as published."""
    folder = _CONTRACT.joinpath("codes")
    tables = (_read("codes", entry.name) for entry in folder.iterdir())
    return {table["table"]: table for table in tables}


@cache
def codes(table: str) -> dict[str, str]:
    """Code → Chinese label of one table."""
    return {entry["code"]: entry["zh"] for entry in code_tables()[table]["entries"]}

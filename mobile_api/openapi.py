"""The OpenAPI document: FastAPI's, with our problems in place of its own error shape.

`python -m mobile_api.openapi` prints it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from fastapi import FastAPI

from mobile_api import problems

_REFUSED = {
    "description": "Refused, as an RFC 9457 problem; `code` is stable.",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def describe(app: FastAPI) -> None:
    """Make the application answer with our document."""
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(made())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for gone in ("HTTPValidationError", "ValidationError"):
        schemas.pop(gone, None)
    schemas["Problem"] = _problem_schema()
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["4XX"] = _REFUSED
            operation["responses"]["5XX"] = _REFUSED
    return document


def _problem_schema() -> dict[str, Any]:
    codes = sorted(problems.STATUS)
    return {
        "type": "object",
        "description": "RFC 9457. Members beside these tell facts, such as `field` or `retry_after_s`.",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "enum": codes},
        },
        "examples": [problems.document("not_found")],
    }


def main() -> int:
    """Print the document; it needs no services, since nothing is served."""
    from typing import cast

    from mobile_api.app import create_app
    from mobile_api.services import Services

    document = create_app(cast("Services", None)).openapi()
    json.dump(document, sys.stdout, ensure_ascii=False, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())

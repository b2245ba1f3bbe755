"""The API's documentation page, served from the wheel `swagger-ui-bundle`: no CDN, works offline."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lockserver API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """window.ui = SwaggerUIBundle({
  url: "/docs/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis], validatorUrl: null, tryItOutEnabled: true,
});
"""


def mount(app: FastAPI) -> None:
    """Add `/docs` and its files."""
    from swagger_ui_bundle import swagger_ui_path

    async def page() -> Response:
        return HTMLResponse(_PAGE)

    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    async def openapi() -> Response:
        # The bundled page (4.15) knows OpenAPI 3.0 by its version line; 3.1's keywords it skips.
        return JSONResponse({**app.openapi(), "openapi": "3.0.3"})

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/start.js", start, include_in_schema=False)
    app.add_api_route("/docs/openapi.json", openapi, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=swagger_ui_path), name="docs-assets")

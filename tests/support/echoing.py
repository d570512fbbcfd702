"""A server that repeats in its refusals all the headers it was sent, secrets among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


def echoing(*, lists_models: bool = False) -> Starlette:
    """Make one; with `lists_models` it can be used, and refuses only to answer."""

    async def refuse(request: Request) -> Response:
        message = "; ".join(f"{name}: {value}" for name, value in request.headers.items())
        return JSONResponse({"error": {"message": f"I don't like this: {message}"}}, 400)

    async def models(_request: Request) -> Response:
        return JSONResponse({"data": [{"id": "echo", "max_model_len": 4096}]})

    listing = [Route("/v1/models", models)] if lists_models else []
    rest = Route("/{path:path}", refuse, methods=["GET", "POST"])
    return Starlette(routes=[*listing, rest])

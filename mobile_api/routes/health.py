"""Whether the door is open."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from mobile_api.deps import Server

router = APIRouter(tags=["site"])


class HealthOut(BaseModel):
    """The API answers, and its database too."""

    status: Literal["ok"] = "ok"


@router.get("/health", summary="Whether API and database answer")
async def health(services: Server) -> HealthOut:
    """Answer 200 when a transaction can be opened."""
    async with services.transactions.begin():
        return HealthOut()

"""Login by telephone number and one-time code; tokens; who am I.

These routes ask for no Idempotency-Key: a code, a refresh token and a logout each work once by nature.
"""

from fastapi import APIRouter, Response

from lockserver.app.log_in import Tokens, log_in, log_out, refresh_session
from lockserver.app.send_login_code import CODE_LIFE, send_login_code
from lockserver.domain.errors import LoginCodeWrongError, NotFoundError
from lockserver.domain.phone_number import normalise
from mobile_api.auth.session import Caller
from mobile_api.deps import Address, Server
from mobile_api.routes.phones import phone_out
from mobile_api.schemas.people import (
    CodeIn,
    CodeOut,
    LoginIn,
    MeOut,
    RefreshIn,
    TokensOut,
)

router = APIRouter(tags=["login"])


def _tokens_out(tokens: Tokens) -> TokensOut:
    return TokensOut(
        session_id=tokens.session_id,
        access_token=tokens.access,
        refresh_token=tokens.refresh,
        expires_at=tokens.access_expires_at,
    )


@router.post("/login/codes", status_code=202, summary="Send a one-time code by SMS")
async def send_code(body: CodeIn, services: Server, address: Address) -> CodeOut:
    """Answer the same for every number, known or not (L-39)."""
    now = services.clock.now()
    services.limits.try_once(f"codes:{address}", now)
    phone = normalise(body.phone)
    async with services.transactions.begin() as work:
        code = await send_login_code(work, services.phone_index, services.random, now, phone)
    await services.sms.send_code(phone, code)
    return CodeOut(expires_in_s=int(CODE_LIFE.total_seconds()))


@router.post("/login", summary="Exchange the code for tokens")
async def login(body: LoginIn, services: Server, address: Address) -> TokensOut:
    """Wrong, used, expired and exhausted codes get one and the same answer."""
    now = services.clock.now()
    services.limits.try_once(f"login:{address}", now)
    phone = normalise(body.phone)
    async with services.transactions.begin() as work:
        tokens = await log_in(work, services.phone_index, services.random, now, phone, body.code)
    if tokens is None:
        raise LoginCodeWrongError
    return _tokens_out(tokens)


@router.post("/login/refresh", summary="Renew the tokens")
async def refresh(body: RefreshIn, services: Server, address: Address) -> TokensOut:
    """The old refresh token dies."""
    now = services.clock.now()
    services.limits.try_once(f"refresh:{address}", now)
    async with services.transactions.begin() as work:
        return _tokens_out(await refresh_session(work, services.random, now, body.refresh_token))


@router.delete("/login", status_code=204, summary="Log out")
async def logout(caller: Caller, services: Server) -> Response:
    """Revoke this session; its phone keys live on."""
    async with services.transactions.begin() as work:
        await log_out(work, services.clock.now(), caller.id)
    return Response(status_code=204)


@router.get("/me", summary="This session, its person and phones")
async def me(caller: Caller, services: Server) -> MeOut:
    """Tell the app who it acts for."""
    async with services.transactions.begin() as work:
        account = await work.accounts.get(caller.account_id)
        holder = await work.holders.get(caller.holder_id)
        phones = await work.phones.of_holder(caller.holder_id)
    if account is None or holder is None:
        raise NotFoundError
    return MeOut(
        session_id=caller.id,
        account_id=account.id,
        holder_id=holder.id,
        subject=holder.subject,
        phone_mask=account.phone_mask,
        phones=[phone_out(phone) for phone in phones],
    )

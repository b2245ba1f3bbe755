"""A person's phones: their keys, and what proved them."""

from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.enrol_phone import Enrolment, enrol_phone
from lockserver.app.ports import UnitOfWork
from lockserver.app.remove_phone import remove_phone
from lockserver.domain.account import Phone
from lockserver.domain.phone_code import phone_code
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.people import PhoneIn, PhoneOut, WishIn

router = APIRouter(prefix="/phones", tags=["phones"])


def phone_out(phone: Phone) -> PhoneOut:
    """Show a phone to its holder."""
    return PhoneOut(
        id=phone.id,
        state=phone.state,
        proved_by=phone.proved_by,
        sign_pub=phone.sign_pub,
        phone_code=phone_code(phone.sign_pub),
    )


@router.post("", status_code=201, response_model=PhoneOut, summary="Enrol this phone's keys (pending)")
async def enrol(body: PhoneIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """The keys count for nothing until the lock's button, a face or staff prove them."""

    async def act(work: UnitOfWork) -> Done:
        phone = await enrol_phone(
            work,
            services.random,
            services.clock.now(),
            caller.holder_id,
            caller.id,
            Enrolment(body.sign_pub, body.ecdh_pub, body.proof),
        )
        return Done(201, phone_out(phone), {"Location": f"/v1/phones/{phone.id}"})

    return await once(caller.actor, act)


@router.get("", summary="My phones")
async def phones(caller: Caller, services: Server) -> list[PhoneOut]:
    """Oldest first, revoked ones too."""
    async with services.transactions.begin() as work:
        return [phone_out(phone) for phone in await work.phones.of_holder(caller.holder_id)]


@router.delete("/{phone_id}", status_code=204, summary="Declare a phone lost")
async def remove(phone_id: UUID, body: WishIn, caller: Caller, services: Server) -> Response:
    """A session is not enough: the wish is signed by an active phone of the same holder."""
    async with services.transactions.begin() as work:
        await remove_phone(work, services.clock.now(), caller.holder_id, phone_id, body.wish)
    return Response(status_code=204)

"""Who may have a lock at the broker asked for its offer: somebody with a phone of his own, and a house for it."""

from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.domain.errors import NotFoundError, PhoneUnknownError


async def own_phone(work: UnitOfWork, holder_id: UUID, key: bytes | None) -> None:
    """Let a landlord pass, with a phone of his that has this signing key where one is named.

    Raises NotFoundError for who owns no house, PhoneUnknownError.
    """
    if not await work.houses.of_owner(holder_id):
        raise NotFoundError
    phones = [one for one in await work.phones.of_holder(holder_id) if one.state != "revoked"]
    if not phones or (key is not None and key not in {one.sign_pub for one in phones}):
        raise PhoneUnknownError

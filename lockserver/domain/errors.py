"""Refusals. Each has one stable code, and this file is the one table of them.

A class's `code` never changes and is never reused; the first line of its docstring is its meaning,
and `mobile_api.problems` maps it to a status. Refusals carry `detail` for the caller's eyes: never a
phone number, an identity number or a name. Codes travel between roles in `requests.error_code`;
`refusal` brings them back as the class they left as.
"""

from typing import ClassVar


class DomainError(Exception):
    """The request cannot be carried out."""

    code: ClassVar[str] = "refused"

    def __init__(self, sentence: str = "", **detail: object) -> None:
        super().__init__(sentence or meaning(type(self)))
        self.detail: dict[str, object] = detail


# ---- asking ------------------------------------------------------------------------------------
class NotFoundError(DomainError):
    """There is no such thing, or it is none of the caller's business: the answer is the same."""

    code = "not_found"


class NotAllowedError(DomainError):
    """The caller may see this, but may not do that to it."""

    code = "not_allowed"


class InvalidInputError(DomainError):
    """A field does not hold what its rule asks for; `detail` names the field."""

    code = "invalid_input"


class ConflictError(DomainError):
    """Somebody else changed the same thing first; read it again."""

    code = "conflict"


class IntegrityRefusedError(DomainError):
    """A law that the database keeps refuses the change as a whole."""

    code = "integrity_refused"


class RoleSilentError(DomainError):
    """The role that must answer did not answer in time."""

    code = "role_silent"


class RoleFailedError(DomainError):
    """The role that must answer failed in a way that it has no word for."""

    code = "role_failed"


# ---- session -----------------------------------------------------------------------------------
class SessionInvalidError(DomainError):
    """The session is unknown, expired or revoked: log in again."""

    code = "session_invalid"


class LoginCodeWrongError(DomainError):
    """The one-time code is wrong, used or too old."""

    code = "login_code_wrong"


class TooManyTriesError(DomainError):
    """Too many tries; wait as long as `detail` says."""

    code = "too_many_tries"


# ---- idempotency -------------------------------------------------------------------------------
class IdempotencyKeyMissingError(DomainError):
    """A request that acts needs an Idempotency-Key."""

    code = "idempotency_key_missing"


class IdempotencyMismatchError(DomainError):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_mismatch"


class IdempotencyRunningError(DomainError):
    """The first request with this Idempotency-Key is still running."""

    code = "idempotency_running"


# ---- phone and wish ----------------------------------------------------------------------------
class ProofInvalidError(DomainError):
    """The signature does not prove the key it claims."""

    code = "proof_invalid"


class PhoneUnknownError(DomainError):
    """This phone's key is not enrolled, not yet proved, or revoked."""

    code = "phone_unknown"


class WishInvalidError(DomainError):
    """The wish is not signed by the acting holder's phone, or asks for something else."""

    code = "wish_invalid"


class WishUsedError(DomainError):
    """A wish is used once, and this one was."""

    code = "wish_used"


class WishExpiredError(DomainError):
    """The wish's deadline has passed."""

    code = "wish_expired"


# ---- houses, tenancies, grants -----------------------------------------------------------------
class WindowInvalidError(DomainError):
    """The window is empty, reversed or reaches outside what it must lie in."""

    code = "window_invalid"


class RoomTakenError(DomainError):
    """The room has a living tenancy in that window."""

    code = "room_taken"


class LeaseOrderError(DomainError):
    """A lease of this room that begins later is signed already: end that one first, or begin after it.

    Turnover epochs rise with each lease, so leases are signed in the order in which they begin.
    """

    code = "lease_order"


class RoomFullError(DomainError):
    """More occupants than the room may hold."""

    code = "room_full"


class NotARoomError(DomainError):
    """A gate cannot be leased."""

    code = "not_a_room"


class GuardianMissingError(DomainError):
    """A minor needs a guardian among the tenancy's adults."""

    code = "guardian_missing"


class TenancyEndedError(DomainError):
    """The tenancy has ended."""

    code = "tenancy_ended"


class InviteInvalidError(DomainError):
    """The invite is unknown, used up, or made out to another phone number."""

    code = "invite_invalid"


class GrantMissingError(DomainError):
    """The holder has no living grant for this door."""

    code = "grant_missing"


class WideningRefusedError(DomainError):
    """An edit may narrow a grant; to widen it the request must say so in words."""

    code = "widening_refused"


class TenantProtectedError(DomainError):
    """Nobody but the tenant himself takes his way in, nor gives another one to his room (L-45)."""

    code = "tenant_protected"


class TenancyLivesError(DomainError):
    """Somebody lives in this room in that time."""

    code = "tenancy_lives"


# ---- locks and commands ------------------------------------------------------------------------
class GatewayTakenError(DomainError):
    """This gateway serves a house already, or the house has as many as it may."""

    code = "gateway_taken"


class NoButtonError(DomainError):
    """The lock is not at the broker, or nobody pressed its button in time."""

    code = "no_button"


class ClaimRefusedError(DomainError):
    """The lock's offer, claim code or factory certificate does not hold."""

    code = "claim_refused"


class LockTakenError(DomainError):
    """This lock is enrolled already, or the door has a lock."""

    code = "lock_taken"


class LockMissingError(DomainError):
    """The door has no active lock."""

    code = "lock_missing"


class CommandRefusedError(DomainError):
    """The lock refused the command; `detail` has its reason."""

    code = "command_refused"


class CommandExpiredError(DomainError):
    """The command's deadline passed and the lock did not act."""

    code = "command_expired"


class StepIllegalError(DomainError):
    """No legal step leads from this state to that one."""

    code = "step_illegal"


# ---- PINs, cards, fingers ------------------------------------------------------------------------


class WindowPastError(DomainError):
    """The window begins or ends in the past; the facts say what must lie ahead."""

    code = "window_past"


class WindowWideError(DomainError):
    """The window reaches outside what you hold yourself; `from` and `until` say what that is."""

    code = "window_wide"


class WindowFarError(DomainError):
    """The window begins too far ahead; `days` says how far it may."""

    code = "window_far"


class KeyWithheldError(DomainError):
    """This phone may not hold a key for that door; `reason` says why."""

    code = "key_withheld"


# ---- identity capture --------------------------------------------------------------------------
class ConsentMissingError(DomainError):
    """The separate consent for this step is missing or was withdrawn."""

    code = "consent_missing"


class CaseStateError(DomainError):
    """The case is not at the step that this request belongs to."""

    code = "case_state"


class SealBrokenError(DomainError):
    """The sealed body cannot be opened by the key it names, or is bound to something else."""

    code = "seal_broken"


class ImageTooLargeError(DomainError):
    """The image is larger than the limit in `detail`."""

    code = "image_too_large"


class ImageUnreadableError(DomainError):
    """The image cannot be read as the part it was sent as; `detail` says what to do better."""

    code = "image_unreadable"


class FieldsDifferError(DomainError):
    """The declaration differs from the fields that were confirmed."""

    code = "fields_differ"


class IdentifierInvalidError(DomainError):
    """An identity number fails its own rules; `detail` names the rule."""

    code = "identifier_invalid"


class CodeWrongError(DomainError):
    """The code read off the tenant's phone does not name that phone."""

    code = "code_wrong"


class VerdictMissingError(DomainError):
    """No identity verdict allows this yet."""

    code = "verdict_missing"


# ---- duty and relay ----------------------------------------------------------------------------
class DutyMissingError(DomainError):
    """There is no open duty of this kind for this occupant."""

    code = "duty_missing"


class DutyFulfilledError(DomainError):
    """The duty is filed already."""

    code = "duty_fulfilled"


class LeaseLostError(DomainError):
    """The entry was claimed by another worker after this one's lease ran out (fencing)."""

    code = "lease_lost"


# ---- sealing -----------------------------------------------------------------------------------
class CiphertextMovedError(DomainError):
    """A ciphertext does not open where it lies: moved, altered, or its key destroyed."""

    code = "ciphertext_moved"


def meaning(kind: type[DomainError]) -> str:
    """Return what the code of this class means, in one sentence."""
    return (kind.__doc__ or "").splitlines()[0]


def classes() -> dict[str, type[DomainError]]:
    """Return every refusal by its code; subclasses defined in other rooms count too."""
    found: dict[str, type[DomainError]] = {}
    waiting: list[type[DomainError]] = [DomainError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found


def meanings() -> dict[str, str]:
    """Return the table: code → meaning."""
    return {code: meaning(kind) for code, kind in sorted(classes().items())}


def refusal(code: str, **detail: object) -> DomainError:
    """Return the refusal of this code; an unknown code becomes `role_failed`, naming it."""
    kind = classes().get(code)
    if kind is None:
        return RoleFailedError(named=code)
    return kind("", **detail)

"""Becoming somebody's lock: button, offer, document under the claim code's MAC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim.core.events import Advertise, IdentityChanged, Publish
from firmware_sim.core.held import Held, first_record
from firmware_sim.core.identity import Identity
from firmware_sim.core.rtc import Rtc
from lockserver.protocol import gatt
from lockserver.protocol.curve import private_key, public_bytes
from lockserver.protocol.enrolment import (
    E1,
    EnrolOffer,
    open_enrolment,
    read_e1,
    read_e3,
    sign_offer,
    write_e2,
    write_e4,
)
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import BUTTON_SECONDS, ENROL_NONCE
from lockserver.protocol.sealed import Box, box_info, unseal
from lockserver.protocol.topics import shard

if TYPE_CHECKING:
    from firmware_sim.core.core import Core
    from firmware_sim.core.identity import FactoryIdentity
    from lockserver.protocol.curve import Random


@dataclass(frozen=True, slots=True)
class _Offer:
    owner: bytes
    nonce: bytes
    signing: ec.EllipticCurvePrivateKey
    ecdh: ec.EllipticCurvePrivateKey
    made: int


class Enrolment:
    """The claim of an unclaimed lock. The offer and its keys are forgotten at a power cut."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._button: int | None = None
        self._offer: _Offer | None = None

    @property
    def claimable(self) -> bool:
        """Whether the button was pressed less than `BUTTON_SECONDS` ago and nobody owns the lock."""
        if self._core.held is not None or self._button is None:
            return False
        return self._core.at.mono - self._button < BUTTON_SECONDS * 1000

    @property
    def deadline(self) -> int | None:
        """When the button's time is over (milliseconds since boot)."""
        return None if self._button is None else self._button + BUTTON_SECONDS * 1000

    def pressed(self) -> None:
        """The button: from now on the lock may be claimed for a while."""
        if self._core.held is None:
            self._button = self._core.at.mono
            self._advertise()

    def tick(self) -> None:
        """The button's time may be over."""
        if self._button is not None and not self.claimable:
            self._button = self._offer = None
            if self._core.held is None:
                self._advertise()

    def offer(self, e1: bytes) -> bytes:
        """E2 for an E1, the same for the same owner: a broker may deliver his E1 twice.

        RemoteError: NO_BUTTON, WRONG_STATE, BAD_POINT ...
        """
        owner = read_e1(e1)
        core = self._core
        if core.held is not None:
            raise RemoteError(Denial.WRONG_STATE, "already enrolled")
        if not self.claimable:
            raise RemoteError(Denial.NO_BUTTON, "the button was not pressed")
        if self._offer is None or self._offer.owner != owner:
            self._offer = _Offer(
                owner,
                core.random(ENROL_NONCE),
                private_key(core.random),
                private_key(core.random),
                core.at.mono,
            )
        offer = EnrolOffer(
            serial=core.factory.serial,
            certificate=core.factory.certificate,
            nonce=self._offer.nonce,
            sign_public=public_bytes(self._offer.signing),
            ecdh_public=public_bytes(self._offer.ecdh),
            owner_public=owner,
        )
        return write_e2(sign_offer(offer, core.factory.signer))

    def message(self, data: bytes, *, retained: bool) -> None:
        """E1 or E3 from the broker; every refusal is `7F`. What the broker kept from before is nobody's."""
        core = self._core
        if retained:
            return
        try:
            if data[:1] == bytes([E1]):
                core.emit(Publish(self.offer(data)))
                return
            e4 = self.accept(data)
        except RemoteError as error:
            core.deny(How.REMOTE, error.code)
            core.emit(Publish(REFUSAL))
            return
        core.emit(Publish(e4))
        self.announce()

    def accept(self, e3: bytes) -> bytes:
        """E4 for an E3: the lock has its identity. RemoteError: the document is not for us, or too late.

        `announce` follows when E4 has been sent.
        """
        signed, mac = read_e3(e3)
        core, offer = self._core, self._offer
        if offer is None or not self.claimable:
            raise RemoteError(Denial.NO_BUTTON, "no offer is open")
        enrolled = open_enrolment(signed, mac, core.factory.claim_code, offer.nonce, core.factory.serial)
        document = enrolled.document
        if document.shard != shard(document.lock_id):
            raise RemoteError(Denial.BAD_FORMAT, "a shard that is not the lock's")
        identity = Identity(
            lock_id=document.lock_id,
            signing=offer.signing,
            ecdh=offer.ecdh,
            site_root=document.site_root,
            certificate=document.certificate,
            broker_secret=_unbox(offer, document.broker_secret, Box.BROKER, document.lock_id),
            door_seed=_unbox(offer, document.door_seed, Box.SEED, document.lock_id),
            door_kind=document.door_kind,
        )
        held = Held(identity, enrolled.trust, Rtc(), epoch=document.epoch or 0)
        # the document is bound to our nonce, so its date is a time statement
        held.rtc.attest(core.at, document.iat, core.at.mono - offer.made)
        core.journal(
            What.ENROLLED,
            How.BUTTON,
            beside=identity.record() | first_record(document.key_set) | held.record(),
        )
        core.held = held
        self._button = self._offer = None
        return write_e4(core.seal(core.hello()))

    def announce(self) -> None:
        """From now on the lock goes by its new name."""
        self._core.emit(IdentityChanged())
        self._advertise()

    def _advertise(self) -> None:
        core = self._core
        name = core.factory.serial.encode() if core.held is None else core.held.identity.lock_id
        core.emit(Advertise(gatt.tag(name), self.claimable))


def login_offer(factory: FactoryIdentity, random: Random) -> bytes:
    """What a lock that nobody owns shows a broker that wants a password: an LK1-OFFER for nobody.

    It proves the factory's key. Its owner's key is its own signing key, which is no phone's, so that
    it can never be taken for the offer of an enrolment; the keys are thrown away.
    """
    signing, ecdh = public_bytes(private_key(random)), public_bytes(private_key(random))
    offer = EnrolOffer(
        serial=factory.serial,
        certificate=factory.certificate,
        nonce=random(ENROL_NONCE),
        sign_public=signing,
        ecdh_public=ecdh,
        owner_public=signing,
    )
    return sign_offer(offer, factory.signer)


def _unbox(offer: _Offer, box: bytes, purpose: Box, lock_id: bytes) -> bytes:
    return unseal(offer.ecdh, box, box_info(purpose, lock_id))

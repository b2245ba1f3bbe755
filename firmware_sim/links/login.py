"""As whom a lock comes to its broker: as the site's lock, or, before anybody owns it, as what the factory made."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware_sim.core.enrol import login_offer
from lockserver.protocol.topics import command_topic, enrol_down, enrol_up, lock_name, report_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

    from firmware_sim.core.identity import FactoryIdentity, Identity
    from lockserver.protocol.curve import Random


@dataclass(frozen=True, slots=True)
class Login:
    """A name with its two proofs (a password, a certificate with its key) and its two topics."""

    name: str
    """Client id and user name."""
    secret: Callable[[], bytes]
    """Made for every connection; the password is its base64url without padding."""
    certificate: bytes
    key: ec.EllipticCurvePrivateKey
    down: str
    up: str

    @property
    def password(self) -> str:
        """What goes into CONNECT."""
        return base64.urlsafe_b64encode(self.secret()).decode().rstrip("=")


def lock_login(identity: Identity) -> Login:
    """As this lock."""
    return Login(
        name=lock_name(identity.lock_id),
        secret=lambda: identity.broker_secret,
        certificate=identity.certificate,
        key=identity.signing,
        down=command_topic(identity.lock_id),
        up=report_topic(identity.lock_id),
    )


def factory_login(factory: FactoryIdentity, random: Random) -> Login:
    """As a lock that waits to be enrolled: its proof is an LK1-OFFER for nobody, fresh each time."""
    return Login(
        name=f"factory-{factory.serial}",
        secret=lambda: login_offer(factory, random),
        certificate=factory.certificate,
        key=factory.signer.key,
        down=enrol_down(factory.serial),
        up=enrol_up(factory.serial),
    )

"""`command_verify`: what a remote unlock costs the lock in computing.

    python -m bench.command_verify [--times N]

- `command_verify`: open the box, verify the server's signature, the issuer's under the credential and the
  holder's under the wish, decide, sign and seal the result; beside three bare ES256 verifications;
- `command_verify.parts`: the same beside all bare operations that are in it (three verifications, a
  signature, a key pair, two agreements): what our own code adds.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.report import Figure, emit, p50, percentile, table
from lockserver.protocol.access import ClockView, Denied, DoorView, Operation, decide
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.commands import ActBody
from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, open_command, seal_report
from lockserver.protocol.reports import Outcome, Result
from lockserver.protocol.wish import read_wish
from tests.support.site import Enrolled, Site


class Lock:
    """One lock's keys, and what it does with a command; no motor and no flash."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._signing, self._ecdh = private_key(secrets.token_bytes), private_key(secrets.token_bytes)
        self.signer = EcdsaSigner(self._signing)
        self.id = secrets.token_bytes(16)
        self.enrolled = Enrolled(self.id, self.signer.public, public_bytes(self._ecdh), bytes(32))
        self._trust = site.trust()
        self._seq = 0

    def obey(self, sealed: bytes) -> bytes:
        """The sealed result of a sealed command. Raises RemoteError; ValueError if it is refused."""
        keys = self._trust.key_set
        command = open_command(sealed, self.id, self._ecdh, keys.commanders)
        body = command.body
        if not isinstance(body, ActBody):
            message = "no act"
            raise TypeError(message)
        credential = read_credential(body.credential, keys.issuers)
        read_wish(body.wish, credential.claims.holder_public)
        door = DoorView(self.id, shared=False)
        verdict = decide(credential.claims, Operation.UNLOCK, ClockView(self._site.now), door)
        if isinstance(verdict, Denied):
            raise ValueError(verdict.denial.word)  # noqa: TRY004 - a refusal, not a type
        self._seq += 1
        result = Result(
            command_id=command.command_id,
            outcome=Outcome.DONE,
            bolt=BoltState.UNLOCKED,
            counter=command.counter,
            time=self._site.now,
            journal_number=self._seq,
        )
        envelope = Envelope(self.id, Position(1, self._seq), result)
        return seal_report(envelope, self.signer, keys.report_key, private_key(secrets.token_bytes))


def timed(work: Callable[[], object]) -> float:
    """Microseconds of one call."""
    started = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - started)


def measure(times: int) -> list[Figure]:
    """All three side by side, one of each in turn, so that the machine's moods strike them alike."""
    site = Site(secrets.token_bytes, now=int(time.time()))
    lock, tenant = Lock(site), site.holder()
    credential = site.credential(lock.enrolled, tenant)
    key = ec.generate_private_key(ec.SECP256R1())
    peer, algorithm = ec.generate_private_key(ec.SECP256R1()).public_key(), ec.ECDSA(hashes.SHA256())
    signing = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    public, text = key.public_key(), bytes(200)
    signature = key.sign(text, algorithm)

    def verify_thrice() -> None:
        for _ in range(3):
            public.verify(signature, text, algorithm)

    def all_parts() -> None:
        verify_thrice()
        key.sign(text, signing)
        key.exchange(ec.ECDH(), peer)
        ec.generate_private_key(ec.SECP256R1()).exchange(ec.ECDH(), peer)

    ours: list[float] = []
    thrice: list[float] = []
    parts: list[float] = []
    for _ in range(times):
        sealed, _ = site.unlock(lock.enrolled, tenant, credential=credential)
        ours.append(timed(lambda sealed=sealed: lock.obey(sealed)))  # type: ignore[misc]
        thrice.append(timed(verify_thrice))
        parts.append(timed(all_parts))
    tails = {"p99": percentile(ours, 0.99)}
    return [
        emit(Figure("command_verify", p50(ours), "us", p50(thrice), n=times, extra=tails)),
        emit(Figure("command_verify.parts", p50(ours), "us", p50(parts), n=times)),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print lines, print the table."""
    parser = argparse.ArgumentParser(prog="bench.command_verify", description="A remote unlock at the lock.")
    parser.add_argument("--times", type=int, default=500)
    table(measure(parser.parse_args(arguments).times))
    return 0


if __name__ == "__main__":
    sys.exit(main())

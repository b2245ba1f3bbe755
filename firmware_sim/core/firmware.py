"""Another firmware: signed by the manufacturer, above the counter held, whole, into the other bank.

The image comes in pieces, stop and wait: whatever is said, the answer names the offset wanted next. A
piece is in the bank before the offset that covers it is written down, so a torn one is written again.
Only a whole image of the right hash is switched to, by one flash record that holds counter, bank and
the word that it is new; a power cut leaves the old one running or the new one, never half of each.
The counter in that record only rises; a reset of the lock does not touch it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from firmware_sim.core.image import image_version
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.firmware import FirmwareManifest, check_image, read_firmware
from lockserver.protocol.journal import How, What
from lockserver.protocol.reports import FirmwareState

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_sim.core.core import Core
    from firmware_sim.core.held import Record
    from lockserver.protocol.commands import FirmwareBody

#: Milliseconds between `firmware refused` entries; between them refusals are counted as denials are.
REFUSED_MS: Final = 3_600_000

#: Flash keys that outlive a reset: the counter never falls.
KEPT: Final = frozenset({"firmware"})
_RUNNING: Final = "firmware"
_COMING: Final = "firmware.coming"


class Banks(Protocol):
    """Two image banks of the flash chip, 0 and 1. Any call may raise `PowerCutError`."""

    def image(self, bank: int) -> bytes:
        """What was written since the bank was erased."""

    def write_image(self, bank: int, at: int, data: bytes) -> None:
        """Write `data` at offset `at`, over a torn tail if there is one."""

    def erase_image(self, bank: int) -> None:
        """Forget the bank."""


@dataclass(frozen=True, slots=True)
class Running:
    """The image that runs. `bank` None: the factory's, in read-only memory. `new`: not yet journalled."""

    counter: int
    version: str
    bank: int | None = None
    new: bool = False

    def record(self) -> Record:
        """As it is put into flash."""
        return {_RUNNING: encode([self.counter, self.version, self.bank, self.new])}


#: What every lock leaves the factory with.
FACTORY: Final = Running(1, "1.0.0")


@dataclass(frozen=True, slots=True)
class _Coming:
    raw: bytes
    manifest: FirmwareManifest
    offset: int = 0

    def fits(self, manifest: FirmwareManifest) -> bool:
        """Whether that is the same image: signed again on another day it may go on."""
        mine = self.manifest
        return (mine.counter, mine.digest) == (manifest.counter, manifest.digest)

    def record(self) -> Record:
        return {_COMING: encode([self.raw, self.offset])}


class Firmware:
    """The two banks of one lock. Without `banks`, a lock that cannot be updated."""

    def __init__(self, core: Core, banks: Banks | None) -> None:
        self._core = core
        self._banks = banks
        self.running = _load_running(core)
        self._coming = self._load_coming()
        self._refused_at: int | None = None
        core.running = (self.running.counter, self.running.version)

    def booted(self) -> None:
        """Say once that a new image runs."""
        if not self.running.new:
            return
        self.running = Running(self.running.counter, self.running.version, self.running.bank)
        self._core.journal(What.FIRMWARE_APPLIED, How.REMOTE, beside=self.running.record())

    def take(self, body: FirmwareBody, reply: Callable[[FirmwareState], None]) -> None:
        """A piece of an image, or a question; the answer says what is wanted next."""
        try:
            self._take(body)
        except RemoteError as error:
            self._refused(error.code)
            reply(self._state(error.code))
            return
        reply(self._state())

    @property
    def ready(self) -> bool:
        """Whether a whole image waits to be switched to."""
        return self._coming is not None and self._coming.offset == self._coming.manifest.size

    def switch(self) -> bool:
        """Switch to the image that is whole; it runs after a reboot. False: it was not what was promised."""
        coming, banks = self._coming, self._banks
        if coming is None or banks is None or not self.ready:
            return False
        image = banks.image(self._other)[: coming.manifest.size]
        try:
            _check(coming.manifest, image)
        except RemoteError as error:  # the bank has changed since it was found good
            self._refused(error.code)
            self._forget()
            return False
        version = image_version(image) or coming.manifest.version
        self.running = Running(coming.manifest.counter, version, self._other, new=True)
        self._core.flash.put(self.running.record() | {_COMING: None})
        self._coming = None
        return True

    # ---- pieces

    def _take(self, body: FirmwareBody) -> None:
        factory, banks = self._core.factory, self._banks
        if banks is None or factory.firmware_public is None:
            raise RemoteError(Denial.UNSUPPORTED, "this lock cannot be updated")
        manifest = read_firmware(body.manifest, factory.firmware_public)
        if manifest.model != factory.model:
            raise RemoteError(Denial.UNSUPPORTED, f"for a {manifest.model}")
        if manifest.counter <= self.running.counter:
            raise RemoteError(Denial.ROLLED_BACK, f"{manifest.counter} after {self.running.counter}")
        coming = self._coming
        if coming is None or not coming.fits(manifest):
            coming = _Coming(body.manifest, manifest)
            self._core.flash.put(coming.record())
            banks.erase_image(self._other)
            self._coming = coming
        if body.chunk is not None and body.offset == coming.offset:
            self._write(banks, coming, body.chunk)

    def _write(self, banks: Banks, coming: _Coming, chunk: bytes) -> None:
        end = coming.offset + len(chunk)
        if end > coming.manifest.size:
            raise RemoteError(Denial.TOO_LARGE, "more than the manifest says")
        banks.write_image(self._other, coming.offset, chunk)
        if end == coming.manifest.size:
            try:
                _check(coming.manifest, banks.image(self._other)[:end])
            except RemoteError:
                self._forget()
                raise
        self._coming = _Coming(coming.raw, coming.manifest, end)
        self._core.flash.put(self._coming.record())

    def _forget(self) -> None:
        """Start anew, should anybody offer an image again."""
        self._coming = None
        self._core.flash.put({_COMING: None})

    @property
    def _other(self) -> int:
        return 1 if self.running.bank == 0 else 0

    def _state(self, denial: Denial | None = None) -> FirmwareState:
        coming = self._coming
        return FirmwareState(
            counter=self.running.counter,
            version=self.running.version,
            offset=0 if coming is None else coming.offset,
            target=None if coming is None else coming.manifest.counter,
            denial=denial,
        )

    def _refused(self, denial: Denial) -> None:
        """The reason is counted like any denial; that an update failed is said once an hour."""
        core = self._core
        core.deny(How.REMOTE, denial)
        if self._refused_at is None or core.at.mono - self._refused_at >= REFUSED_MS:
            self._refused_at = core.at.mono
            core.journal(What.FIRMWARE_REFUSED, How.REMOTE)

    def _load_coming(self) -> _Coming | None:
        raw, public = self._core.flash.get(_COMING), self._core.factory.firmware_public
        if raw is None or public is None:
            return None
        row = decode(raw)
        if not isinstance(row, list):
            message = "the coming image in flash is broken"
            raise TypeError(message)
        try:
            return _Coming(row[0], read_firmware(row[0], public), row[1])
        except RemoteError:
            return None  # whatever it was: a lock that does not boot is worse than an update begun anew


def _check(manifest: FirmwareManifest, image: bytes) -> None:
    check_image(manifest, image)
    if image_version(image) != manifest.version:
        raise RemoteError(Denial.BAD_FORMAT, "the image calls itself otherwise")


def _load_running(core: Core) -> Running:
    raw = core.flash.get(_RUNNING)
    if raw is None:
        return FACTORY
    row = decode(raw)
    if not isinstance(row, list):
        message = "the running image in flash is broken"
        raise TypeError(message)
    return Running(*row)

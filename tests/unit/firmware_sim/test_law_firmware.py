"""L-14 and L-10: another firmware comes signed, newer and whole, or the old one runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from firmware_sim.core import firmware as core_firmware
from firmware_sim.core.events import Reboot
from firmware_sim.core.firmware import FACTORY, Banks, Firmware, _Coming
from firmware_sim.core.image import build_image, image_version
from firmware_sim.links.memory import Cut
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.commands import Command, CommandKind, FirmwareBody
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.errors import Denial
from lockserver.protocol.firmware import FirmwareManifest, manifest_of, read_firmware, sign_firmware
from lockserver.protocol.journal import What
from lockserver.protocol.limits import MAX_CHUNK
from lockserver.protocol.reports import FirmwareState, Hello
from tests.support.site import T0, burn, source
from tests.unit.firmware_sim.desk import Desk

PAYLOAD = source(3)(3 * MAX_CHUNK)
NEXT = "1.1.0"


@dataclass
class Works(Desk):
    """A desk with a manufacturer."""

    maker: EcdsaSigner = field(default_factory=lambda: EcdsaSigner(private_key(source(55))))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lock._factory = replace(self.factory, firmware_public=self.maker.public)
        self.lock.power_on()
        self.broker_up()
        self.news()

    def manifest(self, image: bytes, *, by: EcdsaSigner | None = None, **changes: object) -> bytes:
        fields: dict[str, object] = {"model": "LSIM-1", "counter": 2, "version": NEXT, "iat": T0}
        whole = manifest_of(image, **(fields | changes))  # type: ignore[arg-type]
        return sign_firmware(whole, by or self.maker)

    def piece(self, manifest: bytes, offset: int, chunk: bytes | None) -> FirmwareState | None:
        """Send one command 7; what the lock answers, if it still has power."""
        body = FirmwareBody(manifest, offset, chunk)
        command = Command(self.random(16), CommandKind.FIRMWARE, body)
        self.deliver(self.site.seal(self.enrolled, command))
        states = [r for r in self.news() if isinstance(r, FirmwareState)]
        return states[-1] if states else None

    def update(self, manifest: bytes, image: bytes, *, most: int = 40) -> FirmwareState | None:
        """What a server does with a lock at its broker: ask, send what is wanted, and so on."""
        self.broker_up()
        self.news()
        state = self.piece(manifest, 0, None)
        for _ in range(most):
            if state is None or state.denial is not None or state.offset >= len(image):
                return state
            at = state.offset
            state = self.piece(manifest, at, image[at : at + MAX_CHUNK])
        return state

    @property
    def runs(self) -> tuple[int, str]:
        """Counter and version, as the lock's own hello says."""
        if not self.lock.on:
            self.lock.power_on()
        self.broker_up()
        found = [r for r in self.news() if isinstance(r, Hello)][-1]
        assert found.firmware is not None
        assert found.firmware_version is not None
        return found.firmware, found.firmware_version


OLD = (FACTORY.counter, FACTORY.version)
IMAGE = build_image(NEXT, PAYLOAD)


def test_a_signed_newer_image_runs_after_a_reboot_and_is_journalled_once() -> None:
    works = Works()
    state = works.update(works.manifest(IMAGE), IMAGE)
    assert state is not None
    assert (state.offset, state.target, state.denial) == (len(IMAGE), 2, None)
    assert sum(isinstance(e, Reboot) for e in works.lock.effects) == 1
    assert works.runs == (2, NEXT)
    for _ in range(3):
        works.lock.power_on()
    assert len(works.entries(What.FIRMWARE_APPLIED)) == 1
    assert works.runs == (2, NEXT)
    third = build_image("1.2.0", PAYLOAD[:100])
    works.update(works.manifest(third, counter=7, version="1.2.0"), third)
    assert works.runs == (7, "1.2.0"), "and the next goes into the bank that is free"


def test_pieces_out_of_order_twice_or_late_change_nothing_and_the_answer_says_what_is_wanted() -> None:
    works = Works()
    manifest = works.manifest(IMAGE)
    first, second = IMAGE[:MAX_CHUNK], IMAGE[MAX_CHUNK : 2 * MAX_CHUNK]
    wanted = [
        works.piece(manifest, MAX_CHUNK, second),
        works.piece(manifest, 0, first),
        works.piece(manifest, 0, first),
        works.piece(manifest, 3 * MAX_CHUNK, second),
        works.piece(manifest, 0, None),
    ]
    assert [s.offset for s in wanted if s] == [0, MAX_CHUNK, MAX_CHUNK, MAX_CHUNK, MAX_CHUNK]
    works.update(manifest, IMAGE)
    assert works.runs == (2, NEXT)


def test_a_door_that_moves_is_waited_for() -> None:
    works = Works()
    manifest = works.manifest(IMAGE)
    carry_out = works.lock._carry_out
    works.lock._carry_out = lambda e: [] if type(e).__name__ == "MoveBolt" else carry_out(e)  # type: ignore[method-assign, assignment]
    sealed, _ = works.site.unlock(works.enrolled, works.site.holder())
    works.deliver(sealed)
    works.update(manifest, IMAGE)
    assert works.bolt is BoltState.MOVING
    assert not any(isinstance(e, Reboot) for e in works.lock.effects)
    works.wait(6)
    assert any(isinstance(e, Reboot) for e in works.lock.effects)


def bad(works: Works) -> dict[str, tuple[bytes, bytes, Denial]]:
    """(manifest, image, expected denial) of everything that must not run."""
    stranger = EcdsaSigner(private_key(source(77)))
    good = works.manifest(IMAGE)
    forged = bytearray(good)
    forged[-1] ^= 1
    altered = IMAGE[:-1] + bytes([IMAGE[-1] ^ 1])
    return {
        "by somebody else": (works.manifest(IMAGE, by=stranger), IMAGE, Denial.UNKNOWN_KEY),
        "by the site's issuer": (works.manifest(IMAGE, by=works.site.issuer), IMAGE, Denial.UNKNOWN_KEY),
        "forged signature": (bytes(forged), IMAGE, Denial.BAD_SIGNATURE),
        "no signature at all": (IMAGE[:200], IMAGE, Denial.BAD_FORMAT),
        "the running counter": (works.manifest(IMAGE, counter=1), IMAGE, Denial.ROLLED_BACK),
        "an older counter": (works.manifest(IMAGE, counter=0), IMAGE, Denial.ROLLED_BACK),
        "for another model": (works.manifest(IMAGE, model="LSIM-2"), IMAGE, Denial.UNSUPPORTED),
        "altered image": (good, altered, Denial.BAD_SIGNATURE),
        "another image": (good, build_image(NEXT, PAYLOAD[::-1]), Denial.BAD_SIGNATURE),
        "called otherwise": (works.manifest(IMAGE, version="9.9"), IMAGE, Denial.BAD_FORMAT),
        "more than promised": (works.manifest(IMAGE[:-1]), IMAGE, Denial.TOO_LARGE),
    }


@pytest.mark.parametrize("name", list(bad(Works())))
def test_L14_what_is_not_signed_newer_and_whole_does_not_run(name: str) -> None:
    works = Works()
    manifest, image, denial = bad(works)[name]
    state = works.update(manifest, image)
    assert state is not None
    assert state.denial is denial
    assert (state.counter, state.version) == OLD
    assert not any(isinstance(e, Reboot) for e in works.lock.effects)
    assert denial in works.denials()
    assert len(works.entries(What.FIRMWARE_REFUSED)) == 1
    assert works.runs == OLD
    works.update(works.manifest(IMAGE), IMAGE)
    assert works.runs == (2, NEXT), "and the right one is taken afterwards"


def test_L14_a_truncated_image_never_runs() -> None:
    works = Works()
    works.update(works.manifest(IMAGE), IMAGE[:-1], most=10)
    for _ in range(3):
        works.lock.power_on()
    assert works.runs == OLD
    assert not works.entries(What.FIRMWARE_APPLIED)


def test_L14_the_counter_never_falls_and_the_way_back_is_shut() -> None:
    works = Works()
    works.update(works.manifest(IMAGE, counter=5), IMAGE)
    older = build_image("1.0.5", PAYLOAD)
    state = works.update(works.manifest(older, counter=4, version="1.0.5"), older)
    assert state is not None
    assert state.denial is Denial.ROLLED_BACK
    assert works.runs == (5, NEXT)


def test_L14_an_older_one_does_not_slip_in_behind_a_newer_manifest() -> None:
    """The bank is filled under one manifest and finished under another."""
    works = Works()
    older = build_image("0.9.0", PAYLOAD)
    half = len(older) // MAX_CHUNK * MAX_CHUNK
    new = works.manifest(IMAGE)
    for at in range(0, half, MAX_CHUNK):
        works.piece(new, at, older[at : at + MAX_CHUNK])
    state = works.piece(new, half, older[half:])
    assert state is not None
    assert state.denial is not None or state.offset < len(IMAGE)
    assert works.runs == OLD


def test_L14_mutant_a_check_taken_out_lets_it_run(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_read = read_firmware

    def anybody(data: bytes, _public: bytes) -> FirmwareManifest:
        for key in (Works().maker.public, EcdsaSigner(private_key(source(77))).public):
            try:
                return whole_read(data, key)
            except Exception:  # noqa: BLE001, S112
                continue
        raise AssertionError

    taken: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
        "by somebody else": lambda m: m.setattr(core_firmware, "read_firmware", anybody),
        "altered image": lambda m: m.setattr(core_firmware, "check_image", lambda *_: None),
        "called otherwise": lambda m: m.setattr(core_firmware, "_check", lambda *_: None),
    }
    for name, mutate in taken.items():
        works = Works()
        manifest, image, _ = bad(works)[name]
        with monkeypatch.context() as mutant:
            mutate(mutant)
            works.update(manifest, image)
            assert works.runs != OLD, name


def test_L14_mutant_a_lock_that_forgets_its_counter_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    works = Works()
    works.update(works.manifest(IMAGE, counter=5), IMAGE)
    older = build_image("1.0.5", PAYLOAD)
    take = Firmware._take

    def forgetful(self: Firmware, body: FirmwareBody) -> None:
        real, self.running = self.running, replace(self.running, counter=0)
        try:
            take(self, body)
        finally:
            self.running = real

    monkeypatch.setattr(Firmware, "_take", forgetful)
    works.update(works.manifest(older, counter=4, version="1.0.5"), older)
    assert works.runs == (4, "1.0.5")


def writes_of_an_update() -> int:
    works = Works()
    before = works.lock.medium.writes
    works.update(works.manifest(IMAGE), IMAGE)
    return works.lock.medium.writes - before


def broken_updates() -> list[str]:
    """What L-10 and L-14 forbid, found over a cut at every write of an update, torn in several places."""
    found = []
    for number in range(writes_of_an_update()):
        for share in (0.0, 0.4, 1.0):
            works = Works()
            works.lock.medium.cut = Cut(number, share)
            manifest = works.manifest(IMAGE)
            works.update(manifest, IMAGE)
            where = f"write {number} share {share}"
            works.lock.medium.cut = None
            runs = works.runs
            if runs not in {OLD, (2, NEXT)}:
                found.append(f"runs {runs}, {where}")
            if runs != OLD and image_version(works.lock.medium.image(0)) != NEXT:
                found.append(f"says {runs} and holds another image, {where}")
            works.update(manifest, IMAGE)
            if works.runs != (2, NEXT):
                found.append(f"never arrived, {where}")
            if works.lock.medium.image(0)[: len(IMAGE)] != IMAGE:
                found.append(f"a torn image runs, {where}")
            if len(works.entries(What.FIRMWARE_APPLIED)) != 1:
                found.append(f"journalled {len(works.entries(What.FIRMWARE_APPLIED))} times, {where}")
            if works.openings:
                found.append(f"opened, {where}")
    return found


def test_L10_a_cut_at_any_write_of_an_update_leaves_the_old_or_the_new() -> None:
    assert writes_of_an_update() > 8
    assert broken_updates() == []


def test_L10_mutant_an_offset_written_before_its_piece_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(self: Firmware, banks: Banks, coming: _Coming, chunk: bytes) -> None:
        self._coming = replace(coming, offset=coming.offset + len(chunk))
        self._core.flash.put(self._coming.record())
        banks.write_image(self._other, coming.offset, chunk)

    monkeypatch.setattr(Firmware, "_write", hasty)
    monkeypatch.setattr(core_firmware, "check_image", lambda *_: None)
    monkeypatch.setattr(core_firmware, "_check", lambda *_: None)
    assert any("torn image" in broken for broken in broken_updates())


def test_an_update_that_was_begun_goes_on_after_a_cut() -> None:
    works = Works()
    manifest = works.manifest(IMAGE)
    works.piece(manifest, 0, IMAGE[:MAX_CHUNK])
    works.lock.power_on()
    works.broker_up()
    works.news()
    state = works.piece(manifest, 0, None)
    assert state is not None
    assert state.offset == MAX_CHUNK


def test_an_update_signed_again_goes_on_and_another_image_starts_anew() -> None:
    works = Works()
    works.piece(works.manifest(IMAGE), 0, IMAGE[:MAX_CHUNK])
    again = works.piece(works.manifest(IMAGE, iat=T0 + 1), 0, None)
    assert again is not None
    assert again.offset == MAX_CHUNK
    other = works.piece(works.manifest(IMAGE, counter=3), 0, None)
    assert other is not None
    assert (other.offset, other.target) == (0, 3)


def test_a_lock_without_a_manufacturers_key_takes_none() -> None:
    desk = Desk()
    desk.broker_up()
    assert burn().firmware_public is None
    manifest = sign_firmware(
        manifest_of(IMAGE, model="LSIM-1", counter=2, version=NEXT, iat=T0),
        EcdsaSigner(private_key(source(1))),
    )
    body = FirmwareBody(manifest, 0, IMAGE[:100])
    desk.deliver(desk.site.seal(desk.enrolled, Command(desk.random(16), CommandKind.FIRMWARE, body)))
    states = [r for r in desk.news() if isinstance(r, FirmwareState)]
    assert [s.denial for s in states] == [Denial.UNSUPPORTED]


def test_refusals_fill_no_journal() -> None:
    works = Works()
    for number in range(300):
        works.piece(works.manifest(IMAGE, counter=0, iat=T0 + number), 0, None)
    assert len(works.entries(What.FIRMWARE_REFUSED)) == 1
    assert len(works.entries(What.DENIED)) == 1

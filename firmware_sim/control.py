"""The simulator's control door: what hands and mishaps do to a lock, one JSON object a line.

    → {"do": "press_button", "serial": "LSIM-…"}
    ← {"ok": true}
    ← {"ok": false, "error": "no_such_lock"}

Verbs: `list`, `state`, `press_button`, `cut_network`, `heal`, `set_clock_drift` (`ppm`), `shift_clock`
(`seconds`), `lose_clock`, `jam` (`on`), `power_cut`, `power_on`, `restart` (off and on), `cut_all`,
`heal_all`, `packets`, `hold_reset` (the button, ten seconds), `door` (`open`), `tamper` (`open`), `handle`,
`cylinder` (`locked`), `battery` (`percent` or null, `frozen`), `keypad` (`digits`), `card` (`uid`, hex), `finger`
(`template`, hex): these three answer with what the lock shows, `answer` and `seconds` (`answer` null: no power);
`plant_slot` (`kind` pin, card or finger, `slot`, `value`: digits or hex) and `lose_slot` (`kind`, `slot`): a service
tool in the keypad module's own memory. Gateways' verbs:
`firmware_sim.gateway.control`. Loopback only: it is no part of a lock, it is the test's hand.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from firmware_sim.core.events import CardPresented, FingerRead, KeypadEntered
from firmware_sim.gateway.control import to_gateways
from lockserver.protocol.slots import SlotKind

if TYPE_CHECKING:
    from firmware_sim.core.events import Event, KeypadAnswer
    from firmware_sim.fleet import Fleet, SimLock

#: Bytes of one line.
LINE: Final = 4096
#: Seconds between looks at what keypad or reader show, and how often: longer than a motor may take.
SHOWN_S: Final = 0.01
SHOWN_TRIES: Final = 600


class ControlError(Exception):
    """A request that cannot be done; `code` is stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Control:
    """Listens for lines."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._server: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> tuple[str, int]:
        """Listen on loopback; port 0 picks a free one. Returns the bound address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=LINE)
        host, bound = self._server.sockets[0].getsockname()[:2]
        return str(host), int(bound)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return {"ok": True} | await self._do(request)
        except json.JSONDecodeError:
            return {"ok": False, "error": "no_json"}
        except (KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"bad_argument: {error}"}
        except ControlError as error:
            return {"ok": False, "error": error.code}

    async def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request["do"]
        fleet = self._fleet
        if verb == "list":
            return {"locks": [lock.state() for lock in fleet.locks]}
        if verb == "packets":
            count = fleet.ether.packets()
            return {"to_controller": count.to_controller, "to_host": count.to_host}
        if verb in {"cut_all", "heal_all"}:
            for lock in fleet.locks:
                lock.cut_network() if verb == "cut_all" else lock.heal()
            return {}
        if verb.startswith("gateway"):
            told = await to_gateways(fleet.gateways, verb, request)
            if told is None:
                raise ControlError("no_such_gateway")
            return told
        wanted = fleet.find(str(request["serial"]))
        if wanted is None:
            raise ControlError("no_such_lock")
        return await _to_one(wanted, str(verb), request)


async def _to_one(lock: SimLock, verb: str, request: dict[str, Any]) -> dict[str, Any]:
    match verb:
        case "state":
            return lock.state()
        case "press_button":
            lock.press_button()
        case "hold_reset" | "door" | "tamper" | "handle" | "cylinder" | "battery":
            _by_hand(lock, verb, request)
        case "keypad" | "card" | "finger" | "plant_slot" | "lose_slot":
            return await _at_the_reader(lock, verb, request)
        case "cut_network":
            lock.cut_network()
        case "heal":
            lock.heal()
        case "set_clock_drift":
            lock.driver.clocks.bend(float(request["ppm"]))
        case "shift_clock":
            lock.driver.clocks.chip_shift += float(request["seconds"])
        case "lose_clock":
            lock.driver.clocks.chip_lost = True
        case "jam":
            lock.driver.mechanics.jammed = bool(request.get("on", True))
        case "power_cut":
            await lock.power_off()
        case "power_on":
            await lock.power_on()
        case "restart":
            await lock.power_off()
            await lock.power_on()
        case _:
            raise ControlError("no_such_verb")
    return {}


def _by_hand(lock: SimLock, verb: str, request: dict[str, Any]) -> None:
    """What somebody does at the door itself."""
    match verb:
        case "hold_reset":
            lock.hold_reset()
        case "door":
            lock.swing(is_open=bool(request["open"]))
        case "tamper":
            lock.tamper(is_open=bool(request.get("open", True)))
        case "handle":
            lock.handle()
        case "cylinder":
            lock.cylinder(locked=bool(request["locked"]))
        case _:
            percent = request["percent"]
            lock.battery(
                None if percent is None else float(percent), frozen=bool(request.get("frozen", False))
            )


async def _at_the_reader(lock: SimLock, verb: str, request: dict[str, Any]) -> dict[str, Any]:
    """Key, hold up or touch something, and look what the lock shows; or open its case."""
    event: Event
    if verb in {"plant_slot", "lose_slot"}:
        _meddle(lock, verb, request)
        return {}
    if verb == "keypad":
        event = KeypadEntered(str(request["digits"]))
    elif verb == "card":
        event = CardPresented(bytes.fromhex(request["uid"]))
    else:
        event = FingerRead(bytes.fromhex(request["template"]))
    driver = lock.driver
    driver.shown = None
    driver.feed(event)
    for _ in range(SHOWN_TRIES):
        shown = _shown(lock)
        if shown is not None:
            return {"answer": shown.answer.value, "seconds": shown.seconds}
        if not driver.on:
            break
        await asyncio.sleep(SHOWN_S)
    return {"answer": None, "seconds": None}


def _shown(lock: SimLock) -> KeypadAnswer | None:
    return lock.driver.shown


def _meddle(lock: SimLock, verb: str, request: dict[str, Any]) -> None:
    """Write into the keypad module past the lock."""
    core = lock.driver.lock
    if core is None:
        raise ControlError("no_power")
    kind, number = SlotKind(request["kind"]), int(request["slot"])
    if verb == "lose_slot":
        core.lose_slot(kind, number)
        return
    value = str(request["value"])
    core.plant_slot(kind, number, value.encode() if kind is SlotKind.PIN else bytes.fromhex(value))


async def control(host: str, port: int, **request: object) -> dict[str, Any]:
    """Ask a control door once. Raises `ControlError` if it says no."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline())
    finally:
        writer.close()
    if not answer.pop("ok"):
        raise ControlError(str(answer["error"]))
    return dict(answer)

"""The `lockserver` command: every program of the project, put together here and nowhere else."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lockserver import settings as configuration
from lockserver.settings import SERVING, Role, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the answer is the exit status. Faults of set-up are one line each on stderr."""
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    if rest and not given.passes_on:
        parser.error(f"unknown argument: {' '.join(rest)}")
    try:
        return int(given.run(given, rest) if given.passes_on else given.run(given))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lockserver", description=__doc__)
    parser.set_defaults(passes_on=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run roles of the authority in this process")
    serve.add_argument("--roles", required=True, type=_roles, help=",".join(SERVING))
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="play the whole main job, then stay up until Ctrl-C")
    demo.add_argument(
        "--once", action="store_true", help="play the story and exit: 0 only if every step held"
    )
    demo.add_argument("--json", action="store_true", help="one JSON object a step")
    demo.add_argument(
        "--data", type=Path, default=Path("data/demo"), metavar="DIR", help="default: %(default)s"
    )
    demo.add_argument("--port", type=int, default=8080, help="of the API; default: %(default)s")
    demo.add_argument(
        "--database-url", help="a superuser's URL of your own PostgreSQL, in place of the embedded one"
    )
    demo.add_argument(
        "--broker-url", help="mqtt:// or mqtts:// of your own broker, in place of the embedded one"
    )
    demo.add_argument(
        "--broker-ca", type=Path, metavar="PEM", help="with mqtts://: who signed the broker's certificate"
    )
    demo.add_argument(
        "--broker-certificate", type=Path, metavar="PEM", help="with mqtts://: the bridge's own"
    )
    demo.add_argument("--broker-key", type=Path, metavar="PEM", help="with mqtts://: the bridge's own")
    demo.set_defaults(run=_demo)

    broker = commands.add_parser("mosquitto", help="write what a mosquitto of your own needs to serve a site")
    broker.add_argument(
        "--data", type=Path, default=Path("data/demo"), metavar="DIR", help="default: %(default)s"
    )
    broker.add_argument("--host", default="127.0.0.1", help="where it will listen; default: %(default)s")
    broker.add_argument("--port", type=int, default=8883, help="default: %(default)s")
    broker.set_defaults(run=_mosquitto)

    sim = commands.add_parser("sim", help="simulated locks", add_help=False)
    sim.set_defaults(run=_sim, passes_on=True)
    province = commands.add_parser("province", help="the mock province", add_help=False)
    province.set_defaults(run=_province, passes_on=True)

    migrate = commands.add_parser("migrate", help="bring the database to this version's schema")
    migrate.set_defaults(run=_migrate)

    audit = commands.add_parser(
        "audit", help="re-derive the laws from database and ledger, print every breach"
    )
    audit.add_argument(
        "--data", type=Path, default=Path("data/demo"), metavar="DIR", help="default: %(default)s"
    )
    audit.add_argument("--json", action="store_true", help="one JSON object a breach")
    audit.set_defaults(run=_audit)

    firmware = commands.add_parser("firmware", help="firmware images for locks: list them, add one")
    firmware.add_argument("do", choices=("list", "add"))
    firmware.add_argument("image", nargs="?", type=Path, help="with add: the image")
    firmware.add_argument("--manifest", type=Path, metavar="FILE", help="with add: the manufacturer's LK1-FW")
    firmware.add_argument(
        "--serials",
        metavar="PREFIX",
        help="with add: how the serial numbers of its locks begin",
    )
    firmware.add_argument(
        "--data", type=Path, default=Path("data/demo"), metavar="DIR", help="default: %(default)s"
    )
    firmware.add_argument("--json", action="store_true", help="one JSON object an image")
    firmware.set_defaults(run=_firmware)

    doctor = commands.add_parser("doctor", help="what is configured and reachable; what is not, and the cure")
    doctor.add_argument(
        "--data", type=Path, default=Path("data/demo"), metavar="DIR", help="default: %(default)s"
    )
    doctor.add_argument("--json", action="store_true", help="one JSON object a finding")
    doctor.set_defaults(run=_doctor)
    return parser


def _roles(text: str) -> tuple[Role, ...]:
    known = {role.value: role for role in SERVING}
    wrong = [name for name in text.split(",") if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"no such role: {', '.join(wrong)} (there are {', '.join(known)})")
    return tuple(known[name] for name in text.split(","))


def _serve(given: argparse.Namespace) -> int:
    import structlog

    from lockserver.keys.files import KeyFileError
    from lockserver.logging import configure
    from lockserver.run import serve
    from mobile_api.serve import PortTakenError

    every = _load_all(given.roles)
    names = ",".join(role.value for role in given.roles)
    configure(level=every[0].log_level, json=every[0].log_json, role=names)
    try:
        serve.run(lambda stop: serve.serve(every, stop, serve.announce))
    except (KeyFileError, PortTakenError) as error:  # said in one line, with the cure
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except Exception as error:  # noqa: BLE001 - whatever it was: said once, redacted, and the exit status tells
        structlog.get_logger(__name__).exception("role.failed")  # a bare traceback would not be redacted
        print(f"{names} failed: {type(error).__name__}; the reason stands above", file=sys.stderr)
        return 1
    return 0


def _load_all(roles: Sequence[Role]) -> list[configuration.Settings]:
    """Settings of all these roles, or the faults of all of them at once. Raises SettingsError."""
    loaded, faults = [], []
    for role in roles:
        try:
            loaded.append(configuration.load(role))
        except SettingsError as error:
            faults += [
                line if len(roles) == 1 else f"{role.value}: {line}" for line in str(error).splitlines()
            ]
    if faults:
        raise SettingsError("\n".join(faults))
    return loaded


def _demo(given: argparse.Namespace) -> int:
    from lockserver.run.demo.play import play

    return play(
        data=given.data,
        port=given.port,
        once=given.once,
        as_json=given.json,
        database_url=given.database_url,
        broker_url=given.broker_url,
        broker_files={
            name: value.absolute()
            for name in ("broker_ca", "broker_certificate", "broker_key")
            if (value := getattr(given, name)) is not None
        },
    )


def _mosquitto(given: argparse.Namespace) -> int:
    from lockserver.keys.files import KeyFileError
    from lockserver.run.own_broker import make_own_broker

    try:
        print(make_own_broker(given.data.absolute(), host=given.host, port=given.port))
    except KeyFileError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except OSError as error:
        print(
            f"cannot write {error.filename} ({error.strerror}): choose another folder, --data DIR",
            file=sys.stderr,
        )
        return os.EX_CONFIG
    return 0


def _sim(_given: argparse.Namespace, rest: list[str]) -> int:
    from firmware_sim.main import main as simulate
    from lockserver.run.serve import ReadyOnStdout

    with contextlib.redirect_stdout(ReadyOnStdout(sys.stdout)):
        return simulate(rest)


def _province(_given: argparse.Namespace, rest: list[str]) -> int:
    from lockserver.run.serve import ReadyOnStdout
    from police_sync.mock_province.main import main as province

    with contextlib.redirect_stdout(ReadyOnStdout(sys.stdout)):
        return province(rest)


def _migrate(_given: argparse.Namespace) -> int:
    from lockserver.db.examine import DatabaseAwayError, examine_database
    from lockserver.db.migrate import bring_up

    url = configuration.load(Role.MIGRATE).database_url.get_secret_value()
    try:
        before = examine_database(url, Role.MIGRATE.value).revision
    except DatabaseAwayError as error:
        print(
            f"the database does not answer ({error}): start it, or mend LOCKSERVER_DATABASE_URL",
            file=sys.stderr,
        )
        return os.EX_CONFIG
    bring_up(url)
    after = examine_database(url, Role.MIGRATE.value).revision
    print(f"schema {before or 'empty'} -> {after}, grants laid")
    return 0


def _audit(given: argparse.Namespace) -> int:
    from lockserver.run.audit import audit_installation

    return audit_installation(given.data.absolute(), as_json=given.json)


def _firmware(given: argparse.Namespace) -> int:
    from lockserver.run.firmware import add_firmware, list_firmware

    data = given.data.absolute()
    if given.do == "list":
        return list_firmware(data, as_json=given.json)
    if given.image is None or given.manifest is None or not given.serials:
        print("firmware add takes an image, --manifest FILE and --serials PREFIX", file=sys.stderr)
        return os.EX_USAGE
    return add_firmware(data, given.image, given.manifest, given.serials)


def _doctor(given: argparse.Namespace) -> int:
    from lockserver.run.doctor import examine

    return examine(given.data, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())

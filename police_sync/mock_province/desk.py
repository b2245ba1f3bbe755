"""The desk: takes filings, hands out receipts, checks, hands out vouchers. No HTTP here.

Every method is synchronous and one transaction: the register moves from one whole state to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from police_sync.mock_province import canonical, rulebook
from police_sync.mock_province.checks import Surroundings, check, is_late
from police_sync.mock_province.keys import KeyRing, stamp
from police_sync.mock_province.store import Row, Store

SHANGHAI = ZoneInfo("Asia/Shanghai")
CLOSED = {"DEPARTED", "WITHDRAWN", "SUPERSEDED"}
_REASON_CODE = {
    "change": ("change_reason", "E503"),
    "departure": ("departure_reason", "E504"),
    "withdrawal": ("withdrawal_reason", "E505"),
}


class Refusal(Exception):  # noqa: N818 - the word of the contract, not a failure of this program
    """A problem document, about to be sent."""

    def __init__(self, status: int, code: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.errors = errors


@dataclass(slots=True)
class DeskSettings:
    """What the control door may turn: seconds until a check speaks, where callbacks go."""

    check_delay_s: float = 1.0
    callback_url: str | None = None
    callback_copies: int = 1


def system_now() -> datetime:
    """Aware UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Desk:
    """The province's one desk."""

    store: Store
    ring: KeyRing
    settings: DeskSettings = field(default_factory=DeskSettings)
    now: Callable[[], datetime] = system_now

    def file(self, kind: str, client_no: str, body: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        """Take a filing whose body conforms; (whether it is new, its receipt).

        Raises:
            Refusal: 404, 409, 422 as in the contract.

        """
        with self.store.transaction():
            held = self.store.registration(client_no)
            content_digest = canonical.digest(body)
            if held is not None:
                for filing in self.store.filings(client_no):
                    if filing["version"] == body["version"]:
                        if (filing["kind"], filing["content_digest"]) == (kind, content_digest):
                            return False, self._in_force(filing["receipt"])
                        raise Refusal(409, "conflict")
            self._may_file(kind, held, body)
            return True, self._take(kind, held, body, content_digest)

    @staticmethod
    def _may_file(kind: str, held: Row | None, body: dict[str, Any]) -> None:
        if kind == "register":
            if held is not None:
                raise Refusal(409, "conflict")
            return
        if held is None:
            raise Refusal(404, "unknown_client_no")
        if body["version"] <= held["version"]:
            raise Refusal(409, "version_not_ascending")
        if held["state"] in CLOSED:
            raise Refusal(409, "closed")
        field_name, code = _REASON_CODE[kind]
        if body[field_name] not in rulebook.codes(field_name):
            raise Refusal(422, "fields_refused", [{"code": code, "field": field_name}])

    def _take(self, kind: str, held: Row | None, body: dict[str, Any], content_digest: str) -> dict[str, Any]:
        now = self.now()
        receipt = self.ring.current.sign(
            {
                "type": "receipt",
                "receipt_no": self._number("SL", now),
                "client_no": body["client_no"],
                "version": body["version"],
                "kind": kind,
                "content_digest": content_digest,
                "received_at": stamp(now),
            }
        )
        changes = body.get("changes", {})
        self.store.add_filing(
            {
                **{name: receipt[name] for name in ("client_no", "version", "kind")},
                "content_digest": content_digest,
                "fields": sorted((set(body) - {"changes"}) | set(changes)),
                "receipt_no": receipt["receipt_no"],
                "receipt": receipt,
                "received_at": receipt["received_at"],
            }
        )
        row = self._moved(kind, held, body, now)
        self.store.save_registration(row)
        if kind in {"departure", "withdrawal"}:
            self._announce(row)
        return receipt

    def _moved(self, kind: str, held: Row | None, body: dict[str, Any], now: datetime) -> Row:
        """The registration's row after a filing."""
        row: Row = dict(held) if held is not None else {"active": 0, "accepted_day": None}
        record = dict(body) if held is None else dict(held["record"])
        if kind == "change":
            record.update(body["changes"])
            # One of the two, as the schema of a registration asks.
            if "nationality" in body["changes"]:
                record.pop("ethnicity", None)
            elif "ethnicity" in body["changes"]:
                record.pop("nationality", None)
        checked = kind in {"register", "change"}
        row.update(
            client_no=body["client_no"],
            version=body["version"],
            seq=(held["seq"] if held is not None else 0) + 1,
            state={"departure": "DEPARTED", "withdrawal": "WITHDRAWN"}.get(kind, "RECEIVED"),
            record=record,
            document_number=record["document_number"],
            address_id=record["address_id"],
            station=record["station"],
            returns=[],
            duplicate_of=None,
            check_at=now.timestamp() if checked else None,
            changed_at=stamp(now),
        )
        if checked:
            row["voucher"] = None  # of this version, once it is accepted
        else:
            row["active"] = 0
        return row

    def run_checks(self) -> int:
        """Take every due check one step further (RECEIVED → CHECKING → verdict); how many."""
        due = self.store.due_checks(self.now().timestamp())
        for row in due:
            with self.store.transaction():
                self._step(row)
        return len(due)

    def _step(self, row: Row) -> None:
        now = self.now()
        row["seq"] += 1
        row["changed_at"] = stamp(now)
        if row["state"] == "RECEIVED":
            row["state"] = "CHECKING"
            row["check_at"] = now.timestamp() + self.settings.check_delay_s
            self.store.save_registration(row)
            return
        self._judge(row, now)
        self.store.save_registration(row)
        self._announce(row)

    def _judge(self, row: Row, now: datetime) -> None:
        record, client_no = row["record"], row["client_no"]
        row["check_at"] = None
        other = self.store.active_of(record["document_number"], client_no)
        if other is not None and other["address_id"] == record["address_id"]:
            row["state"] = "DUPLICATE_OF"
            row["duplicate_of"] = self.store.filings(other["client_no"])[0]["receipt_no"]
            return
        guardian = self.store.registration(record.get("guardian_client_no", ""))
        codes = check(
            record,
            Surroundings(
                person=self.store.person(record["document_number"]),
                premises=self.store.premises(record["address_id"]),
                heads=self.store.heads(record["address_id"], client_no),
                active_elsewhere=other is not None,
                guardian_known=guardian is not None and guardian["state"] not in CLOSED,
                today=now.astimezone(SHANGHAI).date(),
            ),
        )
        if codes:
            table = rulebook.return_codes()
            row["state"] = "RETURNED"
            row["returns"] = [{"code": code, "field": table[code]["field"]} for code in codes]
            return
        self._accept(row, now)

    def _accept(self, row: Row, now: datetime) -> None:
        filings = self.store.filings(row["client_no"])
        received = datetime.fromisoformat(filings[0]["received_at"]).astimezone(SHANGHAI).date()
        late = is_late(row["record"], received)
        newest = filings[-1]
        voucher = self.ring.current.sign(
            {
                "type": "voucher",
                "voucher_no": self._number("DJ", now),
                "client_no": row["client_no"],
                "version": row["version"],
                "kind": newest["kind"],
                "content_digest": newest["content_digest"],
                "accepted_at": stamp(now),
                "late": late,
            }
        )
        self.store.add_voucher(voucher)
        row.update(
            state="ACCEPTED_LATE" if late else "ACCEPTED",
            active=1,
            voucher=voucher,
            accepted_day=now.astimezone(SHANGHAI).date().isoformat(),
        )

    def _announce(self, row: Row) -> None:
        """Queue the callback about a new state."""
        if self.settings.callback_url is None:
            return
        document = self._state_of(row)
        copies = self.settings.callback_copies
        due_at = self.now().timestamp()
        self.store.add_callback(row["client_no"], row["seq"], document, due_at, copies)

    def state(self, client_no: str) -> dict[str, Any]:
        """The signed state document.

        Raises:
            Refusal: 404 `unknown_client_no`.

        """
        row = self.store.registration(client_no)
        if row is None:
            raise Refusal(404, "unknown_client_no")
        return self._state_of(row)

    def _state_of(self, row: Row) -> dict[str, Any]:
        receipts = [self._in_force(f["receipt"]) for f in self.store.filings(row["client_no"])]
        return self.ring.current.sign(
            {
                "type": "state",
                "client_no": row["client_no"],
                "version": row["version"],
                "seq": row["seq"],
                "state": row["state"],
                "as_of": stamp(self.now()),
                "returns": row["returns"],
                "duplicate_of": row["duplicate_of"],
                "receipts": receipts,
                "voucher": self._in_force(row["voucher"]) if row["voucher"] else None,
            }
        )

    def document(self, kind: str, number: str) -> dict[str, Any]:
        """The receipt or voucher with this number, as signed.

        Raises:
            Refusal: 404 `unknown_number`.

        """
        row = self.store.receipt(number) if kind == "receipt" else self.store.voucher(number)
        if row is None:
            raise Refusal(404, "unknown_number")
        return self._in_force(row[kind])

    def digest(self, station: str, since: date) -> dict[str, Any]:
        """Signed counts and content digests per day of acceptance: of `client_no version digest`."""
        days: dict[str, list[str]] = {}
        for filing in self.store.accepted_filings(station, since):
            line = f"{filing['client_no']} {filing['version']} {filing['content_digest']}\n"
            days.setdefault(filing["day"], []).append(line)
        return self.ring.current.sign(
            {
                "type": "digest",
                "station": station,
                "since": since.isoformat(),
                "as_of": stamp(self.now()),
                "days": [
                    {"day": day, "count": len(lines), "digest": canonical.text_digest("".join(lines))}
                    for day, lines in sorted(days.items())
                ],
            }
        )

    def _in_force(self, document: dict[str, Any]) -> dict[str, Any]:
        """A stored document, signed anew if its key has retired since (contract: "in force")."""
        current = self.ring.current
        return document if document["key_id"] == current.key_id else current.sign(document)

    def _number(self, prefix: str, now: datetime) -> str:
        day = f"{prefix}{now.astimezone(SHANGHAI):%Y%m%d}"
        return f"{day}-{self.store.next_number(day):010d}"

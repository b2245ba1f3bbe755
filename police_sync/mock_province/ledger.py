"""The ledger as an auditor reads it (JSON) and as a person sees it (page). Names and numbers masked."""

from collections import Counter
from datetime import datetime
from typing import Any

from police_sync.mock_province import rulebook
from police_sync.mock_province.desk import SHANGHAI, Desk
from police_sync.mock_province.keys import stamp
from police_sync.mock_province.store import Row

_STATES = {
    "RECEIVED": ("已受理", "received", "wait"),
    "CHECKING": ("核查中", "checking", "wait"),
    "ACCEPTED": ("已登记", "accepted", "good"),
    "ACCEPTED_LATE": ("逾期登记", "accepted late", "late"),
    "RETURNED": ("退回补正", "returned", "bad"),
    "MANUAL_REVIEW": ("人工审核", "manual review", "late"),
    "DUPLICATE_OF": ("重复申报", "duplicate", "bad"),
    "SUPERSEDED": ("已被替代", "superseded", "gone"),
    "DEPARTED": ("已离开", "departed", "gone"),
    "WITHDRAWN": ("已撤销", "withdrawn", "gone"),
}
_KINDS = {"register": "登记", "change": "变更", "departure": "离开", "withdrawal": "撤销"}
_PAGE_ROWS = 200
_NUMBER_HEAD, _NUMBER_TAIL = 3, 2


def mask_number(number: str) -> str:
    """First three and last two characters."""
    hidden = max(len(number) - _NUMBER_HEAD - _NUMBER_TAIL, 0)
    return number[:_NUMBER_HEAD] + "*" * hidden + number[len(number) - _NUMBER_TAIL :]


def mask_name(name: str) -> str:
    """The first character."""
    return name[:1] + "*" * (len(name) - 1)


def _record(row: Row, filings: list[Row]) -> dict[str, Any]:
    record = row["record"]
    voucher = row["voucher"]
    return {
        "client_no": row["client_no"],
        "version": row["version"],
        "seq": row["seq"],
        "state": row["state"],
        "active": bool(row["active"]),
        "name": mask_name(record["name"]),
        "document_type": record["document_type"],
        "document_number": mask_number(record["document_number"]),
        "address_id": row["address_id"],
        "station": row["station"],
        "arrival": record["arrival"],
        "planned_until": record["planned_until"],
        "portrait": "provided" if "portrait" in record else "not_provided",
        "returns": row["returns"],
        "duplicate_of": row["duplicate_of"],
        "voucher_no": voucher["voucher_no"] if voucher else None,
        "changed_at": row["changed_at"],
        "filings": [
            {
                "version": filing["version"],
                "kind": filing["kind"],
                "content_digest": filing["content_digest"],
                "fields": filing["fields"],
                "receipt_no": filing["receipt_no"],
                "received_at": filing["received_at"],
            }
            for filing in filings
        ],
    }


def ledger_document(desk: Desk, client_no: str | None = None) -> dict[str, Any]:
    """Every registration with its filings, or the one asked for."""
    store = desk.store
    if client_no is not None:
        row = store.registration(client_no)
        rows = [row] if row is not None else []
        by_number = {client_no: store.filings(client_no)}
    else:
        rows = store.registrations()
        by_number = {}
        for filing in store.all_filings():
            by_number.setdefault(filing["client_no"], []).append(filing)
    return {
        "as_of": stamp(desk.now()),
        "mock": True,
        "records": [_record(row, by_number.get(row["client_no"], [])) for row in rows],
    }


def _local(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(SHANGHAI).strftime("%m-%d %H:%M:%S")


def ledger_page(desk: Desk) -> dict[str, Any]:
    """What the page's template needs."""
    records = ledger_document(desk)["records"]
    table = rulebook.return_codes()
    documents = rulebook.codes("document_type")
    for record in records:
        zh, en, tone = _STATES[record["state"]]
        premises = desk.store.premises(record["address_id"])
        record.update(
            state_zh=zh,
            state_en=en,
            tone=tone,
            document_zh=documents.get(record["document_type"], record["document_type"]),
            address=premises["address"] if premises else "",
            changed=_local(record["changed_at"]),
            faults=[{**fault, "zh": table[fault["code"]]["zh"]} for fault in record["returns"]],
            steps=[
                {**filing, "zh": _KINDS[filing["kind"]], "at": _local(filing["received_at"])}
                for filing in record["filings"]
            ],
        )
    tones = Counter(record["tone"] for record in records)
    return {
        "records": records[:_PAGE_ROWS],
        "hidden": max(len(records) - _PAGE_ROWS, 0),
        "counts": desk.store.counts(),
        "tiles": [
            ("登记总数", "registrations", len(records), ""),
            ("已登记", "accepted", tones["good"], "good"),
            ("逾期/待审", "late or in review", tones["late"], "late"),
            ("核查中", "being checked", tones["wait"], "wait"),
            ("退回/重复", "returned, duplicate", tones["bad"], "bad"),
            ("已离开/撤销", "closed", tones["gone"], "gone"),
        ],
        "now": desk.now().astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S"),
        "key_id": desk.ring.current.key_id,
    }

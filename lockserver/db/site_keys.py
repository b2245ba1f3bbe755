"""Lays the site's public keys into `site_keys`, as the schema's owner, at set-up and at every start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import psycopg

from lockserver.db.connection import driver_url
from lockserver.domain.ids import Random, new_id
from lockserver.domain.times import Clock


class Half(Protocol):
    """A public half, as the keyring has it."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def kid(self) -> bytes: ...  # noqa: D102
    @property
    def public(self) -> bytes: ...  # noqa: D102
    @property
    def key_set(self) -> bytes | None: ...  # noqa: D102
    @property
    def key_set_number(self) -> int | None: ...  # noqa: D102


def lay_site_keys(owner_url: str, halves: Iterable[Half], clock: Clock, random: Random) -> int:
    """Insert what is missing; a kind's earlier key becomes `retired`. Returns how many were new."""
    new = 0
    with psycopg.connect(driver_url(owner_url)) as connection:
        for half in halves:
            known = connection.execute(
                "SELECT state FROM site_keys WHERE kind = %s AND kid = %s", (half.kind, half.kid)
            ).fetchone()
            if known is not None:
                continue
            connection.execute(
                "UPDATE site_keys SET state = 'retired' WHERE kind = %s AND state = 'current'", (half.kind,)
            )
            connection.execute(
                "INSERT INTO site_keys (id, kind, kid, public, state, key_set, key_set_number)"
                " VALUES (%s, %s, %s, %s, 'current', %s, %s)",
                (new_id(clock, random), half.kind, half.kid, half.public, half.key_set, half.key_set_number),
            )
            new += 1
    return new

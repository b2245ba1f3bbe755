"""Set-up of a site's keys: ours, the simulated manufacturer's and the mock province's, handed to each other.

In production this is a ceremony: the manufacturer's CA certificate and the province's receipt keys come from
their owners, and the province is given our client's public key.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_sim.factory import open_ca
from lockserver.db.site_keys import lay_site_keys
from lockserver.keys.keyring import create_site, public_keys, site_exists
from lockserver.run.world import SystemClock, system_random
from police_sync.mock_province.main import main as province

if TYPE_CHECKING:
    from pathlib import Path

CLIENT_FILE = "lockserver_client.pem"
"""In the province's folder: the public key that our relay signs its calls with."""


def create_keys(keys: Path, *, factory: Path, province_data: Path) -> None:
    """Make every key of a new site, once; a site that is there is left as it is. Blocks.

    Written beside and renamed: a set-up that was cut short leaves nothing that looks like a site.
    """
    if not site_exists(keys):
        authority = open_ca(factory)
        province(["--data", str(province_data), "--init-only"])
        receipts = (province_data / "province_keys.json").read_bytes()
        partial = keys.with_name(f"{keys.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        create_site(partial, SystemClock().now(), factory_ca=authority.pem, province_receipt=receipts)
        shutil.rmtree(keys, ignore_errors=True)
        partial.rename(keys)
    (province_data / CLIENT_FILE).write_bytes(_client_pem(keys))


def publish_keys(keys: Path, owner_url: str) -> None:
    """Lay the public halves into the database, as the schema's owner. Blocks."""
    lay_site_keys(owner_url, public_keys(keys), SystemClock(), system_random)


def _client_pem(keys: Path) -> bytes:
    read = json.loads((keys / "site" / "public.json").read_text(encoding="utf-8"))
    point = bytes.fromhex(read["province_client"])
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

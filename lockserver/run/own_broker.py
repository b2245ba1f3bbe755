"""What a mosquitto of one's own needs to serve a site: certificates, access rules, a configuration.

    ca.crt                       the site's device CA: what broker and clients believe
    server.crt  server.key       the broker's
    bridge-N.crt  bridge-N.key   the bridge's, whose common name is its user name in the access rules
    acl  mosquitto.conf          a lock speaks under its own id and nowhere else

Locks have theirs already: the operational certificate of their enrolment. The CA is the site's own, so this is
part of set-up, beside `create_keys`; no serving process does it.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockserver.keys.files import make_folder, write_private_key, write_secret
from lockserver.keys.keyring import load_issuer
from lockserver.protocol.curve import private_key, public_bytes
from lockserver.run.world import SystemClock, system_random

if TYPE_CHECKING:
    from pathlib import Path

ACL = """\
user {bridge}
topic read l/+/+/up/#
topic write l/+/+/down/#
topic read g/+/+/up
topic write g/+/+/down
pattern write l/+/%u/up/#
pattern read l/+/%u/down/#
pattern write g/+/%u/up
pattern read g/+/%u/down
"""
"""The shard is left open to a lock: mosquitto knows no shards, so the bridge holds it to its own. A lock may speak
as a gateway of its own name, which is none: the bridge looks gateways up by their id."""

CONFIGURATION = """\
user {user}
persistence false
allow_anonymous false
listener {port} {host}
set_tcp_nodelay true
cafile {ca}
certfile {certificate}
keyfile {key}
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {acl}
"""


@dataclass(frozen=True, slots=True)
class OwnBroker:
    """Where everything lies, and what the broker's clients are told."""

    folder: Path
    host: str
    port: int
    bridge: str

    @property
    def url(self) -> str:
        """For `--broker-url`."""
        return f"mqtts://{self.host}:{self.port}"

    @property
    def ca(self) -> Path:
        """For `--broker-ca`, and for locks."""
        return self.folder / "ca.crt"

    @property
    def bridge_certificate(self) -> Path:
        """For `--broker-certificate`."""
        return self.folder / f"{self.bridge}.crt"

    @property
    def bridge_key(self) -> Path:
        """For `--broker-key`."""
        return self.folder / f"{self.bridge}.key"

    @property
    def configuration(self) -> Path:
        """For `mosquitto -c`."""
        return self.folder / "mosquitto.conf"

    @property
    def options(self) -> dict[str, str]:
        """The demo's options, and the settings of role bridge, by name."""
        return {
            "broker_url": self.url,
            "broker_ca": str(self.ca),
            "broker_certificate": str(self.bridge_certificate),
            "broker_key": str(self.bridge_key),
        }


def prepare_broker(keys: Path, folder: Path, *, host: str, port: int, bridge_number: int = 1) -> OwnBroker:
    """Write everything below `folder`, in place of what was there. Raises KeyFileError, OSError."""
    made = OwnBroker(folder.absolute(), host, port, f"bridge-{bridge_number}")
    devices, now = load_issuer(keys / "issuer").devices, SystemClock().now()
    make_folder(made.folder)
    server, bridge = private_key(system_random), private_key(system_random)
    certificate, key = made.folder / "server.crt", made.folder / "server.key"
    acl = made.folder / "acl"
    for path in (
        made.ca,
        certificate,
        key,
        made.bridge_certificate,
        made.bridge_key,
        acl,
        made.configuration,
    ):
        path.unlink(missing_ok=True)
    write_secret(made.ca, devices.pem)
    write_secret(certificate, devices.issue_server(host, public_bytes(server), now))
    write_secret(made.bridge_certificate, devices.issue_client(made.bridge, public_bytes(bridge), now))
    write_private_key(key, server)
    write_private_key(made.bridge_key, bridge)
    write_secret(acl, ACL.format(bridge=made.bridge).encode())
    user = pwd.getpwuid(os.geteuid()).pw_name  # root's mosquitto would become another who cannot read these
    text = CONFIGURATION.format(
        user=user, host=host, port=port, ca=made.ca, certificate=certificate, key=key, acl=acl
    )
    write_secret(made.configuration, text.encode())
    return made


def make_own_broker(data: Path, *, host: str, port: int) -> str:
    """Prepare `data`/mosquitto, with the site's keys if there are none yet; what to type next.

    Raises KeyFileError, OSError.
    """
    from lockserver.run.site import create_keys

    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o711)
    for name in ("factory", "province"):
        (data / name).mkdir(mode=0o700, exist_ok=True)
    create_keys(data / "keys", factory=data / "factory", province_data=data / "province")
    made = prepare_broker(data / "keys", data / "mosquitto", host=host, port=port)
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in made.options.items())
    return f"mosquitto -c {made.configuration}\nlockserver demo --data {data} {options}"

"""Vectors of the lowest layers: CBOR, boxes, framing, topics."""

from lockserver.protocol import topics
from lockserver.protocol.codec import encode
from lockserver.protocol.framing import Fragmenter
from lockserver.protocol.sealed import Box, box_info, seal
from tests.vectors.cast import LOCK_ECDH, LOCK_ID, OTHER_LOCK_ID, PHONE_ECDH, Keys, key, octets, pair, scalar

_REFUSED = {
    "nothing": "",
    "trailing byte": "0000",
    "over-long head": "1801",
    "over-long length": "580100",
    "indefinite array": "9f01ff",
    "indefinite bytes": "5f4101ff",
    "float": "fb3ff0000000000000",
    "half float": "f93c00",
    "undefined": "f7",
    "simple value": "f8ff",
    "date tag": "c074323032352d31302d30395430303a30303a30305a",
    "bignum tag": "c249010000000000000000",
    "self-described": "d9d9f700",
    "COSE tag": "d28443a10126a04040",
    "beyond 2^53 - 1": "1b0020000000000000",
    "below -(2^53 - 1)": "3b001fffffffffffff",
    "keys out of order": "a202000100",
    "length-first key order": "a22000186400",
    "duplicate key": "a201000100",
    "null key": "a1f600",
    "bytes key": "a1410000",
    "bad UTF-8": "62c328",
    "cut short": "8201",
    "bytes longer than the message": "5bffffffffffffffff",
    "array longer than the message": "9bffffffffffffffff",
    "nested nine deep": "818181818181818181" + "00",
    "an empty array, the ninth": "8181818181818181" + "80",
    "an empty map, the ninth": "8181818181818181" + "a0",
    "break alone": "ff",
}


def codec_vectors() -> object:
    """Bytes that decode, with their value where JSON has it, and bytes that must not."""
    values = [
        0,
        23,
        24,
        255,
        256,
        65535,
        65536,
        2**32 - 1,
        2**32,
        2**53 - 1,
        -1,
        -24,
        -25,
        -(2**53 - 1),
        "",
        "门",
        [],
        [[[[[[[[1]]]]]]]],
        True,
        False,
        None,
    ]
    return {
        "accept": [{"value": value, "hex": encode(value).hex()} for value in values],
        "accept_maps": [
            {
                "entries": [[24, 1], [-1, 2], ["a", 3], ["", 4], [0, 5]],
                "hex": encode({24: 1, -1: 2, "a": 3, "": 4, 0: 5}).hex(),
            },
        ],
        "refuse": [{"name": name, "hex": data} for name, data in _REFUSED.items()],
    }


_PIN_BOXES = (
    ("a PIN to a phone", Box.PIN, PHONE_ECDH, b"004071234"),
    ("a PIN that its holder chose, to the issuer", Box.PIN_SET, pair("pins"), b"2904751"),
)


def _pin_box(name: str, purpose: Box, recipient: Keys, digits: bytes) -> dict[str, str]:
    info, ephemeral = box_info(purpose, LOCK_ID), key(f"box {purpose.value}")
    return {
        "name": name,
        "recipient_scalar": scalar(recipient.private).hex(),
        "recipient_public": recipient.public.hex(),
        "ephemeral_scalar": scalar(ephemeral).hex(),
        "info": info.hex(),
        "plaintext": digits.hex(),
        "box": seal(recipient.public, digits, info, ephemeral).hex(),
    }


def sealed_vectors() -> object:
    """Boxes with everything needed to open them, and boxes that must not open."""
    ephemeral = key("box ephemeral")
    info = box_info(Box.SEED, LOCK_ID)
    seed = octets("door seed", 32)
    box = seal(LOCK_ECDH.public, seed, info, ephemeral)
    draft_info = box_info(Box.DRAFT, octets("case id", 16))
    draft = seal(PHONE_ECDH.public, b'{"name":"\xe5\xbc\xa0\xe4\xb8\x89"}', draft_info, key("draft"))
    return {
        "boxes": [
            {
                "name": "door seed",
                "recipient_scalar": scalar(LOCK_ECDH.private).hex(),
                "recipient_public": LOCK_ECDH.public.hex(),
                "ephemeral_scalar": scalar(ephemeral).hex(),
                "info": info.hex(),
                "plaintext": seed.hex(),
                "box": box.hex(),
            },
            {
                "name": "draft to a phone",
                "recipient_scalar": scalar(PHONE_ECDH.private).hex(),
                "recipient_public": PHONE_ECDH.public.hex(),
                "ephemeral_scalar": scalar(key("draft")).hex(),
                "info": draft_info.hex(),
                "plaintext": b'{"name":"\xe5\xbc\xa0\xe4\xb8\x89"}'.hex(),
                "box": draft.hex(),
            },
            *(_pin_box(*row) for row in _PIN_BOXES),
        ],
        "refuse": [
            {
                "name": name,
                "recipient_scalar": scalar(LOCK_ECDH.private).hex(),
                "info": i.hex(),
                "box": b.hex(),
            }
            for name, i, b in (
                ("other info", box_info(Box.SEED, OTHER_LOCK_ID), box),
                ("other purpose", box_info(Box.BROKER, LOCK_ID), box),
                ("last bit", info, box[:-1] + bytes([box[-1] ^ 1])),
                ("cut", info, box[:-1]),
                ("longer", info, box + b"\0"),
                ("short", info, box[:80]),
                ("point off the curve", info, b"\x04" + bytes(63) + b"\x01" + box[65:]),
                ("compressed point", info, b"\x02" + box[1:33] + box[65:]),
            )
        ],
    }


def framing_vectors() -> object:
    """Messages cut for an MTU, and streams that must be refused."""
    return {
        "split": [
            {
                "mtu": mtu,
                "message": octets(f"message {length}", length).hex(),
                "fragments": [f.hex() for f in Fragmenter(mtu).split(octets(f"message {length}", length))],
            }
            for mtu, length in ((23, 1), (23, 18), (23, 19), (23, 67), (247, 242), (247, 243), (517, 700))
        ],
        "refuse": [
            {"name": "empty message", "stream": "0000"},
            {"name": "above 4096", "stream": "1001"},
            {"name": "far above", "stream": "ffff"},
        ],
    }


def topic_vectors() -> object:
    """Topics of two locks, and strings that are no topics of ours."""
    report, command = topics.report_topic(LOCK_ID), topics.command_topic(LOCK_ID)
    name, shard = LOCK_ID.hex(), topics.shard(LOCK_ID)
    foreign = f"{(int(shard, 16) + 1) % 64:02x}"
    return {
        "topics": [
            {
                "lock_id": lock_id.hex(),
                "shard": topics.shard(lock_id),
                "report": topics.report_topic(lock_id),
                "command": topics.command_topic(lock_id),
            }
            for lock_id in (LOCK_ID, OTHER_LOCK_ID)
        ],
        "refuse": [
            "",
            report + "/",
            report + "\n",
            "/" + report,
            report.upper(),
            report.replace("report", "command"),
            command.replace("command", "report"),
            f"l/{foreign}/{name}/up/report",
            f"l/+/{name}/up/report",
            f"l/{shard}/+/up/report",
            f"l/{shard}/{name}/up/#",
            f"l/{shard}/{name[:-1]}/up/report",
            f"l/{shard}/{name}/up/report\u0000",
            "l/40/" + name + "/up/report",
        ],
        "gateways": [
            {
                "gateway_id": gateway_id.hex(),
                "up": topics.gateway_up(gateway_id),
                "down": topics.gateway_down(gateway_id),
            }
            for gateway_id in (octets("gateway id", 16), LOCK_ID)
        ],
        "refuse_gateways": [
            report,
            f"g/{foreign}/{name}/up",
            f"g/{shard}/{name}/up/",
            f"g/{shard}/{name}/report",
            f"g/{shard}/+/up",
            f"g/{shard}/{name.upper()}/up",
            f"g/{shard}/{name}",
        ],
        "enrolments": [
            {"serial": serial, "up": topics.enrol_up(serial), "down": topics.enrol_down(serial)}
            for serial in ("LK1-000042", "A-0Z", "Z" * 32)
        ],
        "refuse_enrolments": [
            "e/abc1/up",
            "e/ABC/up",
            "e/" + "Z" * 33 + "/up",
            "e/LK1-000042/report",
            "e/+/up",
            "e/LK1_000042/up",
            "e/LK1-000042/up\n",
            "l/00/LK1-000042/up",
        ],
    }

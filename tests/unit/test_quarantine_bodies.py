"""Bodies at rest: exact, compressed, sealed, and any tampering is noticed."""

import os

import pytest

from quarantine.bodies import NONCE, PIECE, Vault
from quarantine.errors import StoreError

KEY = bytes(range(32))
SALT = b"s" * 16
BIG = os.urandom(2 * PIECE + 500)  # does not compress: three pieces


def vault(key=KEY, salt=SALT, message="m1"):
    return Vault(key, salt, message)


def opened(rows, count=None, by=None):
    return b"".join((by or vault()).open_body(rows, len(rows) if count is None else count))


@pytest.mark.parametrize("body", [b"", b"x", b"\r\n.\r\n", b"\0\xff" * 100, b"a" * 3_000_000, BIG],
                         ids=["empty", "one", "dots", "octets", "long", "dense"])  # fmt: skip
def test_what_goes_in_comes_out(body):
    rows = vault().seal_body([body[:1000], b"", body[1000:]])

    assert opened(rows) == body


def test_rows_stay_under_a_megabyte():
    rows = vault().seal_body([BIG])

    assert len(rows) == 3
    assert max(map(len, rows)) <= PIECE + NONCE + 16 < 1 << 20


def test_no_text_is_left_in_clear():
    rows = vault().seal_body([b"a secret offer " * 3])

    assert b"secret" not in b"".join(rows)


@pytest.mark.parametrize("change", ["flip", "drop-last", "drop-first", "swap", "none-left", "extra"])
def test_a_changed_body_is_never_handed_out_whole(change):
    rows = vault().seal_body([BIG])
    count = len(rows)
    match change:
        case "flip":
            rows[1] = rows[1][:50] + bytes([rows[1][50] ^ 1]) + rows[1][51:]
        case "drop-last":
            rows = rows[:-1]
        case "drop-first":
            rows = rows[1:]
        case "swap":
            rows[0], rows[1] = rows[1], rows[0]
        case "none-left":
            rows = []
        case "extra":
            rows = [*rows, rows[0]]

    with pytest.raises(StoreError, match="cannot be"):
        opened(rows, count)


def test_fewer_pieces_with_a_count_to_match_are_noticed():
    rows = vault().seal_body([BIG])[:2]

    with pytest.raises(StoreError, match="altered"):
        opened(rows, 2)


@pytest.mark.parametrize("other", [vault(key=b"k" * 32), vault(salt=b"t" * 16), vault(message="m2")],
                         ids=["key", "salt", "message"])  # fmt: skip
def test_nothing_opens_with_another_key_salt_or_message(other):
    rows = vault().seal_body([b"body"])

    with pytest.raises(StoreError, match="another key"):
        opened(rows, by=other)


def test_a_small_thing_opens_under_its_own_name_only():
    sealed = vault().seal_small("item a", b"data")

    assert vault().unseal_small("item a", sealed) == b"data"
    with pytest.raises(StoreError, match="altered"):
        vault().unseal_small("item b", sealed)


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 27])
def test_scraps_are_noticed(sealed):
    with pytest.raises(StoreError, match="altered"):
        vault().unseal_small("item a", sealed)

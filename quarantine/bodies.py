"""Bodies at rest: compressed with zstd, cut into pieces, each sealed with AES-256-GCM.

Every message has its own key, derived from the key file and the message's salt (HKDF, RFC 5869). A piece is
bound by its associated data to its message, its number and the number of pieces, so that pieces which were
dropped, swapped or taken from elsewhere are noticed. Compression comes first: sealed bytes do not shrink.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quarantine.errors import StoreError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

LEVEL = 3
PIECE = 1_000_000  # plain octets of a piece; with nonce and tag a row stays under 1 MB (1,048,576)
NONCE = 12
SALT = 16


class Vault:
    """Seals and opens what belongs to one message."""

    def __init__(self, key: bytes, salt: bytes, message: str, entropy: Callable[[int], bytes] = os.urandom) -> None:
        derived = HKDF(SHA256(), 32, salt, b"gatepost message " + message.encode()).derive(key)
        self._cipher = AESGCM(derived)
        self._message = message
        self._entropy = entropy

    def seal(self, what: str, data: bytes) -> bytes:
        """Return nonce, ciphertext and tag; `what` names the thing and must be given again to open it."""
        nonce = self._entropy(NONCE)
        return nonce + self._cipher.encrypt(nonce, data, self._bound(what))

    def unseal(self, what: str, sealed: bytes) -> bytes:
        """Return what was sealed. Raises StoreError if it was altered, or the key is another."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], self._bound(what))
        except (InvalidTag, ValueError):
            raise StoreError(
                f"message {self._message} cannot be opened: it was altered, or sealed with another key"
            ) from None

    def seal_small(self, what: str, data: bytes) -> bytes:
        """Compress and seal something that fits into memory at once."""
        return self.seal(what, b"".join(_compress([data])))

    def unseal_small(self, what: str, sealed: bytes) -> bytes:
        """Undo `seal_small`."""
        return b"".join(self._decompress([self.unseal(what, sealed)]))

    def seal_body(self, chunks: Iterable[bytes]) -> list[bytes]:
        """Return the rows of a body, each at most `PIECE` + 28 octets."""
        pieces = list(_cut(_compress(chunks), PIECE))
        for number, piece in enumerate(pieces):
            pieces[number] = self.seal(f"body {number} of {len(pieces)}", piece)  # in place: bodies may be large
        return pieces

    def open_body(self, rows: Iterable[bytes], count: int) -> Iterator[bytes]:
        """Yield the exact octets again. Raises StoreError, possibly late: drop what was read if it does."""
        return self._decompress(self._opened(rows, count))

    def _opened(self, rows: Iterable[bytes], count: int) -> Iterator[bytes]:
        seen = 0
        for number, row in enumerate(rows):
            yield self.unseal(f"body {number} of {count}", row)
            seen += 1
        if seen != count:
            raise StoreError(f"message {self._message} cannot be opened: {seen} of {count} pieces are there")

    def _decompress(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        unpack = ZstdDecompressor()
        try:
            for piece in pieces:
                data = piece
                while not unpack.eof:
                    out = unpack.decompress(data, max_length=1 << 16)
                    data = b""
                    if out:
                        yield out
                    elif unpack.needs_input:
                        break
        except ZstdError:
            raise StoreError(f"message {self._message} cannot be unpacked") from None
        if not unpack.eof:
            raise StoreError(f"message {self._message} cannot be unpacked: its end is missing")

    def _bound(self, what: str) -> bytes:
        return f"gatepost 1 {self._message} {what}".encode()


def _compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pack = ZstdCompressor(level=LEVEL)
    for chunk in chunks:
        if out := pack.compress(chunk):
            yield out
    yield pack.flush()


def _cut(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        while len(rest) > size:
            yield bytes(rest[:size])
            del rest[:size]
    yield bytes(rest)

"""What a file is by its own octets, and whether a password keeps us from reading it. Reads only, opens nothing."""

import re
import struct

_TABLE: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"\0\0\1\0", "image/x-icon"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (257, b"ustar", "application/x-tar"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (0x8001, b"CD001", "application/x-iso9660-image"),
    (0, b"\x60\xea", "application/x-arj"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"{\\rt", "application/rtf"),
    (0, b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/onenote"),
    (0, b"ITSF", "application/vnd.ms-htmlhelp"),
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (0, b"FWS", "application/x-shockwave-flash"),
    (0, b"CWS", "application/x-shockwave-flash"),
    (0, b"-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
    (0, b"-----BEGIN PGP SIGN", "application/pgp-signature"),
    (0, b"BEGIN:VCALENDAR", "text/calendar"),
    (0, b"BEGIN:VCARD", "text/vcard"),
    (0, b"#!", "text/x-script"),
)
_HTML = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body|script|meta|iframe|div|table|form|title)\b",
    re.IGNORECASE | re.DOTALL,
)
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_OOXML = ((b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
          (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
          (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"))
_ZIP_ENTRIES = 2_000
_ENVELOPED = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"  # 1.2.840.113549.1.7.3, RFC 5652 section 6
_SIGNED = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")


def sniff(data: bytes) -> str:
    """Return the media type that the octets show, or "" where they show none."""
    for offset, mark, kind in _TABLE:
        if data.startswith(mark, offset):
            if mark == b"BM" and (len(data) < 26 or data[6:10] != b"\0\0\0\0"):
                continue
            return _zip_kind(data) if kind == "application/zip" else kind
    head = data[:4096]
    if head.startswith(b"0") and _SIGNED in head[:64]:
        return "application/pkcs7-mime"
    if head.startswith(b"0") and _ENVELOPED in head[:64]:
        return "application/pkcs7-mime"
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _SVG.search(text[:2048]) and text.lstrip().startswith(b"<"):
        return "image/svg+xml"
    if _HTML.match(text):
        return "text/html"
    if text.lstrip().startswith(b"<?xml"):
        return "text/xml"
    return ""


def _zip_kind(data: bytes) -> str:
    names = b"\n".join(name for name, _ in zip_entries(data))
    if b"[Content_Types].xml" in names:
        return next((kind for mark, kind in _OOXML if mark in names), "application/zip")
    if b"META-INF/MANIFEST.MF" in names:
        return "application/java-archive"
    if data.startswith(b"mimetype", 30):
        found = re.match(rb"[a-z0-9./+-]{5,80}", data[38:120])
        return found[0].decode("ascii") if found else "application/zip"
    return "application/zip"


def zip_entries(data: bytes) -> list[tuple[bytes, bool]]:
    """Return (name, encrypted) of at most 2,000 entries of the central directory, else of the local headers."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 66_000))
    found: list[tuple[bytes, bool]] = []
    at = -1
    if end >= 0 and end + 22 <= len(data):
        at = struct.unpack_from("<I", data, end + 16)[0]
    while at >= 0 and data.startswith(b"PK\x01\x02", at) and at + 46 <= len(data) and len(found) < _ZIP_ENTRIES:
        flags, (name, extra, comment) = data[at + 8], struct.unpack_from("<HHH", data, at + 28)
        found.append((data[at + 46 : at + 46 + name], bool(flags & 1)))
        at += 46 + name + extra + comment
    if found:
        return found
    at = data.find(b"PK\x03\x04")
    while at >= 0 and at + 30 <= len(data) and len(found) < _ZIP_ENTRIES:
        name = struct.unpack_from("<H", data, at + 26)[0]
        found.append((data[at + 30 : at + 30 + name], bool(data[at + 6] & 1)))
        at = data.find(b"PK\x03\x04", at + 30)
    return found


def encrypted(data: bytes, declared: str, true_type: str) -> bool:
    """Whether the file can be opened only with a key or password."""
    if true_type == "application/pdf":
        return b"/Encrypt" in data
    if data.startswith(b"PK"):
        return any(flag for _, flag in zip_entries(data))
    if true_type == "application/x-ole-storage":
        return _ENCRYPTED_PACKAGE in data
    if true_type == "application/vnd.rar":
        return _rar_encrypted(data)
    if true_type == "application/pgp-encrypted" or declared == "application/pgp-encrypted":
        return True
    return data.startswith(b"0") and _ENVELOPED in data[:64]


def _rar_encrypted(data: bytes) -> bool:
    if data.startswith(b"Rar!\x1a\x07\0") and len(data) > 24:  # RAR 4: flags of the archive and first file header
        block = struct.unpack_from("<H", data, 10)[0]
        size = struct.unpack_from("<H", data, 12)[0]
        first = 7 + size
        return bool(block & 0x80) or (first + 5 <= len(data) and bool(data[first + 3] & 0x04))
    # RAR 5: checksum, size (variable), type; an archive encryption header, type 4, comes first.
    at = next((i for i in range(12, min(len(data), 15)) if data[i] < 0x80), len(data))
    return data[at + 1 : at + 2] == b"\x04"

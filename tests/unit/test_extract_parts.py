"""Parts: every reading of structure and encoding, and what attachments are."""

import base64
import hashlib
import io
import zipfile

import pytest

from model.extract import extract
from model.extracted import Extracted

HEAD = b"From: Ada <ada@shop.example>\r\nSubject: s\r\n"
SECRET = b"the hidden payload of this test, long enough to be seen"
B64 = base64.b64encode(SECRET)


def mixed(part: bytes, boundary: bytes = b"b", line: bytes = b"Content-Type: multipart/mixed; boundary=b") -> bytes:
    return (
        HEAD
        + line
        + b"\r\n\r\n--"
        + boundary
        + b"\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--"
        + boundary
        + b"\r\n"
        + part
        + b"\r\n--"
        + boundary
        + b"--\r\n"
    )


def attached(name: bytes, data: bytes, kind: bytes = b"application/octet-stream") -> Extracted:
    return extract(
        mixed(
            b"Content-Type: "
            + kind
            + b'\r\nContent-Disposition: attachment; filename="'
            + name
            + b'"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            + base64.encodebytes(data)
        )
    )


def codes(found: Extracted) -> set[str]:
    return {d.code for d in found.defects}


def everything(raw: bytes) -> str:
    found = extract(raw, content=True)
    blobs = (base64.b64decode(part.content or "").decode("latin-1") for part in found.parts)
    return "\n".join((found.text, found.hidden_text, *blobs))


def test_plain_and_html_are_both_read() -> None:
    found = extract(
        HEAD
        + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nPlain words"
        b"\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Other <b>words</b></p>\r\n--b--\r\n"
    )

    assert found.text == "Other words\n\nPlain words"
    assert found.html
    assert not found.defects
    assert [(p.type, p.size, p.attachment) for p in found.parts] == [
        ("text/plain", 11, False),
        ("text/html", 25, False),
    ]


def test_the_same_words_are_given_once() -> None:
    found = extract(mixed(b"Content-Type: text/html\r\n\r\n<p>See the<br>file.</p>"))

    assert found.text == "See the file."


def test_a_part_has_size_and_hash_of_its_decoded_octets() -> None:
    part = attached(b"a.bin", SECRET).parts[1]

    assert (part.size, part.sha256, part.filename) == (len(SECRET), hashlib.sha256(SECRET).hexdigest(), "a.bin")
    assert part.attachment
    assert part.disposition == "attachment"
    assert part.content is None


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: BASE64 ",
        b"Content-Transfer-Encoding: base64 (really)",
        b"Content-Transfer-Encoding: (x) base64",
        b'Content-Transfer-Encoding: "base64"',
        b"Content-Transfer-Encoding: base64;",
        b"Content-Transfer-Encoding:\r\n base64",
        b"Content-Transfer-Encoding : base64",
        b"Content-Transfer-Encoding: ba\0se64",
        b"Content-Transfer-Encoding: =?utf-8?q?base64?=",
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit",
        b"Content-Transfer-Encoding: x-none",
        b"X-Nothing: 1",
    ],
)
def test_base64_is_read_however_its_header_is_written(header: bytes) -> None:
    raw = mixed(b"Content-Type: application/octet-stream\r\n" + header + b"\r\n\r\n" + B64)

    assert SECRET.decode() in everything(raw)


@pytest.mark.parametrize(
    "body",
    [
        B64,
        B64[:20] + b"*" + B64[20:],
        B64[:20] + b"\r\n \t" + B64[20:],
        B64.rstrip(b"="),
        B64 + b"=====",
        base64.b64encode(SECRET[:10]) + base64.b64encode(SECRET[10:20]) + base64.b64encode(SECRET[20:]),
        B64 + b"\r\n-- \r\nfooter of a list",
    ],
)
def test_base64_is_read_through_damage(body: bytes) -> None:
    raw = HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body

    assert SECRET.decode()[:-4] in everything(raw)


@pytest.mark.parametrize(
    "body",
    [
        b"the hidden p=\r\nayload".replace(b"p=", b"pay=").replace(b"\r\nay", b"\r\n"),
        b"the hidden pay=  \r\nload",
        b"the=20hidden=20payload",
        b"the hidden pay=6Coad",
        b"the hidden pay=6coad",
        b"=74=68=65=20=68=69=\x1264=\x1264=65=6E=20=70=61=79=6C=6F=61=64",
    ],
)
def test_quoted_printable_is_read_leniently(body: bytes) -> None:
    raw = HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + body

    assert "the hidden payload" in everything(raw)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (mixed(b"\r\n" + SECRET, line=b"Content-Type: multipart/mixed"), "boundary-missing"),
        (mixed(b"Content-Type: text/plain\r\n\r\n" + SECRET, boundary=b"wrong"), "boundary-missing"),
        (mixed(b"\r\n" + SECRET).replace(b"--b\r\n", b"--b  \t\r\n"), ""),
        (mixed(b"\r\n" + SECRET).removesuffix(b"--b--\r\n"), "boundary-unclosed"),
        (mixed(b"\r\n" + SECRET).replace(b"\r\n", b"\n"), ""),
        (mixed(b"\r\n" + SECRET).replace(b"\r\n", b"\r"), "bare-cr"),
        (mixed(b"\r\nx") + b"--b\r\n\r\n" + SECRET + b"\r\n--b--\r\n", "part-after-end"),
        (
            mixed(
                b"\r\n" + SECRET,
                line=b"Content-Type: multipart/mixed; boundary=x\r\nContent-Type: multipart/mixed; boundary=b",
            ),
            "mime-ambiguous",
        ),
        (mixed(b"\r\n" + SECRET, line=b"Content-Type: multipart/mixed; boundary=x; boundary=b"), "mime-ambiguous"),
        (mixed(b"\r\n" + SECRET, line=b"Content-Type: multipart/mixed; boundary=(c)b"), "mime-ambiguous"),
        (mixed(b"\r\n" + SECRET, line=b"Content-Type : multipart/mixed; boundary=b"), "header-malformed"),
        (mixed(b"Content-Type: text/plain\r\nContent-Type: application/pdf\r\n\r\n" + SECRET), "mime-ambiguous"),
        (mixed(b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n" + SECRET), ""),
        (
            mixed(
                b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                + base64.encodebytes(b"Subject: in\r\n\r\n" + SECRET)
            ),
            "",
        ),
        (mixed(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n" + SECRET + b"\r\n--c--"), ""),
        (
            mixed(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + SECRET + b"\r\n--b--"),
            "boundary-reused",
        ),
        (
            HEAD
            + b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\n"
            + SECRET
            + b"\r\n--b--",
            "",
        ),
        (
            HEAD
            + b"Content-Type: multipart/mixed; boundary=b\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + B64
            + b"\r\n--b\r\n\r\nx\r\n--b--\r\n",
            "mime-ambiguous",
        ),
        (b"MIME-Version: 1.0\r\n" + HEAD + b"\r\n" + SECRET, ""),
    ],
    ids=range(19),
)
def test_the_payload_is_found_in_every_structure(raw: bytes, code: str) -> None:
    assert SECRET.decode() in everything(raw)
    assert not code or code in codes(extract(raw))


def test_well_formed_mail_has_no_defects() -> None:
    assert not attached(b"report.pdf", b"%PDF-1.7\n...", b"application/pdf").defects


def test_uuencoded_files_in_a_text_are_parts() -> None:
    import binascii

    lines = b"".join(binascii.b2a_uu(SECRET[i : i + 45]) for i in range(0, len(SECRET), 45))
    found = extract(
        HEAD + b"\r\nHello\r\nbegin 644 a.txt\r\n" + lines.replace(b"\n", b"\r\n") + b"`\r\nend\r\nBye\r\n"
    )

    assert [(p.filename, p.size, p.attachment) for p in found.parts] == [
        ("a.txt", len(SECRET), True),
        ("", 119, False),
    ]
    assert "Hello" in found.text
    assert "Bye" in found.text
    assert "begin 644" not in found.text
    assert SECRET.decode() in found.text


@pytest.mark.parametrize(
    ("name", "deceptive"),
    [
        ("invoice.pdf", False),
        ("archive.tar.gz", False),
        ("Rechnung 2024.05.pdf", False),
        ("v1.2.txt", False),
        ("", False),
        ("invoice.pdf.exe", True),
        ("photo.jpg .scr", True),
        ("invoice\u202efdp.exe", True),
        ("a\x00.pdf", True),
        ("invoice.pdf          .exe", True),
        ("report.docx.html", True),
        ("invoice.pdf.", True),
        ("d\u034foc.pdf", True),
    ],
)
def test_a_deceptive_file_name_is_a_defect(name: str, deceptive: bool) -> None:
    from model.filename import defects

    assert defects(name) == (["deceptive-filename"] if deceptive else [])


def test_a_file_name_is_decoded_and_kept_as_it_is() -> None:
    found = extract(
        mixed(
            b"Content-Type: application/pdf\r\nContent-Disposition: attachment;\r\n"
            b" filename*=utf-8''invoice%E2%80%AEfdp.exe\r\n\r\nMZ"
        )
    )

    assert found.parts[1].filename == "invoice\u202efdp.exe"
    assert "deceptive-filename" in found.parts[1].defects


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return out.getvalue()


OOXML = zipped(**{"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
LOCKED = bytearray(zipped(a=b"x"))
LOCKED[6] |= 1
LOCKED[LOCKED.index(b"PK\x01\x02") + 8] |= 1


@pytest.mark.parametrize(
    ("data", "kind", "locked"),
    [
        (b"%PDF-1.4 x", "application/pdf", False),
        (b"%PDF-1.4 x trailer<</Encrypt 5 0 R>>", "application/pdf", True),
        (zipped(a=b"x"), "application/zip", False),
        (bytes(LOCKED), "application/zip", True),
        (OOXML, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "application/x-ole-storage", False),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "application/x-ole-storage",
            True,
        ),
        (b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0", "application/pkcs7-mime", True),
        (b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0", "application/pkcs7-mime", False),
        (b"-----BEGIN PGP MESSAGE-----\n\nx", "application/pgp-encrypted", True),
        (b"MZ\x90\0", "application/vnd.microsoft.portable-executable", False),
        (b"L\0\0\0\x01\x14\x02\0\0", "application/x-ms-shortcut", False),
        (b"<!DOCTYPE html><p>x", "text/html", False),
        (b"<?xml version='1.0'?><svg xmlns='x'><script/></svg>", "image/svg+xml", False),
        (b"just words", "", False),
        (b"PK\x03\x04", "application/zip", False),
        (b"Rar!\x1a\x07\x01\0" + b"\0" * 4 + b"\x21\x04", "application/vnd.rar", True),
    ],
)
def test_the_true_type_is_by_the_first_octets(data: bytes, kind: str, locked: bool) -> None:
    part = attached(b"a", data).parts[1]

    assert (part.true_type, part.encrypted) == (kind, locked)
    assert ("encrypted" in part.defects) is locked


def test_an_attached_page_is_read_like_a_body() -> None:
    found = attached(
        b"invoice.htm", b"<form action='http://thief.example/'><p>Your password", b"application/octet-stream"
    )

    assert "Your password" in found.text
    assert [(link.kind, link.host) for link in found.links] == [("form", "thief.example")]


@pytest.mark.parametrize(
    ("kind", "data", "mismatch"),
    [
        (b"image/png", b"MZ\x90\0", True),
        (b"application/pdf", b"<html><script>", True),
        (b"image/png", b"\x89PNG\r\n\x1a\n", False),
        (b"application/octet-stream", b"MZ\x90\0", False),
        (b"application/pdf", b"%PDF-1", False),
        (b"image/jpg", b"\xff\xd8\xff", False),
    ],
)
def test_a_type_that_its_octets_deny_is_a_defect(kind: bytes, data: bytes, mismatch: bool) -> None:
    assert ("type-mismatch" in codes(attached(b"a", data, kind))) is mismatch


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"Content-Type: message/partial; id=x; number=1; total=2", "message-partial"),
        (b"Content-Type: message/external-body; access-type=URL", "message-external"),
        (b"Content-Type: application/ms-tnef; name=winmail.dat", "tnef"),
    ],
)
def test_content_that_is_elsewhere_is_a_defect(header: bytes, code: str) -> None:
    assert code in codes(extract(HEAD + header + b"\r\n\r\nx"))


def test_json_and_back_is_the_same() -> None:
    import json

    found = extract(mixed(b"Content-Type: text/html\r\n\r\n<a href=//x.example>x</a>\xff\xfe"), content=True)

    assert Extracted.from_json(json.loads(json.dumps(found.to_json()))) == found


def der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    size = len(body).to_bytes(2, "big")
    return bytes((tag, 0x82)) + size + body


SIGNED_DATA, DATA = (bytes.fromhex(f"06092a864886f70d0107{n:02x}") for n in (2, 1))


@pytest.mark.parametrize(
    "carrier",
    [
        der(0x04, b"Content-Type: text/html\r\n\r\n<p>Signed words"),
        b"\x24\x80" + der(0x04, b"Content-Type: text/html\r\n\r\n<p>Sig") + der(0x04, b"ned words") + b"\0\0",
    ],
)
def test_a_message_inside_an_opaque_signature_is_read(carrier: bytes) -> None:
    inner = der(0x30, b"\x02\x01\x01", der(0x31), der(0x30, DATA, der(0xA0, carrier)))
    found = attached(b"smime.p7m", der(0x30, SIGNED_DATA, der(0xA0, inner)), b"application/pkcs7-mime")

    assert "Signed words" in found.text
    assert not any(part.encrypted for part in found.parts)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_signature_that_is_cut_or_lies_of_its_size_costs_nothing(cut: int) -> None:
    inner = der(
        0x30, b"\x02\x01\x01", der(0x31), der(0x30, DATA, der(0xA0, der(0x04, b"Content-Type: text/html\r\n\r\nx")))
    )
    whole = der(0x30, SIGNED_DATA, der(0xA0, inner))

    assert "extractor-fault" not in codes(attached(b"a", whole[: len(whole) - cut]))
    assert "extractor-fault" not in codes(attached(b"a", whole[:cut] + b"\xff" * 9 + whole[cut:]))

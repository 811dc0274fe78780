"""A key is found in an attachment that is text, whatever the attachment is called."""

from email.message import EmailMessage

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from model.extract import extract
from model.leaks import find_leaks


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-pem-file", "text/plain", "image/png"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_a_private_key_in_an_attached_text_is_found(kind, encoding):
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@corp.example", "b@partner.example", "x"
    message.set_content("as agreed")
    main, _, sub = kind.partition("/")
    message.add_attachment(key.encode(encoding), maintype=main, subtype=sub, filename="x.bin")

    found = find_leaks(extract(bytes(message)))

    assert [finding.detector for finding in found] == ["private-key"]
    assert not any(line in repr(found) for line in key.splitlines()[1:-1])

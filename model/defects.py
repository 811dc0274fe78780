"""Every defect code the extractor can give, with what it means to a reader of a report.

Codes are part of the contract: policies (`hold_defects`), `gatepost extract --json` and tests name them.
"""

CODES: dict[str, str] = {
    # structure
    "bare-cr": "a carriage return without line feed stands in the headers or between parts",
    "boundary-garbage": "a line starts like a boundary and goes on",
    "boundary-missing": "a multipart names no boundary, or one that never occurs",
    "boundary-reused": "an inner multipart has the boundary of an outer one",
    "boundary-unclosed": "a multipart has no closing boundary",
    "header-malformed": "a line among the headers is none",
    "header-missing": "the message has no header fields",
    "header-nul": "a NUL octet among the headers",
    "header-too-long": "more header octets than the limit; the rest was not read",
    "header-too-many": "more header fields than the limit; the rest was not read",
    "header-value-long": "a header value was cut before it was decoded",
    "mime-ambiguous": "mail readers will disagree about the structure or the encoding of a part",
    "nested-too-deep": "parts nest deeper than the limit; the inner ones were read as text",
    "no-body": "there is nothing below the header",
    "too-many-parts": "more parts than the limit; the rest was not read",
    "part-after-end": "a part follows the closing boundary",
    "message-partial": "message/partial: a piece of a message that cannot be judged alone",
    "message-external": "message/external-body: the content is elsewhere",
    # encodings
    "base64-damaged": "base64 with foreign characters, a broken end, or data after its padding",
    "charset-mismatch": "the text is not in the charset it declares",
    "charset-undecodable": "the text could not be decoded without loss",
    "charset-unknown": "the declared charset does not exist",
    "decoded-too-large": "more decoded octets than the limit; the rest was not read",
    "encoded-words-too-many": "more encoded words in one header than the limit",
    "qp-damaged": "quoted-printable with broken escapes",
    "salvaged": "content found by looking for encoded runs, since the structure is not to be trusted",
    "transfer-encoding-odd": "a Content-Transfer-Encoding that is misspelt, repeated or decorated",
    "transfer-encoding-unknown": "a Content-Transfer-Encoding that nobody knows",
    "uuencoded": "an attachment in the text by uuencode",
    # sender
    "address-malformed": "an address header cannot be read in one way only",
    "address-too-many": "more addresses than the limit; the rest was not read",
    "from-missing": "no From address",
    "from-multiple": "more than one From header, or more than one author",
    # content
    "deceptive-filename": "a file name with control or bidi characters, a double extension or padding",
    "encrypted": "an attachment that only its password opens",
    "html-attributes": "a tag with more attributes than the limit; the rest was dropped",
    "html-nesting": "elements nest deeper than the limit; the inner tags were dropped",
    "html-too-large": "more HTML than the limit; the middle was not read",
    "links-too-many": "more links than the limit; the rest was dropped",
    "style-too-large": "more style rules than the limit; the rest was not applied",
    "text-truncated": "more text than the limit; the middle was dropped",
    "tnef": "a winmail.dat container, which is not opened",
    "type-mismatch": "the first octets say another kind of file than the declared type or the name",
    # our own fault
    "extractor-fault": "our own fault while reading this; what was read before it is kept",
}

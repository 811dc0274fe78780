"""Paths and parameters: read strictly, passed on unread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter import xtext
from milter.announce import HEADROOM, announced, feature_lines
from milter.esmtp import ParameterError, Path, declared_size, mail_params, parse_path, rcpt_params
from milter.xforward import Forwarded, ForwardError, words

FULL = {"SIZE": "", "8BITMIME": "", "SMTPUTF8": "", "DSN": ""}


@pytest.mark.parametrize(
    ("text", "address", "params"),
    [
        ("FROM:<a@b>", "a@b", ()),
        ("from: <>", "", ()),
        ("FROM:<a@b>  SIZE=1 X-Y", "a@b", ("SIZE=1", "X-Y")),
        ('FROM:<"a>b \\" c"@d>', '"a>b \\" c"@d', ()),
        ("FROM:<@x,@y:a@b> ENVID=a+2Bb", "@x,@y:a@b", ("ENVID=a+2Bb",)),
        ("FROM:<jörg@x> SMTPUTF8", "jörg@x", ("SMTPUTF8",)),
        ("FROM:<\udcff@x>", "\udcff@x", ()),
    ],
)
def test_good_paths(text, address, params):
    assert parse_path(text, "FROM:") == Path(address, params)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "syntax"),
        ("TO:<a@b>", "syntax"),
        ("FROM:a@b", "bad-address"),
        ("FROM:<a@b", "bad-address"),
        ("FROM:<a b@c>", "bad-address"),
        ("FROM:<<a@b>>", "bad-address"),
        ("FROM:<a@b>>", "syntax"),
        ("FROM:<a@b>SIZE=1", "syntax"),
        ("FROM:<a@b> SIZE=", "syntax"),
        ("FROM:<a@b> =1", "syntax"),
        ("FROM:<a@b> X=a=b", None),
        ("FROM:<a@b> RET=HDRS ret=FULL", "syntax"),
        ("FROM:<a(c)@b\x01>", "bad-address"),
        ("FROM:<" + "a" * 801 + ">", "bad-address"),
        ("FROM:<a@b> " + " ".join(f"X{n}=1" for n in range(21)), "syntax"),
    ],
)
def test_bad_paths(text, fault):
    if fault is None:
        assert parse_path(text, "FROM:").params == ("X=a=b",)  # ORCPT may hold "=" in practice
        return
    with pytest.raises(ParameterError) as caught:
        parse_path(text, "FROM:")
    assert caught.value.fault == fault


@given(st.text(max_size=200))
def test_reading_a_path_never_fails_otherwise(text):
    try:
        path = parse_path("FROM:" + text, "FROM:")
    except ParameterError:
        return
    assert f"<{path.address}>" in text
    assert not {"\r", "\n", "\0"} & set(path.address + "".join(path.params))


@pytest.mark.parametrize(
    ("params", "capabilities", "result"),
    [
        (
            ("SIZE=5", "body=8bitmime", "SMTPUTF8", "RET=hdrs", "ENVID=Aa+2B"),
            FULL,
            ("SIZE=5", "body=8bitmime", "SMTPUTF8", "RET=hdrs", "ENVID=Aa+2B"),
        ),
        (("SIZE=5", "BODY=7BIT", "AUTH=<>"), {}, ()),
        (("BODY=8BITMIME",), {}, "no-8bitmime"),
        (("SMTPUTF8",), {}, "no-smtputf8"),
        (("SMTPUTF8=1",), FULL, "syntax"),
        (("SIZE=x",), FULL, "syntax"),
        (("SIZE=²",), FULL, "syntax"),
        (("RET=FULL",), {}, "unknown-parameter"),
        (("BODY=BINARYMIME",), FULL, "unknown-parameter"),
        (("HOLDFOR=5",), FULL, "unknown-parameter"),
    ],
)
def test_mail_parameters(params, capabilities, result):
    path = Path("a@b", params)
    if isinstance(result, str):
        with pytest.raises(ParameterError) as caught:
            mail_params(path, capabilities)
        assert caught.value.fault == result
    else:
        assert mail_params(path, capabilities) == result


def test_recipient_parameters_need_dsn_below():
    path = Path("a@b", ("NOTIFY=NEVER", "orcpt=rfc822;A+20b@C"))
    assert rcpt_params(path, FULL) == path.params
    for params, capabilities in ((path.params, {}), (("X=1",), FULL)):
        with pytest.raises(ParameterError):
            rcpt_params(Path("a@b", params), capabilities)


def test_declared_size():
    assert declared_size(("BODY=7BIT", "size=12")) == 12
    assert declared_size(()) == declared_size(("SIZE=x",)) == 0


@given(st.text(max_size=50))
def test_xtext_goes_there_and_back(text):
    octets = text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    word = xtext.encode(octets)
    assert xtext.decode(word) == octets
    assert all("!" <= c <= "~" and c != "=" for c in word)


@pytest.mark.parametrize("word", ["+", "a+2", "+2g", "+2b", "++"])
def test_what_is_no_xtext(word):
    with pytest.raises(ValueError, match="xtext"):
        xtext.decode(word)


def test_xforward_adds_up_and_is_atomic():
    told = Forwarded()
    told.update("name=mail+20x ADDR=IPV6:2001:db8::1")
    with pytest.raises(ForwardError):
        told.update("IDENT=abc COLOUR=red")
    told.update("SOURCE=LOCAL HELO=[UNAVAILABLE] IDENT=Q1 PORT=25 PROTO=ESMTP")
    client = told.client("127.0.0.1", "postfix")
    assert (client.name, client.address, client.source, client.helo) == ("mail x", "2001:db8::1", "LOCAL", "")
    assert (client.queue_id, client.port, client.protocol) == ("Q1", "25", "ESMTP")
    told.clear()
    assert told.client("127.0.0.1", "postfix").address == "127.0.0.1"


@pytest.mark.parametrize("argument", ["", "NAME", "NAME=a+0Ab", "NAME=+0D", "HELO=" + "x" * 256, "NAME=+00"])
def test_what_is_no_xforward(argument):
    with pytest.raises(ForwardError):
        Forwarded().update(argument)


def test_xforward_says_only_what_was_announced():
    attributes = {"SOURCE": "REMOTE", "NAME": "a b", "ADDR": "[UNAVAILABLE]", "IDENT": "x=y"}
    assert words(attributes, "NAME ADDR SOURCE") == ("NAME=a+20b", "ADDR=[UNAVAILABLE]", "SOURCE=REMOTE")
    assert words(attributes, "") == ()


@pytest.mark.parametrize(
    ("theirs", "limit", "size"),
    [
        ({"SIZE": "100000"}, 50, "50"),
        ({"SIZE": "100000"}, 200000, str(100000 - HEADROOM)),
        ({"SIZE": "0"}, 50, "50"),
        ({"SIZE": ""}, 50, "50"),
        ({"SIZE": "nonsense"}, 50, "50"),
        ({"SIZE": "10"}, 0, "1"),
        ({"SIZE": ""}, 0, ""),
    ],
)
def test_size_is_the_smaller_limit(theirs, limit, size):
    assert announced(theirs, limit) == {"SIZE": size}


def test_nothing_is_promised_that_the_next_hop_does_not():
    theirs = {"8BITMIME": "", "STARTTLS": "", "AUTH": "PLAIN", "CHUNKING": "", "VRFY": ""}
    assert feature_lines(announced(theirs, 100), xforward=False) == ("8BITMIME",)

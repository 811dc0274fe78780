"""Of two views of one message the page speaks first, and what it hides is not said by the other."""

import pytest
from effort import bounded

from model.extract import extract

HEAD = b"From: Ada <ada@shop.example>\r\nSubject: s\r\nMIME-Version: 1.0\r\n"


def message(*parts: tuple[str, str], kind: str = "alternative") -> bytes:
    body = "".join(f"--b\r\nContent-Type: {type_}; charset=utf-8\r\n\r\n{text}\r\n" for type_, text in parts)
    return HEAD + f"Content-Type: multipart/{kind}; boundary=b\r\n\r\n{body}--b--\r\n".encode()


PLAIN = """Points expire today
Hey, thanks for asking about the weekend. I ended up moving the
bookshelves, and it took hours.
Your points expire today, convert them: https://points.example/now?id=3
-----
"""
PAGE = """<div style="opacity:0;height:0;overflow:hidden">Hey, thanks for asking about the weekend. I ended up moving
the bookshelves, and it took hours.</div><p>Your points <b>expire today</b>, convert them:
<a href="https://points.example/now?id=3">here</a></p>"""


def test_what_a_page_hides_is_not_visible_because_the_plain_view_says_it() -> None:
    found = extract(message(("text/plain", PLAIN), ("text/html", PAGE)))

    assert found.text == "Your points expire today, convert them: here"
    assert found.hidden_text.startswith("Hey, thanks for asking")
    assert [link.href for link in found.links if link.kind == "text"] == ["https://points.example/now?id=3"]


def test_a_plain_view_in_other_letters_says_nothing_else() -> None:
    plain = "Y\u043eur p\u200boints expire to-day, convert th\u0435m\u200b."
    found = extract(message(("text/plain", plain), ("text/html", PAGE)))

    assert found.text == "Your points expire today, convert them: here"


def test_what_only_the_plain_view_says_stands_at_the_end() -> None:
    found = extract(message(("text/plain", "Send the code to me at once.\r\nSee the list."),
                            ("text/html", "<p>See the list.</p>")))  # fmt: skip

    assert found.text == "See the list.\n\nSend the code to me at once."


@pytest.mark.parametrize("kind", ["mixed", "related"])
def test_parts_that_are_shown_one_after_the_other_keep_their_order(kind: str) -> None:
    found = extract(message(("text/plain", "First the letter."), ("text/html", "<p>Then the page.</p>"), kind=kind))

    assert found.text == "First the letter.\n\nThen the page."


def test_a_page_deeper_in_an_alternative_is_its_page_too() -> None:
    page = (
        "--b\r\nContent-Type: multipart/related; boundary=r\r\n\r\n"
        f"--r\r\nContent-Type: text/html\r\n\r\n{PAGE}\r\n--r--\r\n"
    )
    raw = message(("text/plain", PLAIN)).replace(b"--b--\r\n", page.encode() + b"--b--\r\n")

    assert extract(raw).text == "Your points expire today, convert them: here"


def test_two_alternatives_do_not_silence_each_other() -> None:
    inner = "".join(
        f"--b\r\nContent-Type: multipart/alternative; boundary={name}\r\n\r\n--{name}\r\nContent-Type: {kind}\r\n\r\n"
        f"{text}\r\n--{name}--\r\n"
        for name, kind, text in (
            ("x", "text/plain", "The same words."),
            ("y", "text/html", "<p>The same words, said twice."),
        )
    )
    raw = HEAD + f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{inner}--b--\r\n".encode()

    assert extract(raw).text == "The same words.\n\nThe same words, said twice."


def test_a_page_that_shows_nothing_leaves_the_plain_view_alone() -> None:
    found = extract(message(("text/plain", "All is said here."), ("text/html", "<img src=x.png>")))

    assert found.text == "All is said here."


@pytest.mark.parametrize("unit", ["a ", "a\n", "a b c\n", "(\n", "www.a.example\n", "漢"])
def test_a_megabyte_in_either_view_takes_linear_time(unit: str) -> None:
    text = unit * ((1 << 20) // len(unit))
    raw = message(("text/plain", text), ("text/html", f"<p>{text}x</p>"))
    with bounded():
        extract(raw)

"""What a teacher is shown of a mail: no address, number, name or domain of the house, and all of the evidence."""

import json
import random
import re
import string

import pytest

from model.domains import DomainLists
from model.extracted import Address, Extracted, Link, Part
from training.teacher.prompt import cache_key, speaks_to_models, written
from training.teacher.redact import Redactor
from training.teacher.view import capped, view_of

LISTS = DomainLists.load()
OWN = ("house.example",)


def redactor(text="", *, to=(), headers=None, own=OWN):
    return Redactor(Extracted(text=text, to=tuple(to), headers=headers or {}), own, LISTS.free_mail)


def redact(text, **more):
    return redactor(text, **more).text(text)


@pytest.mark.parametrize(("text", "seen"), [
    # addresses: the same one each time
    ("Write to Anna.Lee@shop.example or ida@x.example, not anna.lee@shop.example",
     "Write to <ADDRESS 1> or <ADDRESS 2>, not <ADDRESS 1>"),
    ("<a@b.example>;müller@bücher.example", "<<ADDRESS 1>>;<ADDRESS 2>"),
    ("me@ho\u200buse.example", "<ADDRESS 1>"),
    ("me＠there.example", "<ADDRESS 1>"),
    ("mailto:a%40b.example?subject=hi", "mailto:<ADDRESS 1>"),
    # telephone numbers
    ("Call +49 (0)431 / 55 66-77 now", "Call <PHONE 1> now"),
    ("Tel. 0431 556677", "Tel. <PHONE 1>"),
    ("(800) 555-0199 or 1-800-555-0199", "<PHONE 1> or <NUMBER 1>"),
    ("٠١٢٣٤٥٦٧٨٩", "<PHONE 1>"),
    # cards and accounts
    ("4111 1111 1111 1111", "<CARD 1>"),
    ("4111-1111-1111-1111 = 4111111111111111", "<CARD 1> = <CARD 1>"),
    ("DE89 3704 0044 0532 0130 00 or GB29NWBK60161331926819", "<IBAN 1> or <IBAN 2>"),
    # other long numbers
    ("Your code is 482913, customer 12345678", "Your code is <NUMBER 1>, customer <NUMBER 2>"),
    ("order AB123456789", "order AB<NUMBER 1>"),
    ("ssn 078-05-1120", "ssn <PHONE 1>"),
    ("token=eyJhbGciOiJIUzI1NiIsInR5cCI6", "token=<CODE 1>"),
    ("1" * 50, "<NUMBER 1>"),
    # what stays
    ("on 2026-11-24 and 24.11.2026 at 10:30", "on 2026-11-24 and 24.11.2026 at 10:30"),
    ("USD 10.500.000 and 1.234.567,89", "USD 10.500.000 and 1.234.567,89"),
    ("\u00a9 2011-2023 and 2019/2020", "\u00a9 2011-2023 and 2019/2020"),
    ("$4 500 000", "$4 500 000"),
    ("1 2 3 4 5 6 7 8", "1 2 3 4 5 6 7 8"),
    ("99 % off, 24/7, 12345", "99 % off, 24/7, 12345"),
])  # fmt: skip
def test_addresses_and_numbers(text, seen):
    assert redact(text) == seen


@pytest.mark.parametrize(("text", "seen"), [
    ("See https://user:pw@evil.example/log-in?u=anna@house.example&t=1#x now",
     "See https://evil.example/log-in?… now"),
    ("http://evil.example/anna@house.example/1234567", "http://evil.example/<ADDRESS 1>/<NUMBER 1>"),
    ("http://evil.example/c/YW5uYUBob3VzZS5leGFtcGxl", "http://evil.example/c/<CODE 1>"),
    ("http://evil.example/anna%40house.example", "http://evil.example/<ADDRESS 1>"),
    ("https://portal.house.example/x", "https://<OWN DOMAIN 1>/x"),
    ("https://house.example.evil.example/", "https://house.example.evil.example"),
    ("www.evil.example.", "www.evil.example."),
    ("http://[broken", "<LINK>"),
    ("http://evil.example:99999/", "<LINK>"),
    ("https://evil.example/wp-content/update-account.php", "https://evil.example/wp-content/update-account.php"),
])  # fmt: skip
def test_links_lead_where_they_lead_and_no_further(text, seen):
    assert redact(text) == seen


@pytest.mark.parametrize(("text", "seen"), [
    ("Dear Anna Lindqvist,\nLindqvist is your name, anna.",
     "Dear <NAME 1> <NAME 2>,\n<NAME 2> is your name, <NAME 1>."),
    ("Sehr geehrter Herr Dr. Öztürk,\nHerr ÖZTÜRK", "Sehr geehrter Herr Dr. <NAME 1>,\nHerr <NAME 1>"),
    ("Bonjour Éloïse,\nÉloïse, merci", "Bonjour <NAME 1>,\n<NAME 1>, merci"),
    ("Здравствуйте, Анна!\nАнна", "Здравствуйте, <NAME 1>!\n<NAME 1>"),
    ("尊敬的王小明先生：您好", "尊敬的<NAME 1>先生:您好"),
    ("Welcome to Lume, Alex.\nAlex, here you are", "Welcome to Lume, <NAME 1>.\n<NAME 1>, here you are"),
    ("Dear Customer,\nDear Sir or Madam,", "Dear Customer,\nDear Sir or Madam,"),
    ("Hello team,\nthe team", "Hello team,\nthe team"),
])  # fmt: skip
def test_the_salutation_tells_whose_name_goes(text, seen):
    assert redact(text) == seen


def test_names_and_domain_of_to_go_everywhere():
    to = (Address("Lindqvist, Anna", "anna.lindqvist+news@corp.example"),)
    seen = redact("Anna's account at mail.corp.example: LINDQVIST_2024, Annabel", to=to, own=())

    assert seen == "<NAME 1>'s account at <OWN DOMAIN 1>: <NAME 2>_2024, Annabel"


def test_a_provider_for_everybody_is_no_house_of_ours():
    assert "gmail.com" in redact("sign in at gmail.com", to=(Address("", "x@gmail.com"),), own=())


def test_a_list_is_no_recipient():
    to = (Address("Kernel Hackers", "kernel@lists.example"), Address("", "pengms1@corp.example"))
    text = "Kernel of lists.example, pengms1 of corp.example"
    assert redact(text, to=to, headers={"list-id": "Hackers <kernel.lists.example>"}) == (
        "Kernel of lists.example, <NAME 1> of <OWN DOMAIN 1>")


def test_role_accounts_are_no_names():
    assert redact("Support and sales", to=(Address("Support", "sales@corp.example"),)) == "Support and sales"


def test_nothing_of_a_recipient_is_in_a_whole_view():
    """Wherever in a mail it stands: subject, names, hidden text, links, files."""
    secrets = ("lindqvist", "house.example", "4111111111111111", "0431556677", "482913", "x@y.example")
    everything = "Lindqvist, lindqvist@house.example, 4111111111111111, 0431556677, 482913, x@y.example"
    mail = Extracted(
        subject=f"For {everything}",
        from_=(Address(everything, "lindqvist@evil.example"),),
        reply_to=(Address(everything, "x@y.example"),),
        to=(Address("Anna Lindqvist", "lindqvist@house.example"),),
        text=f"Dear Ms Lindqvist,\n{everything}\nhttps://evil.example/lindqvist@house.example?n=482913",
        hidden_text=everything,
        links=(Link(f"https://evil.example/482913?{everything}", "evil.example", "www.house.example", "anchor"),),
        parts=(Part("application/pdf", "application/pdf", "", f"{everything}.pdf", "attachment", 1, "00", True),),
    )
    seen = view_of(mail, ("reply elsewhere",), OWN, LISTS, 5_000)

    text = written(seen.data)
    assert [word for word in secrets if word in text.lower()] == []
    assert seen.data["from"][0]["domain"] == "evil.example"
    assert seen.data["links"] == ['https://evil.example/<NUMBER 1>?… (shown as "<OWN DOMAIN 1>")']
    assert seen.data["signs"] == ["reply elsewhere"]
    assert seen.removed == {"NAME": 1, "ADDRESS": 4, "CARD": 1, "PHONE": 1, "NUMBER": 1, "OWN DOMAIN": 1}


def test_equal_mails_are_equal_to_the_cache_and_others_are_not():
    one, other = ({"text": text} for text in ("a", "b"))
    assert cache_key("m", one) == cache_key("m", dict(one))
    assert len({cache_key("m", one), cache_key("m", other), cache_key("n", one)}) == 3


def test_a_long_text_keeps_its_beginning_and_its_end():
    seen = capped("".join(f"<{n}>" for n in range(1000)), 400)
    assert len(seen) == 400
    assert seen.startswith("<0><1>")
    assert "\n[…]\n" in seen
    assert seen.endswith("<999>")


def test_no_address_or_long_number_survives_any_text():
    """On random soup of the characters that patterns are made of, none of what must go is left."""
    chance = random.Random(7)
    alphabet = "ab1234567 .-+()@/:\n" + string.ascii_letters[:6]
    for _ in range(3_000):
        text = redact("".join(chance.choices(alphabet, k=60)))
        left = re.sub(r"<[A-Z ]+ \d+>|https?://\S+", " ", text)
        assert not re.search(r"[\w.+-]@\w", left), text
        assert not re.search(r"\d{6}", left), text


@pytest.mark.parametrize("text", ["1" * 200_000, "1 " * 100_000, "a@" * 100_000, "a." * 100_000, "http://" * 30_000,
                                  "Dear " * 40_000, "DE89 " * 40_000, "(" * 200_000, "a1" * 100_000,
                                  "x.house.example." * 10_000, "ignorier" * 25_000,
                                  "ignore " * 30_000, "answer " * 30_000], ids=lambda text: text[:8])  # fmt: skip
@pytest.mark.timeout(20)
def test_a_hostile_text_takes_no_long_time(text):
    json.dumps(redact(text, to=(Address("Anna", "anna@corp.example"),)))
    speaks_to_models(text)

"""Domain lists: what the shipped ones say, how the file is made, and what becomes of a damaged one."""

import json
import random
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gatepost import lists_build
from gatepost.cli import main
from model.brands import Brands
from model.confusables import skeleton
from model.domains import DATA, DomainLists, ListsError, is_ip, read_hosts
from model.filterfile import FilterFile, build_filter, write

LISTS = DomainLists.load()
HAND_KEPT = ["free_mail", "shorteners", "tracking", "shared_hosts", "cheap_tlds", "common_words", "brands"]


@pytest.mark.parametrize("domain", ["paypal.com", "mail.paypal.com", "PAYPAL.com.", "commerzbank.de", "amazon.co.uk",
                                    "ox.ac.uk", "deutschepost.de", "wikipedia.org", "booking.com"])  # fmt: skip
def test_popular_domains_are_known(domain: str) -> None:
    assert LISTS.known(domain)


@pytest.mark.parametrize("domain", ["", "com", "co.uk", "localhost", "192.0.2.1", "[192.0.2.1]", "a..b", "." * 300,
                                    "\udcff.com", "x" * 300 + ".com", "-", "nordhafen-bank.example"])  # fmt: skip
def test_what_is_no_popular_domain_is_not_known(domain: str) -> None:
    assert not LISTS.known(domain)


@pytest.mark.parametrize(
    "host",
    ["gmail.com", "web.de", "x.onmicrosoft.com", "docs.google.com", "a.firebaseapp.com", "x.github.io", "x.pages.dev",
     "x.blogspot.com", "x.weebly.com", "x.wixsite.com", "company.sharepoint.com", "x.duckdns.org", "mailinator.com",
     "googlegroups.com", "storage.googleapis.com"],
)  # fmt: skip
def test_shared_hosts_are_never_known_however_popular(host: str) -> None:
    assert LISTS.shared(host)
    assert not LISTS.known(host)


@pytest.mark.parametrize("host", ["google.com", "mail.google.com", "microsoft.com", "github.com", "paypal.com", ""])
def test_what_belongs_to_one_firm_is_not_shared(host: str) -> None:
    assert not LISTS.shared(host)


@pytest.mark.parametrize(
    ("host", "registrable"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("WWW.Example.COM.", "example.com"),
        ("www.münchen.de", "xn--mnchen-3ya.de"),
        ("x.github.io", "x.github.io"),
        ("a.nordhafen.example", "nordhafen.example"),
        ("co.uk", ""),
        ("192.0.2.1", ""),
        ("2001:db8::1", ""),
        ("", ""),
    ],
)
def test_the_registrable_domain(host: str, registrable: str) -> None:
    assert LISTS.registrable(host) == registrable


def test_kinds_of_hosts() -> None:
    assert LISTS.free_mail("GMX.de")
    assert LISTS.free_mail("mailinator.com")
    assert LISTS.disposable("x.mailinator.com")
    assert not LISTS.free_mail("mail.gmx.example")
    assert LISTS.shortener("bit.ly")
    assert not LISTS.shortener("evil-bit.ly")
    assert LISTS.tracking("ctrk.klclick.com")
    assert LISTS.tracking("u123.ct.sendgrid.net")
    assert not LISTS.tracking("sendgrid.net.evil.example")
    assert LISTS.cheap_tld("login.top")
    assert LISTS.cheap_tld("x.my.id")
    assert not LISTS.cheap_tld("top.com")


@pytest.mark.parametrize("host", ["192.0.2.1", "3232235777", "[2001:db8::1]", "2001:db8::1"])
def test_addresses_are_told_from_names(host: str) -> None:
    assert is_ip(host)
    assert not is_ip("a" + host.strip("[]").replace(":", "-"))


def test_strangers_are_seldom_called_known() -> None:
    draw = random.Random(3)
    names = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=18)) + ".com" for _ in range(5000)]

    assert sum(map(LISTS.known, names)) < 5000 * 0.01


def test_the_lists_of_the_package_are_small_and_say_where_they_come_from() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir() if path.is_file()) < 2_500_000
    assert {"tranco", "google-chrome-crux-1million"} <= {source["name"] for source in LISTS.header["sources"]}
    assert all(source["licence"] and source["version"] for source in LISTS.header["sources"])
    assert LISTS.age_days(datetime(2027, 1, 1, tzinfo=UTC)) > 300


@pytest.mark.parametrize("name", HAND_KEPT)
def test_hand_kept_lists_are_lower_case_and_hold_what_they_should(name: str) -> None:
    entries = read_hosts(DATA / f"{name}.txt")

    assert entries
    if name in ("free_mail", "shorteners", "tracking", "shared_hosts"):
        assert [entry for entry in entries if "." not in entry or "/" in entry or entry.startswith(".")] == []


def test_every_list_in_the_folder_is_told_of() -> None:
    told = (DATA / "README.md").read_text(encoding="utf-8")

    assert [path.name for path in DATA.glob("*.txt") if path.name not in told] == []


# -- brands --


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("PayPal Security", "paypal"), ("paypa1", "paypal"), ("РayРal Service", "paypal"),
        ("PaypalSupport", "paypal"),
        ("Micr0soft 365", "microsoft"), ("Netf1ix", "netflix"), ("Wells Fargo Alerts", "wells fargo"),
        ("Sam's Club Rewards", "sams club"), ("DHLExpress", "dhl"), ("secure-paypal.login", "paypal"),
        ("Chase Alerts", "chase"), ("WaImart", "walmart"),
    ],
)  # fmt: skip
def test_borrowed_names_are_found(text: str, brand: str) -> None:
    found = LISTS.brands.named(text)

    assert found is not None
    assert found.name == brand


@pytest.mark.parametrize("text", ["Jane Chase", "Otto Müller", "Amazonas Tours", "Apple Martin", "",
                                  "Target Shooting", "Look at T-Shirts", "upstream", "…", "Wise Owl"])  # fmt: skip
def test_people_and_common_words_are_no_brands(text: str) -> None:
    assert LISTS.brands.named(text) is None


def test_each_brand_is_listed_once() -> None:
    lines = (DATA / "brands.txt").read_text(encoding="utf-8").splitlines()
    names = [skeleton(line.partition(":")[0]) for line in lines if line and not line.startswith("#")]

    assert len(names) > 150
    assert [name for name in set(names) if names.count(name) > 1] == []


def test_bank_domains_become_names(tmp_path: Path) -> None:
    (tmp_path / "brands.txt").write_text("nordhafen: nordhafen.example  # a comment\n=elm: elm.example\n")

    brands = Brands.load(tmp_path / "brands.txt", ["suedhafenbank.example", "mybank.example"], ["alerts"])

    assert len(brands) == 3
    assert brands.named("Suedhafenbank") is not None
    assert brands.named("mybank") is None
    assert brands.named("Elm Alerts") is not None
    assert brands.named("Elm Street") is None


# -- the file --


@given(st.sets(st.text(min_size=1, max_size=12), max_size=300))
def test_a_filter_never_denies_a_member(names: set[str]) -> None:
    made = build_filter(names)

    assert all(name in made for name in names)


def test_a_filter_is_wrong_about_one_stranger_in_256() -> None:
    made = build_filter(f"member{at}" for at in range(20_000))

    wrong = sum(f"stranger{at}" in made for at in range(50_000))

    assert 100 < wrong < 320  # 195 expected
    assert len(made.slots) < 20_000 * 1.25 + 100


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lists.bin"
    write(path, {"built": "2026-01-02"}, {"popular": ["a.example", "b.example"]}, {"banks": ["c.example"]})

    file = FilterFile.open(path)

    assert file.header["built"] == "2026-01-02"
    assert "a.example" in file.filter("popular")
    assert file.lines("banks") == {"c.example"}
    with pytest.raises(ListsError, match="have no dynamic; run `gatepost lists refresh`"):
        file.filter("dynamic")


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: data[:-1], "truncated or damaged"),
        (lambda data: data[: len(data) // 2], "truncated or damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "truncated or damaged"),
        (lambda data: data[:10], "truncated or damaged"),
        (lambda data: b"PK\x03\x04" + data, "not a file of domain lists"),
        (lambda data: b"", "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_the_way_out(tmp_path: Path, damage: object, what: str) -> None:
    path = tmp_path / "lists.bin"
    write(path, {"built": "2026-01-02"}, {"popular": ["a.example"] * 9}, {"banks": ["c.example"]})
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]

    with pytest.raises(ListsError, match=what) as caught:
        DomainLists.load(path)

    assert str(path) in str(caught.value)
    assert "gatepost lists refresh" in str(caught.value)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ListsError, match=r"none\.bin: cannot be read"):
        DomainLists.load(tmp_path / "none.bin")


# -- building and the command --


def small_package(folder: Path) -> None:
    """Lay out lists as the package has them, small."""
    lists = {
        "tranco": ["popular.example", "sub.known.example"], "google-chrome-crux-1million": ["www.crux.example"],
        "moz-top500": ["moz.example"], "university_domains": ["uni.example"], "bank-website": [".hafenbank.example"],
        "disposable-email": ["throwaway.example", "gmail.com"], "dynamic-dns": [".dyn.example"],
    }  # fmt: skip
    for name, members in lists.items():
        (folder / name).mkdir()
        text = json.dumps({"list": members, "version": 20260101 if name != "bank-website" else 8})
        (folder / name / "list.json").write_text(text)


def test_refreshing_derives_the_file_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    small_package(source)
    monkeypatch.setattr(lists_build, "lists_folder", lambda: (source, "9.9"))

    lists_build.refresh(tmp_path / "domains.bin", date(2026, 2, 3), DATA)

    lists = DomainLists.load(tmp_path / "domains.bin")
    known = ["popular.example", "known.example", "crux.example", "moz.example", "uni.example", "hafenbank.example"]
    assert all(map(lists.known, known))
    assert not lists.known("stranger.example")
    assert lists.disposable("throwaway.example")
    assert not lists.disposable("gmail.com")
    assert lists.shared("me.dyn.example")
    assert lists.brands.named("Hafenbank") is not None
    assert lists.age_days(datetime(2026, 1, 11, tzinfo=UTC)) == 10


def test_refreshing_without_the_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymispwarninglists", None)

    result = CliRunner().invoke(main, ["lists", "refresh", "--output", str(tmp_path / "x.bin")])

    assert result.exit_code == 1
    assert "pip install 'gatepost[train]'" in result.output
    assert not (tmp_path / "x.bin").exists()


def test_the_command_shows_sources_and_what_is_known_of_a_domain() -> None:
    sources = CliRunner().invoke(main, ["lists", "show"])
    domains = CliRunner().invoke(main, ["lists", "show", "--json", "paypal.com", "bit.ly"])

    assert "tranco: 1000000 entries" in sources.output
    told = [json.loads(line) for line in domains.output.splitlines()]
    assert [(one["domain"], one["known"], one["shortener"]) for one in told] == [
        ("paypal.com", True, False), ("bit.ly", True, True),
    ]  # fmt: skip


def test_the_command_names_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"GPLIST1\n")

    result = CliRunner().invoke(main, ["lists", "show", "--file", str(tmp_path / "x.bin")])

    assert result.exit_code == 1
    assert "x.bin: truncated or damaged" in result.output

"""Takes people and numbers out of a mail before it is sent: each becomes a placeholder, the same one each time.

What goes: e-mail addresses, telephone, card and account numbers, other numbers of six digits and more, long random
codes, the recipient's name (from To and from the salutation) and the house's own domains. What stays, since it is the
evidence: words, amounts, dates, the domains of senders and links, the sender's display name. Pure; a pattern finds
what it is written for and no more, which is why the teacher belongs in the operator's own house.
"""

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote, urlsplit

from model.extracted import Address, Extracted
from model.leaks.payment_card import luhn
from model.normalise import clean

_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"']{1,2000}|\bwww\.[^\s<>\"']{1,2000}", re.IGNORECASE)
_MAILTO = re.compile(r"\bmailto:[^\s<>\"']{1,2000}", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.+%=-]{1,64}+@[\w-]++(?:\.[\w-]++)*+")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_RUN = re.compile(r"(?<!\d)\+?\(?\d(?:[ ()/.\u2013-]{0,3}\d){5,}+")
_DATE = re.compile(r"\d{4}([-./])\d{1,2}\1\d{1,2}|\d{1,2}([-./])\d{1,2}\2(?:\d{4}|\d\d)")
_YEARS = re.compile(r"(?:19|20)\d\d ?[-/\u2013 ] ?(?:19|20)\d\d")
_DATE_TIME = re.compile(r"(?:\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{4})[ -]{1,3}\d{1,2}(?:\.\d\d)?")
_AMOUNT = re.compile(r"\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3})+(?:\.\d\d)?|\d{1,6}\.\d\d?")
_MONEY_NEAR = re.compile(
    r"(?:[$€£¥₹₽]|\b(?:usd|eur|gbp|chf|euros?|dollars?|pounds?|cny|rmb|inr|jpy|million|mio))\.?", re.IGNORECASE
)
_CODE = re.compile(
    r"(?<![\w/+-])(?=[a-z_+-]{0,60}\d)(?=[0-9_+-]{0,60}[a-z])[a-z0-9_+-]{20,}+={0,2}(?!\w)", re.ASCII | re.IGNORECASE
)
_PATH_CODE = re.compile(r"[A-Za-z0-9_+=~.%-]{16,}")
_GREETING = re.compile(
    r"\b(?i:welcome|thank you|thanks|congratulations|willkommen|danke|glückwunsch|bienvenue|merci|félicitations|"
    r"bienvenid[oa]|gracias|felicidades|benvenut[oa]|grazie|bem-vind[oa]|obrigad[oa]|welkom|bedankt)"
    r"(?: [\w’'-]{1,20}){0,4}, ([A-ZÀ-ÖØ-ÞА-Я][\w’'-]{1,30})[ \t]*(?:[.!,:]|$)",
    re.MULTILINE,
)
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*")
_SALUTATION = re.compile(
    r"^[ \t>]*(?:dear|hi|hello|hey|hallo|moin|liebe[rs]?|sehr geehrte[rs]?|guten (?:tag|morgen|abend)|good "
    r"(?:morning|afternoon|evening|day)|greetings|bonjour|bonsoir|cher|chère|salut|hola|estimad[oa]|querid[oa]|"
    r"buenos días|ciao|gentile|egregi[oa]|buongiorno|car[oa]|spettabile|beste|geachte|olá|prezad[oa]|car[oa]|"
    r"drog[ai]|szanown[aiy]|witaj|здравствуйте|привет|уважаем(?:ый|ая)|добрый день|hej|kære|kära|hei|sayın|merhaba|"
    r"ahoj|dobrý den|vážen[ýá])[ \t,]{1,3}"
    r"(?:(?:herrn?|frau|mrs?|ms|miss|dr|prof|m|mme|sra?|mag|ing|dipl)\b\.?[ \t-]{1,2}){0,4}"
    r"([^\n,;:!.?]{2,60}?)[ \t]*(?:[,;:!.?–-]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_CJK_SALUTATION = re.compile(
    r"^[ \t]*(?:尊敬的|亲爱的)?([\u4e00-\u9fff]{2,4}?)(?:先生|女士|小姐|様|さん|您好)", re.MULTILINE
)
_NOBODY = frozenset(
    """
    a abuse account accounting accounts address admin administrator again all alle an and auf bank billing
    buchhaltung card client clienta cliente clientes clients code colleague colleagues community contact customer
    customers dame damen das de dear der die domain dr e e-mail email everybody everyone familie family folks frau
    friend friends from für geschäftspartner guys hallo hello herr herren herrn hi hostmaster house iban ihr in
    info ing interessent invoice jobs kollege kollegen kolleginnen kontakt kunde kunden kundendienst kundin
    kundinnen leser leserin list m madam madame mag mail mailbox marketing member members mesdames messieurs miss
    mister monsieur mr mrs ms mx my name news newsletter no-reply noreply number office order orders our own owner
    partner phone postfach postmaster press prof professor reader readers rechnung recipient root sales security
    service señor señora shop signor signora sir sirs sr sra staff subscriber subscribers support team teilnehmer
    the there to tous undisclosed user users utente valued van von webmaster welt with world www you your
    """.split()  # noqa: SIM905 - a list of words reads better as text
)
"""Words of salutations, titles and role accounts that are nobody's name, and those of the placeholders."""
_SHORTEST_NAME = 3
_MOST_NAMES = 40
_LOOKED_AT = 20_000  # characters of a text in which a salutation is looked for


class Redactor:
    """Redacts the texts of one mail; equal things have equal placeholders through all of them."""

    def __init__(self, extracted: Extracted, own_domains: Iterable[str], free_mail: Callable[[str], bool]) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        own = {name.lower().rstrip(".") for name in own_domains}
        to = _people(extracted)
        own |= {one.domain for one in to if "." in one.domain and not free_mail(one.domain)}
        ordered = sorted(own, key=lambda name: (-len(name), name))
        self._own = re.compile(
            r"(?<![\w-])(?:[\w-]{1,63}\.){0,5}(" + "|".join(map(re.escape, ordered)) + r")(?![\w-]|\.\w)",
            re.IGNORECASE,
        ) if ordered else None  # fmt: skip
        names = sorted(_names(extracted, to), key=lambda name: (-len(name), name))[:_MOST_NAMES]
        self._names = re.compile("|".join(map(_as_word, names)), re.IGNORECASE) if names else None

    @property
    def counts(self) -> dict[str, int]:
        """How many different things of each kind were taken out so far."""
        return dict(self._counts)

    def text(self, text: str) -> str:
        """Return a text without them, in the letters that a reader takes it for (compatibility forms folded)."""
        text = clean(text)
        text = _URL.sub(lambda match: self.url(match[0]), text)
        text = _MAILTO.sub(lambda match: "mailto:" + self.text(unquote(match[0][7:]).partition("?")[0]), text)
        return self._plain(text)

    def address(self, address: str) -> str:
        """Return the placeholder of an e-mail address."""
        return self._stand_in("ADDRESS", address.lower()) if address else ""

    def url(self, url: str) -> str:
        """Return where a link leads: scheme, host and path. Account, query and fragment carry who is addressed."""
        bare = url.rstrip(").,;:!?")
        url, end = bare, url[len(bare) :]
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "<LINK>"
        path = unquote(parts.path)
        path = _PATH_CODE.sub(self._path_code, self._plain(path))
        rest = "?…" if parts.query else ""
        place = self.host(host) + (f":{port}" if port else "")
        scheme = f"{parts.scheme.lower()}://" if "://" in url else ""
        return f"{scheme}{place}{path if path != '/' else ''}{rest}{'' if rest else end}"

    def host(self, host: str) -> str:
        """Return a domain; one of the house's own by its placeholder."""
        return self._own.sub(self._own_domain, host) if self._own else host

    def _plain(self, text: str) -> str:
        text = _ADDRESS.sub(lambda match: self._stand_in("ADDRESS", match[0].lower()), text)
        text = _IBAN.sub(lambda match: self._stand_in("IBAN", re.sub(r"[ -]", "", match[0])), text)
        text = _RUN.sub(self._number, text)
        text = _CODE.sub(lambda match: self._stand_in("CODE", match[0]), text)
        if self._own:
            text = self._own.sub(self._own_domain, text)
        if self._names:
            text = self._names.sub(lambda match: self._stand_in("NAME", match[0].casefold()), text)
        return text

    def _number(self, match: re.Match[str]) -> str:
        written = match[0]
        digits = "".join(str(int(char)) for char in written if char.isdecimal())
        if _DATE.fullmatch(written) or _YEARS.fullmatch(written) or _DATE_TIME.fullmatch(written):
            return written
        if _AMOUNT.fullmatch(written) and self._is_amount(match):
            return written
        if 13 <= len(digits) <= 19 and luhn(digits):
            return self._stand_in("CARD", digits)
        apart = len(digits) != len(written)
        dialled = written.startswith(("+", "(")) or (digits.startswith("0") and len(digits) <= 15)
        phone = len(digits) >= 7 and dialled
        if not phone and apart and max(map(len, re.findall(r"\d+", written))) < 3:
            return written  # a row of small figures, such as a table or a score
        return self._stand_in("PHONE" if phone else "NUMBER", digits)

    @staticmethod
    def _is_amount(match: re.Match[str]) -> bool:
        before, after = match.string[max(0, match.start() - 8) : match.start()], match.string[match.end() :][:10]
        return bool(_MONEY_NEAR.search(before) or _MONEY_NEAR.search(after)) or bool(re.match(r",\d\d\b", after))

    def _path_code(self, match: re.Match[str]) -> str:
        text = match[0]
        digits = sum(char.isdigit() for char in text)
        upper = sum(char.isupper() for char in text)
        random = len(text) >= 24 and ("-" not in text and "." not in text)
        return self._stand_in("CODE", text) if digits >= 4 or upper >= 4 or random else text

    def _own_domain(self, match: re.Match[str]) -> str:
        return self._stand_in("OWN DOMAIN", match[1].lower())

    def _stand_in(self, kind: str, value: str) -> str:
        found = self._known.get((kind, value))
        if found is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            found = self._known[kind, value] = f"<{kind} {self._counts[kind]}>"
        return found


def _people(extracted: Extracted) -> list[Address]:
    """Return the addresses of To but for that of a mailing list (RFC 2919), which names no recipient."""
    listed = extracted.headers.get("list-id", "").lower()
    return [one for one in extracted.to if not (listed and one.local and one.local.lower() in listed)]


def _names(extracted: Extracted, to: Iterable[Address]) -> set[str]:
    """Return the words that name a recipient: of To, whole local parts among them, and of salutations."""
    texts, whole = [], set()
    for one in to:
        local = one.local.partition("+")[0]
        texts += [one.display.rpartition("@")[0] or one.display, re.sub(r"[\d._-]+", " ", local)]
        whole.add(clean(local).casefold())
    body = clean(extracted.text)[:_LOOKED_AT]
    for pattern in (_SALUTATION, _CJK_SALUTATION, _GREETING):
        texts += [match[1] for match in pattern.finditer(body)]
    words = {word.casefold() for text in texts for word in _WORD.findall(clean(text))}
    long = {word for word in words | whole if len(word) >= _SHORTEST_NAME or (word and not word.isascii())}
    return long - _NOBODY


def _as_word(name: str) -> str:
    """Return a pattern for a name that is a word of its own; Chinese and Japanese do not part words."""
    return re.escape(name) if _IDEOGRAPH.search(name) else rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"

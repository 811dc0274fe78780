"""HTML made harmless to parse: what costs a parser quadratic time is cut before it sees it."""

import re

from model.extracted import Limits

# A tag up to its end: quotes count only after an equals sign. Possessive, hence linear.
_TAG = re.compile(r"<[a-zA-Z/](?:[^>\"'=]++|=\s*+(?:\"[^\"]*+\"?|'[^']*+'?)?|[\"'])*+>?")
_SEPARATORS = re.compile(r"[\s/]+|[\"'](?=[^\s>/])")
_ATTRIBUTE = re.compile(r"[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>\"'][^\s>]*+)?)?")
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:]{0,30})")
_FEW_TAGS = 600
_DEPTH = 600
_FORMATTING = frozenset({
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
})
_FORMATTING_DEPTH = 60
_CLOSED_BY_OTHERS = frozenset({
    "area", "base", "body", "br", "col", "dd", "dt", "embed", "head", "hr", "html", "img", "input", "li", "link",
    "meta", "optgroup", "option", "p", "param", "script", "source", "style", "tbody", "td", "textarea", "tfoot", "th",
    "thead", "title", "tr", "track", "wbr",
})


def tame(html: str, limits: Limits) -> tuple[str, list[str]]:
    """Return HTML within `limits` and the codes of what was cut.

    Costs: a tag with n attributes takes n^2 (duplicates are looked for), n open elements take n^2 (the stack is
    searched for each start tag), and open formatting elements are built again in every block.
    """
    defects: list[str] = []
    if len(html) > limits.html_bytes:
        defects.append("html-too-large")
        half = limits.html_bytes // 2
        html = html[:half] + "\n" + html[-half:]
    if html.count("<") <= _FEW_TAGS and not _long_tag(html, limits):
        return html, defects
    pruner = _Pruner(html, limits)
    html = pruner.run()
    return html, defects + pruner.defects


class _Pruner:
    """Copies HTML without the attributes and start tags that are too many."""

    def __init__(self, html: str, limits: Limits) -> None:
        self.html = html
        self.limits = limits
        self.defects: list[str] = []
        self.out: list[str] = []
        self.at = 0
        self.open: dict[str, int] = {}
        self.deep = self.formatting = 0

    def run(self) -> str:
        for match in _TAG.finditer(self.html):
            tag = match[0]
            if len(tag) > 2 * self.limits.html_attributes and _attributes(tag) > self.limits.html_attributes:
                tag = _few_attributes(tag, self.limits.html_attributes)
                self._instead(match, tag, "html-attributes")
            name = _NAME.match(tag)
            if name is not None:
                self._count(match, tag, name[1].lower())
        self.out.append(self.html[self.at :])
        return "".join(self.out)

    def _instead(self, match: re.Match[str], text: str, code: str) -> None:
        self.out += (self.html[self.at : match.start()], text)
        self.at = match.end()
        if code not in self.defects:
            self.defects.append(code)

    def _count(self, match: re.Match[str], tag: str, name: str) -> None:
        if name in _CLOSED_BY_OTHERS:
            return
        formats = name in _FORMATTING
        if tag[1] == "/":
            if self.open.get(name):
                self.open[name] -= 1
                self.deep -= 1
                self.formatting -= formats
            return
        if self.deep >= _DEPTH or (formats and self.formatting >= _FORMATTING_DEPTH):
            if self.at <= match.start():
                # Content stays; only the nesting goes. A link is kept as a link that closes itself.
                keep = f"{tag}</a>" if name == "a" and tag.endswith(">") and len(tag) < 2000 else " "
                self._instead(match, keep, "html-nesting")
            return
        self.open[name] = self.open.get(name, 0) + 1
        self.deep += 1
        self.formatting += formats


def _long_tag(html: str, limits: Limits) -> bool:
    """Whether any gap between two `<` could hold more attributes than the limit (each takes two octets)."""
    size = 2 * limits.html_attributes
    return len(html) > size and (len(html) > 200_000 or any(len(m[0]) > size for m in _TAG.finditer(html)))


def _attributes(tag: str) -> int:
    """Count the attributes; exactly only where a cheap upper bound is high."""
    most = len(_SEPARATORS.findall(tag))
    return most if most < 200 else sum(1 for _ in _ATTRIBUTE.finditer(tag, 2))


def _few_attributes(tag: str, limit: int) -> str:
    name = _NAME.match(tag)
    at = name.end() if name else 2
    for kept, match in enumerate(_ATTRIBUTE.finditer(tag, at), 1):
        if kept >= min(limit, 100):
            return tag[: match.end()] + ">"
    return tag

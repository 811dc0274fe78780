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
_FORMATTING = frozenset({"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"})
_FORMATTING_DEPTH = 60
_CLOSED_BY_OTHERS = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr", "p",
    "li", "dd", "dt", "option", "optgroup", "tr", "td", "th", "tbody", "thead", "tfoot", "html", "body", "head",
    "script", "style", "title", "textarea",
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
    out: list[str] = []
    at = 0
    open_tags: dict[str, int] = {}
    deep = formatting = 0
    for match in _TAG.finditer(html):
        tag = match[0]
        if len(tag) > 2 * limits.html_attributes and _attributes(tag) > limits.html_attributes:
            out += (html[at : match.start()], _few_attributes(tag, limits.html_attributes))
            at = match.end()
            if "html-attributes" not in defects:
                defects.append("html-attributes")
        name_match = _NAME.match(tag)
        name = name_match[1].lower() if name_match else ""
        if not name or name in _CLOSED_BY_OTHERS:
            continue
        is_formatting = name in _FORMATTING
        if tag[1] == "/":
            if open_tags.get(name):
                open_tags[name] -= 1
                deep -= 1
                formatting -= is_formatting
            continue
        if deep >= _DEPTH or (is_formatting and formatting >= _FORMATTING_DEPTH):
            if at <= match.start():
                # Content stays; only the nesting goes. A link is kept as a link that closes itself.
                keep = f"{tag}</a>" if name == "a" and tag.endswith(">") and len(tag) < 2000 else " "
                out += (html[at : match.start()], keep)
                at = match.end()
            if "html-nesting" not in defects:
                defects.append("html-nesting")
            continue
        open_tags[name] = open_tags.get(name, 0) + 1
        deep += 1
        formatting += is_formatting
    out.append(html[at:])
    return "".join(out), defects


def _long_tag(html: str, limits: Limits) -> bool:
    """Whether any gap between two `<` could hold more attributes than the limit (each takes two octets)."""
    size = 2 * limits.html_attributes
    return len(html) > size and (len(html) > 200_000 or any(len(m[0]) > size for m in _TAG.finditer(html)))


def _attributes(tag: str) -> int:
    return len(_SEPARATORS.findall(tag))


def _few_attributes(tag: str, limit: int) -> str:
    name = _NAME.match(tag)
    at = name.end() if name else 2
    kept = 0
    for match in _ATTRIBUTE.finditer(tag, at):
        kept += 1
        if kept >= min(limit, 100):
            return tag[: match.end()] + ">"
    return tag

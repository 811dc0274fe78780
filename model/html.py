"""HTML as a reader sees it: visible text, hidden text and links, from a lexbor tree (https://html.spec.whatwg.org).

The walk is iterative. A text is hidden if the element or one around it is not displayed, invisible, transparent,
tiny, off the screen, cut to nothing, or in (nearly) the colour of what is behind it.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from model import css, urls
from model.charset import clean
from model.extracted import Limits, Link
from model.tame_html import tame

_SKIPPED = frozenset({
    "head", "title", "script", "style", "template", "noembed", "noframes", "-comment", "-document_type",
})
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "center", "dd", "details", "dialog", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hr", "legend", "li", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre", "section", "summary",
    "table", "tbody", "tfoot", "thead", "tr", "ul",
})
_CELLS = frozenset({"td", "th", "button", "select", "input", "textarea", "img"})
_SOURCES = {
    "img": ("src", "image"), "image": ("href", "image"), "input": ("src", "image"), "source": ("src", "image"),
    "iframe": ("src", "frame"), "frame": ("src", "frame"), "embed": ("src", "frame"), "object": ("data", "frame"),
    "video": ("src", "frame"), "area": ("href", "area"), "form": ("action", "form"), "button": ("formaction", "form"),
    "link": ("href", "style"),
}
NODES = 300_000
_UNSHOWN_INPUTS = frozenset({"hidden", "password", "checkbox", "radio"})
_NEAR = 12
_SPACES = re.compile(r"[ \t\r\n\f\xa0\u2000-\u200a\u202f\u205f\u3000]+")
_BLANKS = re.compile(r" {2,}")
_BREAKS = re.compile(r" *\n[ \n]*")
# What fills the preview line of a mail list behind a preheader: it says nothing.
_FILLER = re.compile("[\xad\u034f\u115f\u200b-\u200f\u2060-\u2064\ufeff\u2800]+")
_REFRESH = re.compile(r"url\s*=\s*[\"']?([^\"'>]{1,2000})", re.IGNORECASE)
_WHITE: css.Colour = (255, 255, 255)
_BLACK: css.Colour = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class _State:
    """What is inherited. `ground` is None where a picture makes colours unknowable."""

    gone: bool = False
    invisible: bool = False
    tiny: bool = False
    colour: css.Colour = _BLACK
    clear: bool = False
    ground: css.Colour | None = _WHITE
    faded: bool = False

    @property
    def unseen(self) -> bool:
        """Whether not even a picture can be seen."""
        return self.gone or self.invisible

    @property
    def hidden(self) -> bool:
        """Whether text cannot be seen."""
        return self.unseen or self.tiny or self.clear or self.faded


@dataclass(slots=True)
class _Anchor:
    href: str
    state: _State
    shown: list[str] = field(default_factory=list)
    images: bool = False
    visible: bool = False


@dataclass(slots=True)
class Page:
    """What one HTML text holds."""

    text: str = ""
    hidden: str = ""
    links: list[Link] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    nodes: int = 0


def read_html(html: str, limits: Limits, nodes: int = NODES) -> Page:
    """Read one HTML text within `limits` and at most `nodes` nodes; never raises for what is in it."""
    html, defects = tame(html, limits)
    reader = _Reader(LexborHTMLParser(html), html, limits, nodes)
    reader.walk()
    page = reader.page
    page.defects[:0] = defects
    page.text = _tidy(reader.visible)
    page.hidden = _BLANKS.sub(" ", _FILLER.sub(" ", _tidy(reader.hidden))).strip()
    return page


def _tidy(pieces: list[str]) -> str:
    """Join texts: white space is one blank, and a mark of a block's edge is one line feed."""
    flat = _SPACES.sub(" ", "".join(pieces)).replace("\x01", "\n")
    return clean(_BREAKS.sub("\n", flat)).strip()


class _Reader:
    def __init__(self, parser: Any, html: str, limits: Limits, nodes: int) -> None:
        self.page = Page()
        self.nodes = nodes
        self.limits = limits
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.sheet = css.Sheet()
        self.base = ""
        self.root = parser.root
        lower = html.lower()
        if "<style" in lower:
            for node in parser.css("style")[:50]:
                self.sheet.add(node.text() or "")
            if self.sheet.cut:
                self.page.defects.append("style-too-large")
        if "<base" in lower:
            found = parser.css_first("base[href]")
            self.base = urls.clean(found.attributes.get("href") or "")[0] if found else ""
        if "refresh" in lower:
            for node in parser.css("meta[content]")[:50]:
                self._refresh(node.attributes)

    def _refresh(self, attributes: dict[str, str | None]) -> None:
        if (attributes.get("http-equiv") or "").strip().lower() == "refresh":
            match = _REFRESH.search((attributes.get("content") or "")[:4096])
            if match:
                self._link(match[1], "", "frame", hidden=False)

    def _link(self, href: str, shown: str, kind: str, *, hidden: bool) -> None:
        if len(self.page.links) >= self.limits.links:
            if "links-too-many" not in self.page.defects:
                self.page.defects.append("links-too-many")
            return
        address, host = urls.clean(href, self.base)
        if not address or (kind in {"image", "style"} and not host):
            return
        shown = " ".join(clean(shown).split())[:1000]
        self.page.links.append(Link(clean(address), host, shown, kind, hidden))

    def walk(self) -> None:
        """Visit every node once, in document order."""
        stack: list[tuple[Any, _State, _Anchor | None]] = []
        node, state, anchor = self.root, _State(), None
        while True:
            self.page.nodes += 1
            if self.page.nodes > self.nodes:
                self.page.defects.append("html-too-large")
                return
            child, inner, inside = self._enter(node, state, anchor)
            if child is not None:
                stack.append((node, state, anchor))
                node, state, anchor = child, inner, inside
                continue
            if inside is not anchor and inside is not None:
                self._end(inside)
            while (following := node.next) is None:
                if not stack:
                    return
                node, state, outer = stack.pop()
                if anchor is not None and anchor is not outer:
                    self._end(anchor)
                anchor = outer
                if node.tag in _BLOCKS:
                    self._break("\x01")
            node = following

    def _enter(self, node: Any, state: _State, anchor: _Anchor | None) -> tuple[Any, _State, _Anchor | None]:
        """Take in a node; return its first child, and the state and anchor that hold inside it."""
        tag = node.tag
        if tag == "-text":
            self._text(node.text_content or "", state, anchor)
            return None, state, anchor
        if tag in _SKIPPED:
            return None, state, anchor
        if tag in _BLOCKS:
            self._break("\x01")
        elif tag in _CELLS:
            self._break(" ")
        attributes = node.attributes
        if attributes or self.sheet.size:
            state = self._styled(tag, attributes, state)
        if attributes:
            if tag == "a":
                href = attributes.get("href") or attributes.get("xlink:href")
                anchor = _Anchor(href, state) if href else anchor
            elif tag in _SOURCES:
                self._source(tag, attributes, state, anchor)
            if attributes.get("background"):
                self._link(attributes["background"], "", "style", hidden=state.unseen)
        return node.child, state, anchor

    def _break(self, mark: str) -> None:
        self.visible.append(mark)
        if self.hidden and self.hidden[-1] != mark:
            self.hidden.append(mark)

    def _text(self, text: str, state: _State, anchor: _Anchor | None) -> None:
        if state.hidden:
            if not text.isspace():
                self.hidden.append(text)
            return
        self.visible.append(text)
        if anchor is not None:
            anchor.shown.append(text)
            anchor.visible = True

    def _styled(self, tag: str, attributes: dict[str, str | None], state: _State) -> _State:
        style = css.NOTHING
        if self.sheet.size:
            style = self.sheet.style(tag, attributes.get("class") or "", attributes.get("id") or "")
        inline = attributes.get("style")
        if inline:
            own = css.parse_style(inline[: css.STYLE_CHARS])
            style = css.merge(style, own)
            for url in own.urls:
                self._link(url, "", "style", hidden=state.unseen)
        hidden = "hidden" in attributes
        paint, ink = attributes.get("bgcolor"), attributes.get("color" if tag == "font" else "text")
        if "background" in attributes and tag in {"body", "table", "td", "tr", "th"}:
            style = css.merge(style, css.Style(picture=True))
        if style is css.NOTHING and not hidden and not paint and not ink and tag != "font":
            return state
        ground = style.background or (css.colour(paint)[0] if paint else None)
        colour = style.colour or (css.colour(ink)[0] if ink else None)
        return _inherit(state, style, ground, colour, hidden=hidden)

    def _end(self, anchor: _Anchor) -> None:
        shown = "".join(anchor.shown)
        seen = anchor.images or (anchor.visible and bool(shown.strip()))
        self._link(anchor.href, shown, "anchor", hidden=anchor.state.unseen or not seen)

    def _source(self, tag: str, attributes: dict[str, str | None], state: _State, anchor: _Anchor | None) -> None:
        name, kind = _SOURCES[tag]
        alt = (attributes.get("alt") or "") if tag in {"img", "area", "input"} else ""
        if tag == "img" and not state.unseen:
            if alt.strip():
                # It stands for a picture, whatever the size and colour of text are in this place.
                self.visible += (alt, " ")
                if anchor is not None:
                    anchor.shown.append(alt)
            if anchor is not None:
                anchor.images = True
        if tag == "input":
            value = attributes.get("value") or attributes.get("placeholder") or ""
            if value.strip() and (attributes.get("type") or "").lower() not in _UNSHOWN_INPUTS:
                self._text(value, state, anchor)
        href = attributes.get(name) or attributes.get("xlink:href")
        if href:
            self._link(href, alt, kind, hidden=state.unseen)


def _inherit(state: _State, style: css.Style, ground: css.Colour | None, colour: css.Colour | None,
             *, hidden: bool) -> _State:
    behind = state.ground
    if style.picture:
        behind = None
    elif ground is not None:
        behind = ground
    ink = colour or state.colour
    return _State(
        gone=state.gone or style.gone or (hidden and not style.shown),
        invisible=state.invisible if style.visibility is None else not style.visibility,
        tiny=state.tiny if style.tiny is None else style.tiny,
        colour=ink,
        clear=style.transparent or (state.clear and colour is None),
        ground=behind,
        faded=behind is not None and all(abs(a - b) <= _NEAR for a, b in zip(ink, behind, strict=True)),
    )

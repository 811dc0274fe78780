"""The little of CSS that decides whether a reader can see a text, from `style` attributes and `<style>` elements.

Only rules with one simple selector (`tag`, `.class`, `#id`, `tag.class`) are applied, outside of media queries:
enough for what hides text in mail, and linear. Written by hand since a full parser takes longer than the rest of
the extraction.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

STYLE_CHARS = 4096
SHEET_CHARS = 256 * 1024
CACHED_CHARS = 300
RULES = 2_000

Colour = tuple[int, int, int]

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})\s?|\\(.)", re.DOTALL)
_BRACES = re.compile(r"[{}]")
_SELECTOR = re.compile(r"([a-z][a-z0-9]*|\*)?((?:\.[\w-]+|#[\w-]+)?)$", re.IGNORECASE)
_NUMBER = re.compile(r"(-?\d*\.?\d+)\s*([a-z%]*)")
_FUNCTION = re.compile(r"(rgba?|hsla?)\(([^)]{1,80})\)")
_URL = re.compile(r"""url\(\s*["']?([^"')]{1,2000})""", re.IGNORECASE)
_INTERESTING = re.compile(
    r"display|visib|font|opacity|color|colour|background|height|width|position|indent|clip|transform|left|top|margin",
    re.IGNORECASE,
)
_NAMED: dict[str, Colour] = {
    "black": (0, 0, 0), "white": (255, 255, 255), "red": (255, 0, 0), "lime": (0, 255, 0), "green": (0, 128, 0),
    "blue": (0, 0, 255), "yellow": (255, 255, 0), "gray": (128, 128, 128), "grey": (128, 128, 128),
    "silver": (192, 192, 192), "navy": (0, 0, 128), "maroon": (128, 0, 0), "purple": (128, 0, 128),
    "teal": (0, 128, 128), "olive": (128, 128, 0), "aqua": (0, 255, 255), "cyan": (0, 255, 255),
    "fuchsia": (255, 0, 255), "magenta": (255, 0, 255), "orange": (255, 165, 0), "whitesmoke": (245, 245, 245),
    "snow": (255, 250, 250), "ivory": (255, 255, 240), "ghostwhite": (248, 248, 255), "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211), "gainsboro": (220, 220, 220), "azure": (240, 255, 255), "linen": (250, 240, 230),
    "floralwhite": (255, 250, 240), "mintcream": (245, 255, 250), "darkgray": (169, 169, 169),
    "darkgrey": (169, 169, 169), "dimgray": (105, 105, 105), "darkblue": (0, 0, 139), "darkgreen": (0, 100, 0),
}
_POINTS = {"px": 1.0, "": 1.0, "pt": 1.33, "em": 16.0, "rem": 16.0, "%": 0.16, "ex": 8.0, "cm": 37.8, "mm": 3.8,
           "in": 96.0, "vw": 6.0, "vh": 8.0, "ch": 8.0, "pc": 16.0, "q": 0.94}
_FAR = -400.0


@dataclass(frozen=True, slots=True)
class Style:
    """What a set of declarations says about visibility; None or False where it says nothing."""

    gone: bool = False
    """No reader sees it nor anything inside it."""
    shown: bool = False
    """`display` was set to something else than none."""
    visibility: bool | None = None
    tiny: bool | None = None
    """The font is at most 1 px."""
    colour: Colour | None = None
    transparent: bool = False
    background: Colour | None = None
    picture: bool = False
    """There is a background image or gradient, so that nothing can be said of colours above it."""
    urls: tuple[str, ...] = ()


NOTHING = Style()


def colour(text: str) -> tuple[Colour | None, bool]:
    """Return (red, green, blue) of a CSS or HTML colour or None, and whether it is fully transparent."""
    text = text.strip().lower()
    if text.startswith("#"):
        digits = text[1:9]
        if len(digits) in {3, 4}:
            digits = "".join(c * 2 for c in digits)
        try:
            return (int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)), digits[6:8] == "00"
        except ValueError:
            return None, False
    if text in _NAMED:
        return _NAMED[text], False
    if text == "transparent":
        return None, True
    match = _FUNCTION.match(text)
    return _function(match[1], match[2]) if match else (None, False)


def _function(name: str, arguments: str) -> tuple[Colour | None, bool]:
    numbers = [(float(n) if n not in {".", "-."} else 0.0, unit) for n, unit in _NUMBER.findall(arguments)]
    if len(numbers) < 3:
        return None, False
    clear = len(numbers) > 3 and numbers[3][0] <= 0.05
    if name.startswith("hsl"):
        light = numbers[2][0] / 100
        level = round(255 * light)
        return ((level, level, level) if light in {0.0, 1.0} or numbers[1][0] == 0 else None), clear
    values = [min(255, max(0, round(n * 2.55 if unit == "%" else n))) for n, unit in numbers[:3]]
    return (values[0], values[1], values[2]), clear


def _length(text: str) -> float | None:
    match = _NUMBER.match(text)
    if match is None:
        return None
    return float(match[1]) * _POINTS.get(match[2], 1.0)


def parse_style(text: str) -> Style:
    """Read the declarations of a `style` attribute or of one rule."""
    return _cached(text) if len(text) <= CACHED_CHARS else _parse(text)


@lru_cache(maxsize=4096)
def _cached(text: str) -> Style:
    return _parse(text)


def _parse(text: str) -> Style:
    if "/*" in text:
        text = _COMMENT.sub("", text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    if not _INTERESTING.search(text):
        return NOTHING
    urls = tuple(_URL.findall(text)[:5]) if "(" in text else ()
    if urls:
        text = _URL.sub("url(x", text)
    found: dict[str, str] = {}
    for piece in text.lower().split(";"):
        name, colon, value = piece.partition(":")
        if colon:
            found[name.strip()] = value.replace("!important", "").strip()
    return _read(found, urls)


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        return chr(code) if 0 < code < 0xD800 else ""
    return match[2]


def _read(found: dict[str, str], urls: tuple[str, ...]) -> Style:
    display = found.get("display", "")
    visibility = found.get("visibility")
    size = found.get("font-size")
    if size is None and "font" in found:
        size = next((w.partition("/")[0] for w in found["font"].split() if w[:1].isdigit()), None)
    points = _length(size) if size else None
    text_colour, clear = colour(found["color"]) if "color" in found else (None, False)
    paint = found.get("background-color") or found.get("background") or ""
    ground = _ground(paint)
    return Style(
        gone=display == "none" or _gone(found),
        shown=bool(display) and display != "none",
        visibility=None if visibility is None else visibility not in {"hidden", "collapse"},
        tiny=None if points is None else points <= 1.34,
        colour=text_colour,
        transparent=clear or found.get("-webkit-text-fill-color") == "transparent",
        background=ground,
        picture=bool(urls) or "gradient" in paint or "background-image" in found,
        urls=urls,
    )


def _ground(paint: str) -> Colour | None:
    if not paint:
        return None
    whole, clear = colour(paint)
    if whole is not None and not clear:
        return whole
    function = _FUNCTION.search(paint)
    words = [function[0]] if function else paint.split()
    for word in words[:6]:
        value, clear = colour(word)
        if value is not None and not clear:
            return value
    return None


def _gone(found: dict[str, str]) -> bool:
    """Whether any of the ways to hide an element without `display: none` is used."""
    opacity = found.get("opacity")
    if opacity and (_length(opacity) or 0.0) <= 0.05 and opacity[0] in "0.":
        return True
    if found.get("overflow", "").startswith("hidden") or found.get("overflow-y") == "hidden":
        for name in ("max-height", "max-width", "height", "width"):
            value = _length(found[name]) if name in found else None
            if (value is not None and value <= 1.0 and not found[name].startswith("1")) or found.get(name) == "1px":
                return True
    for name in ("text-indent", "margin-left", "margin-top", "left", "top", "right"):
        value = _length(found[name]) if name in found else None
        if value is not None and value <= _FAR and ((name[0] in "tm" and name != "top") or "position" in found):
            return True
    clip = found.get("clip", "").replace(" ", "").replace("px", "")
    if clip.startswith(("rect(0,0,0,0", "rect(1,1,1,1")) or "inset(50%" in found.get("clip-path", ""):
        return True
    return "scale(0)" in found.get("transform", "").replace(" ", "")


class Sheet:
    """The rules of all `<style>` elements that can be applied by looking at one element."""

    def __init__(self) -> None:
        self.rules: dict[str, list[tuple[str, Style]]] = {}
        self.size = 0
        self.cut = False

    def add(self, text: str) -> None:
        """Read one style sheet; later rules win."""
        if len(text) > SHEET_CHARS:
            self.cut = True
            text = text[:SHEET_CHARS]
        text = _COMMENT.sub("", text).replace("<!--", "").replace("-->", "")
        depth, at, selector = 0, 0, ""
        for match in _BRACES.finditer(text):
            if match[0] == "{":
                if not depth:
                    selector, at = text[at : match.start()], match.end()
                depth += 1
                continue
            depth = max(0, depth - 1)
            if not depth:
                if self.size >= RULES:
                    self.cut = True
                    return
                body, at = text[at : match.start()], match.end()
                self._rule(selector, body)

    def _rule(self, selector: str, body: str) -> None:
        selector = selector.strip().rpartition(";")[2].strip()
        if selector.startswith("@") or "{" in body or len(body) > STYLE_CHARS or len(selector) > 2000:
            return
        style = parse_style(body)
        if style is NOTHING or style == NOTHING:
            return
        for one in selector.split(","):
            match = _SELECTOR.match(one.strip())
            if match is None or not match[0]:
                continue
            self.size += 1
            tag = (match[1] or "*").lower()
            key = match[2] or tag
            self.rules.setdefault(key, []).append((tag, style))

    def style(self, tag: str, classes: str, name: str) -> Style:
        """Return what the rules say of an element, by its tag, `class` and `id` attributes."""
        result = NOTHING
        keys = ["*", tag]
        if classes:
            keys += ["." + c for c in classes.split()[:20]]
        if name:
            keys.append("#" + name)
        for key in keys:
            for wanted, style in self.rules.get(key, ())[-20:]:
                if wanted in {"*", tag}:
                    result = merge(result, style)
        return result


def merge(below: Style, above: Style) -> Style:
    """Return `above` where it says something, else `below`."""
    if below is NOTHING or below == NOTHING:
        return above
    if above is NOTHING:
        return below
    return replace(
        above,
        gone=above.gone or (below.gone and not above.shown),
        shown=above.shown or below.shown,
        visibility=below.visibility if above.visibility is None else above.visibility,
        tiny=below.tiny if above.tiny is None else above.tiny,
        colour=below.colour if above.colour is None else above.colour,
        transparent=above.transparent or (below.transparent and above.colour is None),
        background=below.background if above.background is None else above.background,
        picture=above.picture or below.picture,
    )

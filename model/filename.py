"""What a file name hides: the kind of file that opens is not the one a person reads."""

import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\xad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_PADDED = re.compile(r"\s{4,}\S|\.\s+\S{1,5}$|[. ]+$")
_LAST = re.compile(r"\.([A-Za-z0-9]{1,8})[\s.]*$")
_BEFORE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|txt|rtf|jpe?g|png|gif|bmp|tiff?|mp[34]|csv|odt|ods|eml|msg|zip)[\s._-]*$",
    re.IGNORECASE,
)
RISKY = frozenset({
    "ace", "ade", "adp", "apk", "app", "appx", "arj", "bat", "chm", "cmd", "com", "cpl", "dll", "dmg", "docm", "dotm",
    "exe", "hta", "htm", "html", "img", "ins", "iso", "isp", "jar", "js", "jse", "lib", "lnk", "mde", "msc", "msi",
    "msix", "msp", "mst", "nsh", "one", "pif", "pptm", "ps1", "reg", "scr", "sct", "shb", "shtml", "svg", "sys",
    "url", "vb", "vbe", "vbs", "vhd", "vhdx", "vxd", "wsc", "wsf", "wsh", "xhtml", "xlam", "xll", "xlsm",
})


def defects(name: str) -> list[str]:
    """Return ["deceptive-filename"] for a name that misleads its reader, else nothing."""
    if not name:
        return []
    last = _LAST.search(name)
    double = last is not None and last[1].lower() in RISKY and _BEFORE.search(name[: last.start()]) is not None
    return ["deceptive-filename"] if double or _CONTROL.search(name) or _PADDED.search(name) else []

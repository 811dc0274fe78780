"""Who is at the keyboard: the login uid, which neither sudo nor su changes, else the real uid.

Never an argument and never the environment: a record of who did what is worth nothing if its author picks it.
"""

import os
import pwd
from pathlib import Path

_LOGIN_UID = Path("/proc/self/loginuid")
_UNSET = 2**32 - 1


def login_uid(source: Path = _LOGIN_UID) -> int:
    """Return the uid that logged in (set by pam_loginuid); the real uid where nobody did, as in a container."""
    try:
        uid = int(source.read_text())
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if uid == _UNSET else uid


def logged_in(source: Path = _LOGIN_UID) -> bool:
    """Tell whether somebody logged in, so that this is no timer's or service's doing."""
    try:
        return int(source.read_text()) != _UNSET
    except (OSError, ValueError):
        return False


def reviewer() -> str:
    """Return the reviewer's account name, or `uid N` where the account is gone."""
    uid = login_uid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"

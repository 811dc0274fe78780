"""What has to stand before the first worker starts: folders, the lock, the account we run as."""

import fcntl
import grp
import os
import pwd
from pathlib import Path

from milter.settings import GatewaySettings

LOCK_FILE = "serve.lock"


class StartError(Exception):
    """The gateway cannot start; the text says what is wrong and what to do."""


def make_folders(settings: GatewaySettings) -> None:
    """Make the folders for state and spool with mode 0700, owned by `user`. Raises StartError."""
    account = account_of(settings.user)
    for key, folder in (("state_dir", settings.state_dir), ("spool_dir", settings.spool_dir)):
        try:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)
                if account is not None and os.geteuid() == 0:
                    os.chown(folder, account.pw_uid, account.pw_gid)
        except OSError as error:
            raise StartError(f"gateway.{key}: cannot make {folder}: {error.strerror}") from None


def check_writable(settings: GatewaySettings) -> None:
    """Raise StartError if the account that we run as now cannot write to the folders."""
    for key, folder in (("state_dir", settings.state_dir), ("spool_dir", settings.spool_dir)):
        if not os.access(folder, os.W_OK | os.X_OK):
            who = pwd.getpwuid(os.geteuid()).pw_name
            raise StartError(f"gateway.{key}: {folder} cannot be written by {who}; change its owner or the setting")


def take_lock(state_dir: Path) -> int:
    """Return the descriptor of a lock that ends with this process. Raises StartError if another one has it."""
    path = state_dir / LOCK_FILE
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StartError(f"{path}: another gatepost serve (process {owner}) uses this state_dir; "
                         "stop it, or give this one a state_dir of its own") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def account_of(user: str) -> pwd.struct_passwd | None:
    """Return the account to run as; None to stay as we are. Raises StartError if there is none of that name."""
    if not user:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise StartError(f'gateway.user: there is no account "{user}" on this machine') from None


def drop_privileges(user: str) -> None:
    """Become `user` for good: groups first, then group, then user. Raises StartError."""
    account = account_of(user)
    if account is None or account.pw_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise StartError(f'gateway.user: only root can change to "{user}"; start as root or leave the key empty')
    groups = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    os.setgroups(sorted({account.pw_gid, *groups}))
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)

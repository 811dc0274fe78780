"""Who is on record: the login uid, else the real uid."""

import os
import pwd

import pytest

from quarantine.reviewer import login_uid, reviewer


def test_the_login_uid_counts(tmp_path):
    (tmp_path / "loginuid").write_text("1234")

    assert login_uid(tmp_path / "loginuid") == 1234


@pytest.mark.parametrize("content", ["4294967295", "", "x", None])
def test_without_a_login_the_real_uid_counts(tmp_path, content):
    if content is not None:
        (tmp_path / "loginuid").write_text(content)

    assert login_uid(tmp_path / "loginuid") == os.getuid()


def test_a_reviewer_has_a_name(monkeypatch):
    monkeypatch.setenv("USER", "eve")

    assert reviewer() in {pwd.getpwuid(login_uid()).pw_name, f"uid {login_uid()}"} - {"eve"}

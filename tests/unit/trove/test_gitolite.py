"""gitolite is told who may do what, and nothing that a name could smuggle in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.gitolite import (
    Access,
    Rule,
    User,
    apply_access,
    check_access,
    format_configuration,
    make_files,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKVmS8mZ5cEMbAe6T5rh2D8pDx0YyXbS6cVJ6yq1sVbE"
USERS = (User("admin", (KEY,)), User("releaser", (KEY, f"{KEY} second")))
RULES = (Rule("baserock/.*", writers=("releaser",)), Rule("private/.*", readers=("releaser",), public=False))
ACCESS = Access(USERS, ("admin",), RULES, ("refs/heads/[^/]+/release/", "refs/tags/"))


def changed(**values):
    return Access(**{**ACCESS.__dict__, **values})


def test_what_protects_stands_before_what_allows_more():
    lines = [line.strip() for line in format_configuration(ACCESS).splitlines()]
    deny = lines.index("- refs/heads/[^/]+/release/ = @all")
    assert lines.index("RW refs/heads/[^/]+/release/ = releaser") < deny
    assert lines.index("RW refs/heads/[^/]+/release/ = admin") < deny
    assert [number for number, line in enumerate(lines) if line.startswith("RW+")] == sorted(
        number for number, line in enumerate(lines) if line.startswith("RW+") and number > deny
    )


def test_only_what_is_public_is_read_by_anybody():
    text = format_configuration(ACCESS)
    assert "repo baserock/.*\n    RW+ = releaser\n    R = daemon @all\n" in text
    assert "repo private/.*\n    R = releaser\n" in text


def test_several_keys_of_a_user_are_in_several_directories():
    found = make_files(ACCESS, code="/code")
    assert found[".gitolite/keydir/1/releaser.pub"] == f"{KEY} second\n"
    assert 'LOCAL_CODE      => "/code"' in found[".gitolite.rc"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"users": (User("a b", (KEY,)),), "admins": (), "rules": ()}, "'a b' is not a name for a user"),
        ({"users": (User("@all", (KEY,)),), "admins": (), "rules": ()}, "is not a name for a user"),
        ({"users": (User("daemon", (KEY,)),), "admins": (), "rules": ()}, "is not a name for a user"),
        ({"users": (User("../x", (KEY,)),), "admins": (), "rules": ()}, "is not a name for a user"),
        ({"users": (*USERS, USERS[0])}, "'admin' is there twice"),
        ({"users": (User("admin", ()), USERS[1])}, "'admin' has no key"),
        ({"users": (User("admin", (f'command="x" {KEY}',)), USERS[1])}, "not a public SSH key"),
        ({"users": (User("admin", (f"{KEY}\n{KEY}",)), USERS[1])}, "not a public SSH key"),
        ({"admins": ("nobody",)}, "'nobody' of admins is none of the users"),
        ({"rules": (Rule("x", writers=("@all",)),)}, "'@all' of x is none of the users"),
        ({"rules": (Rule("a b"),)}, "'a b' is not a pattern of repositories"),
        ({"rules": (Rule("a\nrepo b"),)}, "is not a pattern of repositories"),
        ({"protected": ("heads/x",)}, "'heads/x' is not a pattern of refs"),
        ({"protected": ("refs/x = @all",)}, "is not a pattern of refs"),
    ],
)
def test_what_would_mean_something_else_is_refused(wrong, words):
    with pytest.raises(SlipwayError) as caught:
        check_access(changed(**wrong))
    assert any(words in finding for finding in caught.value.findings)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home directory, repositories, and a gitolite that logs its words and gives hooks as the real one does."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    (tmp_path / "repositories/a.git/hooks").mkdir(parents=True)
    home.mkdir()
    programs.mkdir()
    (programs / "gitolite").write_text(
        f"""#!/bin/sh
echo "$*" >> {tmp_path}/words
[ ! -e {tmp_path}/broken ] || exit 1
for hooks in {tmp_path}/repositories/*.git/hooks; do ln -sfn {home}/.gitolite/hooks/common/update $hooks/update; done
"""
    )
    (programs / "gitolite").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return home


def go(home, access=ACCESS, **options):
    return apply_access(home, home.parent / "repositories", access, code="/code", **options)


def said(home):
    words: Path = home.parent / "words"
    text = words.read_text().splitlines() if words.exists() else []
    words.unlink(missing_ok=True)
    return text


def test_check_mode_says_all_and_writes_nothing(home):
    assert {".gitolite.rc", ".gitolite/conf/gitolite.conf", "a.git/hooks"} <= go(home, write=False).keys()
    assert list(home.iterdir()) == []
    assert said(home) == []


def test_it_is_set_up_once(home):
    assert go(home)
    assert said(home) == ["setup", "trigger POST_COMPILE"]
    assert go(home) == {}
    assert said(home) == []


def test_a_key_that_is_not_wanted_any_more_goes(home):
    go(home)
    assert go(home, changed(users=(USERS[0], User("releaser", (KEY,))))).keys() == {".gitolite/keydir/1/releaser.pub"}
    assert sorted(path.name for path in (home / ".gitolite/keydir").rglob("*.pub")) == ["admin.pub", "releaser.pub"]


def test_a_repository_from_outside_gets_its_hooks(home):
    go(home)
    (home.parent / "repositories/b.git/hooks").mkdir(parents=True)
    assert go(home).keys() == {"b.git/hooks"}
    assert go(home) == {}


def test_what_a_run_did_not_finish_the_next_one_does(home):
    (home.parent / "broken").touch()
    with pytest.raises(SlipwayError, match="set up gitolite"):
        go(home)
    (home.parent / "broken").unlink()
    said(home)
    assert go(home)
    assert said(home) == ["setup", "trigger POST_COMPILE"]
    assert go(home) == {}

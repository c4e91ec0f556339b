"""Root works in other people's directories as these people."""

from __future__ import annotations

import os
import pwd

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.account import find_existing, run_as_owner

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def theirs(tmp_path):
    for one in (tmp_path, *tmp_path.parents):
        if one.stat().st_uid == os.geteuid():
            one.chmod(one.stat().st_mode | 0o055)
    directory = tmp_path / "theirs"
    directory.mkdir()
    os.chown(directory, NOBODY.pw_uid, NOBODY.pw_gid)
    return directory


def test_our_own_directory_and_an_absent_one_change_nothing(tmp_path):
    assert run_as_owner(tmp_path, os.getpid) == os.getpid()
    assert run_as_owner(tmp_path / "absent", os.getpid) == os.getpid()


@root
def test_somebody_elses_directory_is_written_as_that_user(theirs):
    def act():
        (theirs / "file").write_text("x")
        return os.getuid(), os.environ["USER"], os.environ["HOME"], os.getgroups()

    assert run_as_owner(theirs, act) == (NOBODY.pw_uid, "nobody", NOBODY.pw_dir, [NOBODY.pw_gid])
    assert (theirs / "file").stat().st_uid == NOBODY.pw_uid
    assert os.geteuid() == 0


@root
def test_failures_come_back_as_they_were(theirs):
    def fail():
        raise SlipwayError("mirror", "it", "it is gone", do_next="Look.", findings=["one"], log="/log")

    with pytest.raises(SlipwayError, match="Could not mirror it: it is gone") as caught:
        run_as_owner(theirs, fail)
    assert (caught.value.findings, caught.value.log) == (["one"], "/log")
    with pytest.raises(SlipwayError, match="Could not work as nobody: PermissionError"):
        run_as_owner(theirs, (theirs.parent / "ours").mkdir)


@root
def test_an_end_without_a_word_is_told(theirs):
    with pytest.raises(SlipwayError, match="ended without a result"):
        run_as_owner(theirs, lambda: os.kill(os.getpid(), 9))


@root
def test_an_owner_without_a_name_is_told(theirs):
    os.chown(theirs, 54_321, 54_321)
    with pytest.raises(SlipwayError, match="no user with the number 54321"):
        run_as_owner(theirs, os.getpid)


def test_the_nearest_directory_is_found(tmp_path):
    (tmp_path / "a").mkdir()
    assert find_existing(tmp_path / "a/b/c.git") == tmp_path / "a"

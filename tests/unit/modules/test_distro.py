"""The modules around a distro file, in a git repository and on the host."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.modules import distro_file_info, distro_version, rosinstall, stamp_plan

DISTRO = """\
# The distribution.
release: cturtle
version: '$Revision: 468 $'
stacks:
  _rules: {git: {uri: 'ssh://x/$STACK_NAME', anon-uri: 'git://x/$STACK_NAME', dev-branch: master,
      distro-tag: $RELEASE_NAME, release-tag: $STACK_NAME-$STACK_VERSION}}
  ros: {version: 1.2.0}      # the first
  common_msgs: {}
variants:
- base: {stacks: [ros]}
- whole: {extends: [base], stacks: [common_msgs]}
"""
AUTHOR = {"name": "Team", "email": "team@example.org", "epoch": 1_700_000_000}


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository that has the distro file."""
    bare, work = tmp_path / "distros.git", tmp_path / "work"
    (work / "released").mkdir(parents=True)
    (work / "released/c.rosdistro").write_text(DISTRO)
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@x", "commit", "-q", "-m", "Begin"],
        ["clone", "-q", "--bare", str(work), str(bare)],
    ):
        subprocess.run(["git", *words], cwd=work, check=True)
    return bare


def git(bare: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=bare, check=True, capture_output=True, text=True).stdout


def place(bare: Path) -> dict[str, Any]:
    return {"repository": str(bare), "branch": "main", "path": "released/c.rosdistro"}


def local(path: Path) -> dict[str, Any]:
    return {"repository": None, "branch": "master", "path": str(path)}


def release(where: dict[str, Any], version: str, *, write: bool = True, **changes: Any) -> dict[str, Any]:
    options = {"stack": "ros", "allow_downgrade": False, "commit_message": None, **AUTHOR, **changes}
    return distro_version.act({**options, **where, "version": version}, write=write)


def test_a_distro_file_is_read_at_the_head_of_its_branch(bare: Path) -> None:
    found = distro_file_info.act({**place(bare), "required_stacks": ["ros"]}, write=True)
    assert found["commit"] == git(bare, "rev-parse", "main").strip()
    assert found["text"] == DISTRO
    assert (found["changed"], found["distribution"], found["version"]) == (False, "cturtle", "r468")
    assert found["stacks"]["ros"] == {
        "version": "1.2.0",
        "kind": "git",
        "package_stem": "ros",
        "values": {
            "uri": "ssh://x/ros",
            "anon-uri": "git://x/ros",
            "dev-branch": "master",
            "distro-tag": "cturtle",
            "anon-distro-tag": "cturtle",
            "release-tag": "ros-1.2.0",
            "anon-release-tag": "ros-1.2.0",
        },
    }
    assert found["stacks"]["common_msgs"]["version"] is None
    assert found["stacks"]["common_msgs"]["values"]["release-tag"] is None
    assert found["stacks"]["common_msgs"]["package_stem"] == "common-msgs"
    assert found["variants"]["whole"] == {"extends": ["base"], "stacks": ["ros", "common_msgs"]}
    assert found["remarks"] == []


def test_a_distro_file_of_the_host_has_no_commit(tmp_path: Path) -> None:
    path = tmp_path / "c.rosdistro"
    path.write_text(DISTRO)
    found = distro_file_info.act({**local(path), "required_stacks": []}, write=False)
    assert (found["commit"], found["distribution"]) == (None, "cturtle")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, r"Could not read the distro file .*c\.rosdistro: \[Errno 2\] No such file"),
        (b"release: \xff", r"Could not read the distro file .*c\.rosdistro: 'utf-8' codec can't decode byte 0xff"),
        (b"release: c", r"Could not read the distro file .*c\.rosdistro: 2 faults.*\n  - stacks: there are no stacks"),
        (b"release: c\nstacks: {ros: {version: 1}}", r"no rule says where its source is \(line 2\)"),
    ],
)
def test_a_distro_file_that_cannot_be_used_is_refused_by_name(
    tmp_path: Path, data: bytes | None, sentence: str
) -> None:
    path = tmp_path / "c.rosdistro"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SlipwayError, match=sentence):
        distro_file_info.act({**local(path), "required_stacks": ["ros"]}, write=True)


def test_a_version_is_one_commit_and_once(bare: Path) -> None:
    looked = release(place(bare), "1.3.0", write=False)
    assert git(bare, "rev-list", "--count", "main") == "1\n"
    made = release(place(bare), "1.3.0")
    assert {**looked, "commit": made["commit"]} == made
    assert (made["changed"], made["before"], made["commit"]) == (True, "1.2.0", git(bare, "rev-parse", "main").strip())
    assert made["diff"] == [
        {
            "before_header": "released/c.rosdistro",
            "after_header": "released/c.rosdistro",
            "before": DISTRO,
            "after": DISTRO.replace("1.2.0", "1.3.0"),
        }
    ]
    assert git(bare, "show", "main:released/c.rosdistro") == DISTRO.replace("1.2.0", "1.3.0")
    assert git(bare, "log", "-1", "--format=%an %at %s", "main") == (
        "Team 1700000000 Set ros to 1.3.0 in released/c.rosdistro\n"
    )
    again = release(place(bare), "1.3.0")
    assert again == {"changed": False, "commit": made["commit"], "before": "1.3.0", "diff": []}
    assert git(bare, "rev-list", "--count", "main") == "2\n"


def test_the_first_version_of_a_stack_is_put_in(bare: Path) -> None:
    made = release(place(bare), "0.1", stack="common_msgs", commit_message="Release it")
    assert (made["changed"], made["before"]) == (True, None)
    assert "  common_msgs: {version: '0.1'}\n" in git(bare, "show", "main:released/c.rosdistro")
    assert git(bare, "log", "-1", "--format=%s", "main") == "Release it\n"


@pytest.mark.parametrize(
    ("changes", "version", "sentence"),
    [
        ({}, "1.1.9", r"ros in released/c\.rosdistro of .*distros\.git: 1\.1\.9 is lower than 1\.2\.0"),
        ({}, "1.2.0~rc1", r"1\.2\.0~rc1 is lower than 1\.2\.0, which it has now\. Release a higher version, or allow"),
        ({}, "next", "the version 'next' does not begin with a digit"),
        ({"stack": "nav"}, "1.0", "there is no such stack"),
        ({"path": "other"}, "1.3.0", "it is not there in"),
        ({"branch": "other"}, "1.3.0", "there is no branch other"),
    ],
)
def test_what_cannot_be_released_changes_nothing(
    bare: Path, changes: dict[str, Any], version: str, sentence: str
) -> None:
    with pytest.raises(SlipwayError, match=sentence):
        release({**place(bare), **changes}, version)
    assert git(bare, "rev-list", "--count", "main") == "1\n"


def test_a_lower_version_is_written_on_demand(bare: Path) -> None:
    assert release(place(bare), "1.1.9", allow_downgrade=True)["changed"] is True


def test_a_file_of_the_host_keeps_its_mode_and_the_link_to_it(tmp_path: Path) -> None:
    path, link = tmp_path / "real", tmp_path / "link"
    path.write_text(DISTRO)
    path.chmod(0o640)
    link.symlink_to("real")
    before = os.listdir(tmp_path)
    assert release(local(link), "1.3.0", write=False)["changed"] is True
    assert path.read_text() == DISTRO
    made = release(local(link), "1.3.0")
    assert (made["changed"], made["commit"]) == (True, None)
    assert path.read_text() == DISTRO.replace("1.2.0", "1.3.0")
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == before
    assert release(local(link), "1.3.0")["changed"] is False


def install(where: dict[str, Any], dest: Path, *, write: bool = True, **changes: Any) -> dict[str, Any]:
    options = {"at": "development", "stacks": [], "variants": [], "anonymous": False, **changes}
    return rosinstall.act({**where, "dest": str(dest), **options}, write=write)


def test_a_rosinstall_file_is_written_once(bare: Path, tmp_path: Path) -> None:
    dest = tmp_path / "c.rosinstall"
    looked = install(place(bare), dest, write=False, anonymous=True)
    assert not dest.exists()
    made = install(place(bare), dest, anonymous=True)
    assert looked == made
    assert made["changed"] is True
    assert made["stacks"] == ["ros", "common_msgs"]
    assert made["diff"][0]["before"] == ""
    assert made["diff"][0]["after"] == dest.read_text()
    assert yaml.safe_load(dest.read_text())[0] == {
        "git": {"local-name": "ros", "uri": "git://x/ros", "version": "master"}
    }
    again = install(place(bare), dest, anonymous=True)
    assert (again["changed"], again["diff"]) == (False, [])
    other = install(place(bare), dest, at="release")
    assert other["changed"] is True
    assert other["remarks"] == ["common_msgs is not released, so it has no release-tag, and is left out"]


def test_a_rosinstall_file_of_what_is_not_there_is_not_written(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="there is no variant other"):
        install(place(bare), tmp_path / "c.rosinstall", variants=["other"])
    assert not (tmp_path / "c.rosinstall").exists()


@pytest.mark.parametrize("write", [True, False])
def test_a_rosinstall_file_that_cannot_be_written_fails_in_check_mode_too(
    bare: Path, tmp_path: Path, write: bool
) -> None:
    with pytest.raises(SlipwayError, match=r"rosinstall file .*gone/c: its directory is not there\. Make it"):
        install(place(bare), tmp_path / "gone/c", write=write)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="It is not a regular file"):
        install(place(bare), tmp_path / "fifo", write=write)


def test_a_distro_file_without_sources_can_be_stamped_and_not_be_read_for_them(tmp_path: Path) -> None:
    path = tmp_path / "c.rosdistro"
    path.write_text("release: c\nstacks: {ros: {version: 1.0}}\n")
    with pytest.raises(SlipwayError, match="no rule says where its source is"):
        distro_file_info.act({**local(path), "required_stacks": []}, write=True)
    with pytest.raises(SlipwayError, match="Could not release the distribution c: its distro file has no version"):
        stamp_plan.act({"distro_file": str(path), "required_stacks": ["ros"]}, write=True)

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies of a public directory: what is pushed, and what readers of the mirror find meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror import store as module
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.source import keep_tree, send_objects
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.store import (
    Publication,
    Store,
    publish_tree,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.trace import Push
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.tree import parse_tree, read_tree

PUSH = Push("mirror-1", "download")


@dataclass
class Site:
    """A public directory, and a mirror of it on the same machine."""

    top: Path

    @property
    def public(self) -> Path:
        return self.top / "public"

    @property
    def work(self) -> Path:
        return self.top / "private/.mirrors"

    @property
    def store(self) -> Store:
        return Store(self.top / "mirror", self.top / "incoming")

    def release(self, version: str) -> None:
        """A release, and what names it, as a download server has it."""
        label = f"x-{version}"
        (self.public / label).mkdir(parents=True)
        for name in (f"{label}-a.img", f"{label}-b.img", "SHA256SUMS"):
            (self.public / label / name).write_text(f"{name} {version}")
        (self.public / f"{label}-a.img").symlink_to(f"{label}/{label}-a.img")
        generation = f".current-{version}"
        (self.public / generation).mkdir()
        (self.public / generation / "release").symlink_to(f"../{label}")
        for name, target in ((".current", generation), ("current", ".current/release")):
            (self.public / "new").symlink_to(target)
            os.replace(self.public / "new", self.public / name)
        (self.public / "new").write_text(f"page of {label}")
        os.replace(self.public / "new", self.public / "index.html")

    def send(self, name: str, wanted: list[str]) -> list[str]:
        return send_objects(self.work, name, wanted, directory=self.store.arrived, host=None, timeout=60)

    def push(self) -> int:
        """All of it, as the role does; how many contents were sent."""
        name, sent = keep_tree(self.public, self.work).name, 0
        for _round in range(3):
            found = publish_tree(self.store, name, PUSH)
            if found.published:
                return sent
            sent += len(self.send(name, found.missing))
        raise AssertionError(found)

    def same(self) -> bool:
        """Whether readers of both find the same, by another tool."""
        found = subprocess.run(
            ["diff", "-r", "--exclude=trace", "--exclude=.current-*", self.public, self.store.public], check=False
        )
        return found.returncode == 0


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(module, "GRACE", 0.0)
    made = Site(tmp_path)
    made.release("1")
    return made


def test_a_mirror_has_what_the_server_has_and_a_trace_of_it(site: Site) -> None:
    assert site.push() == 5
    assert site.same()
    assert os.readlink(site.store.public / "current") == ".current/release"
    lines = (site.store.public / "trace/mirror-1").read_text().splitlines()
    assert lines[1] == f"Date: {lines[0]}"
    assert {"Release: x-1", "Pushed-From: download", "Running on host: mirror-1", "Files: 4"} <= set(lines)


def test_the_second_push_sends_and_changes_nothing(site: Site) -> None:
    site.push()
    before = os.readlink(site.store.public)
    assert not keep_tree(site.public, site.work).changed
    found = publish_tree(site.store, keep_tree(site.public, site.work).name, PUSH)
    assert found == Publication(published=True, missing=[], changed=False)
    assert os.readlink(site.store.public) == before


def test_of_a_new_release_only_that_is_sent(site: Site) -> None:
    site.push()
    site.release("2")
    assert site.push() == 5, "three files, the page, and the list"
    assert site.same()
    assert "Release: x-2\n" in (site.store.public / "trace/mirror-1").read_text()


def test_readers_find_nothing_new_before_they_find_all(site: Site) -> None:
    site.push()
    before = sorted(os.listdir(site.store.public)), (site.store.public / "index.html").read_text()
    site.release("2")
    name = keep_tree(site.public, site.work).name
    site.send(name, [name])
    missing = publish_tree(site.store, name, PUSH).missing
    for digest in missing[:-1]:
        site.send(name, [digest])
    found = publish_tree(site.store, name, PUSH)
    assert found.missing == missing[-1:]
    assert not found.published
    assert (sorted(os.listdir(site.store.public)), (site.store.public / "index.html").read_text()) == before
    site.send(name, found.missing)
    assert publish_tree(site.store, name, PUSH).published
    assert site.same()


def test_all_of_it_moves_by_one_rename(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.push()
    site.release("2")

    def cut(path: Path, target: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "link_atomic", cut)
        with pytest.raises(KeyboardInterrupt):
            site.push()
    assert not (site.store.public / "x-2").exists()
    assert (site.store.public / "index.html").read_text() == "page of x-1"
    site.push()
    assert site.same()
    assert len(list((site.store.directory / "generations").iterdir())) == 1, "what was left behind is removed"


def test_what_is_replaced_meanwhile_is_sent_as_it_was(site: Site) -> None:
    name = keep_tree(site.public, site.work).name
    site.release("2")
    site.send(name, publish_tree(site.store, name, PUSH).missing)
    site.send(name, publish_tree(site.store, name, PUSH).missing)
    assert publish_tree(site.store, name, PUSH).published
    assert (site.store.public / "index.html").read_text() == "page of x-1"
    assert not (site.store.public / "x-2").exists()


def test_what_is_removed_on_the_server_is_gone_from_the_disk_of_the_mirror(site: Site) -> None:
    site.push()
    site.release("2")
    for path in [*(site.public / "x-1").iterdir(), site.public / "x-1-a.img"]:
        path.unlink()
    (site.public / "x-1").rmdir()
    site.push()
    assert site.same()
    contents = [path.read_text() for path in (site.store.directory / "objects").glob("*/*")]
    assert not [text for text in contents if text.endswith(" 1")]
    assert not (site.work / "objects" / hashlib.sha256(b"SHA256SUMS 1").hexdigest()).exists()


def test_what_arrives_under_a_wrong_name_is_not_kept(site: Site) -> None:
    name = keep_tree(site.public, site.work).name
    site.send(name, [name])
    missing = publish_tree(site.store, name, PUSH).missing
    site.store.arrived.mkdir(parents=True, exist_ok=True)
    (site.store.arrived / missing[0]).write_text("other bytes")
    (site.store.arrived / missing[1]).symlink_to("/etc/passwd")
    os.mkfifo(site.store.arrived / missing[2])
    (site.store.arrived / missing[3]).mkdir()
    assert publish_tree(site.store, name, PUSH).missing == missing
    assert not list(site.store.arrived.iterdir())
    site.push()
    assert site.same()


def test_a_mirror_whose_bytes_were_changed_gets_them_again(site: Site) -> None:
    site.push()
    spoilt = site.store.public / "x-1/x-1-a.img"
    spoilt.write_text("X" * spoilt.stat().st_size)
    os.utime(spoilt, (1, 1))
    site.push()
    assert site.same()


@pytest.mark.parametrize(
    "change",
    [
        "cp x-1/SHA256SUMS new && echo other >new && mv new x-1/SHA256SUMS",
        "rm x-1/SHA256SUMS",
        "echo more >x-1/more",
        "ln -sfn x-1 current",
        "ln -s / all",
    ],
)
def test_what_somebody_put_into_the_directory_of_readers_is_gone_with_the_next_push(site: Site, change: str) -> None:
    site.push()
    subprocess.run(["sh", "-euc", change], cwd=site.store.public.resolve(), check=True)
    name = keep_tree(site.public, site.work).name
    assert publish_tree(site.store, name, PUSH, check=True) == Publication(published=False, missing=[], changed=True)
    assert publish_tree(site.store, name, PUSH) == Publication(published=True, missing=[], changed=True)
    assert site.same()
    assert not publish_tree(site.store, name, PUSH).changed


def test_dates_are_those_of_the_server(site: Site) -> None:
    os.utime(site.public / "x-1/SHA256SUMS", (1_700_000_000, 1_700_000_000))
    site.push()
    assert (site.store.public / "x-1/SHA256SUMS").stat().st_mtime == 1_700_000_000


def test_only_what_is_new_is_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_tree(site.public, site.work)
    site.release("2")
    read: list[str] = []
    read_tree(site.public, digests=site.work / "digests.json", on_hash=lambda path, _size: read.append(path))
    assert sorted(read) == ["index.html", "x-2/SHA256SUMS", "x-2/x-2-a.img", "x-2/x-2-b.img"]


def test_what_is_hidden_is_not_mirrored_unless_a_link_leads_there(site: Site) -> None:
    (site.public / ".secret").write_text("s")
    (site.public / ".index.html.1a2b3c4d.tmp").write_text("t")
    (site.public / ".current-0").mkdir()
    tree = read_tree(site.public)
    hidden = [each.path for each in (*tree.files, *tree.links) if each.path.startswith(".")]
    assert sorted(hidden) == [".current", ".current-1/release"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "x-1/../../x", "..", "x-1/..", ""])
def test_a_link_out_of_the_directory_is_refused_by_name(site: Site, target: str) -> None:
    if target:
        (site.public / "out").symlink_to(target)
        with pytest.raises(SlipwayError, match="the link 'out' leads to"):
            keep_tree(site.public, site.work)
    text = f'{{"format":1,"files":[],"links":[["out","{target}"]]}}'.encode()
    with pytest.raises(SlipwayError, match="not plainly inside"):
        parse_tree(text, on="a list")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[]", "it is no such list"),
        (b'{"format":2,"files":[],"links":[]}', "its format is 2"),
        (b'{"format":1,"files":[["../x",1,"%s",1]],"links":[]}' % (b"0" * 64), "no path that a mirror can have"),
        (b'{"format":1,"files":[["a/b",1,"%s",1]],"links":[["a","c"]]}' % (b"0" * 64), "would be in 'a'"),
        (b'{"format":1,"files":[["a",1,"../../etc",1]],"links":[]}', "has no digest"),
        (b'{"format":1,"files":[["a",true,"%s",1]],"links":[]}' % (b"0" * 64), "is no entry"),
        (b'{"format":1,"files":[],"links":[["a","b"],["a","c"]]}', "comes twice"),
    ],
)
def test_a_list_that_reaches_out_of_the_mirror_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        parse_tree(text, on="a list")


def test_check_mode_changes_nothing(site: Site) -> None:
    name = keep_tree(site.public, site.work, check=True).name
    assert publish_tree(site.store, name, PUSH, check=True) == Publication(missing=[name], changed=True)
    assert sorted(os.listdir(site.top)) == ["public"]


def test_a_name_that_is_no_digest_is_refused(site: Site) -> None:
    with pytest.raises(SlipwayError, match="is no digest"):
        publish_tree(site.store, "../../etc", PUSH)


@pytest.mark.parametrize("name", ["../x", "", "a b", "x\n"])
def test_a_mirror_without_the_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(SlipwayError, match="no host name"):
        Push(name, "download")


def test_bytes_that_changed_on_the_server_are_not_sent(site: Site) -> None:
    name = keep_tree(site.public, site.work).name
    site.send(name, [name])
    with open(site.public / "x-1/x-1-a.img", "r+", encoding="utf-8") as stream:
        stream.write("Y")
    with pytest.raises(SlipwayError, match="was written to"):
        site.send(name, publish_tree(site.store, name, PUSH).missing)


def test_a_disk_without_room_is_told_before_anything_is_copied(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> Callable[[], None]:
        raise SlipwayError("mirror to", "x", "No space left on the disk", do_next="Make room.")

    name = keep_tree(site.public, site.work).name
    site.send(name, [name])
    site.send(name, publish_tree(site.store, name, PUSH).missing)
    with monkeypatch.context() as patch:
        patch.setattr(module, "require_room", refuse)
        with pytest.raises(SlipwayError, match="No space left"):
            publish_tree(site.store, name, PUSH)
    assert publish_tree(site.store, name, PUSH).published

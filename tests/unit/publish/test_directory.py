# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.directory import (
    PARTIAL_DIRECTORY,
    PublicationState,
    Server,
    probe_release,
    publish_release,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import read_artifacts
from publishing import content, put, run_module, tree

LABEL = "baserock-26.47"
NAMES = [f"{LABEL}-{number}.tar.gz" for number in range(5)]
CONTENTS = {name: content(name, 20_000) for name in [*NAMES, "SHA256SUMS", "manifest.json"]}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # it is another file system than that of the tests


class Site:
    """A download server's directories with one release on its way."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.private, self.public = top / "private", top / "public"
        self.staged, self.published = self.private / LABEL, self.public / LABEL
        self.files = put(top / "source", CONTENTS)

    def upload(self, *names: str) -> None:
        put(self.staged, {name: CONTENTS[name] for name in names or CONTENTS})

    def server(self, **options: Any) -> Server:
        return Server(self.private, self.public, LABEL, read_artifacts(self.files, attempt="test"), **options)

    def arguments(self) -> dict[str, Any]:
        return {"private": str(self.private), "public": str(self.public), "label": LABEL, "files": self.files}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.upload()
    return made


def assert_published(site: Site) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet"],
        cwd=site.published,
        input="".join(f"{file['sha256']}  {file['name']}\n" for file in site.files).encode(),
        check=True,
    )
    assert sorted(path.name for path in site.published.iterdir()) == sorted(CONTENTS)
    for name in NAMES:
        assert (site.public / name).readlink() == Path(LABEL, name)
        assert (site.public / name).read_bytes() == CONTENTS[name]
    assert sorted(path.name for path in site.public.iterdir()) == sorted([LABEL, *NAMES])
    assert list(site.private.iterdir()) == []


def test_a_staged_release_becomes_public_whole_and_private_is_empty(site: Site) -> None:
    found = publish_release(site.server())
    assert sorted(found.unpublished) == sorted(CONTENTS)
    assert_published(site)
    assert {path.stat().st_mode & 0o777 for path in site.published.iterdir()} == {0o644}
    assert site.published.stat().st_mode & 0o777 == 0o755


def test_again_nothing_is_done(site: Site) -> None:
    publish_release(site.server())
    before = {str(path): path.lstat().st_ctime_ns for path in site.public.rglob("*")}
    assert not publish_release(site.server()).changes
    assert {str(path): path.lstat().st_ctime_ns for path in site.public.rglob("*")} == before


def test_probing_says_what_has_to_be_uploaded_and_changes_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert sorted(probe_release(site.server()).missing) == sorted(CONTENTS)
    site.upload(*NAMES[:2])
    (site.staged / NAMES[0]).write_bytes(b"half")
    before = tree(tmp_path)
    found = probe_release(site.server())
    assert sorted(found.unpublished) == sorted(CONTENTS)
    assert sorted(found.missing) == sorted(set(CONTENTS) - {NAMES[1]})
    assert tree(tmp_path) == before


def test_what_did_not_arrive_whole_is_named_and_nothing_is_published(site: Site) -> None:
    (site.staged / NAMES[0]).unlink()
    (site.staged / NAMES[1]).write_bytes(b"half")
    before = tree(site.private)
    with pytest.raises(SlipwayError, match="2 of 7 files did not arrive whole") as caught:
        publish_release(site.server())
    assert f"{NAMES[0]} is missing" in str(caught.value)
    assert hashlib.sha256(b"half").hexdigest() in str(caught.value)
    assert hashlib.sha256(CONTENTS[NAMES[1]]).hexdigest() in str(caught.value)
    assert tree(site.private) == before
    assert tree(site.public) == {}


def test_a_public_file_with_other_bytes_is_never_overwritten(site: Site) -> None:
    publish_release(site.server())
    (site.published / NAMES[3]).write_bytes(b"flipped")
    site.upload(NAMES[3])
    before = tree(site.top)
    for act in (probe_release, publish_release):
        with pytest.raises(SlipwayError) as caught:
            act(site.server())
        for part in (NAMES[3], hashlib.sha256(b"flipped").hexdigest(), hashlib.sha256(CONTENTS[NAMES[3]]).hexdigest()):
            assert part in str(caught.value)
        assert len(caught.value.findings) == 1
    assert tree(site.top) == before


def test_a_public_file_that_is_gone_is_moved_in_again(site: Site) -> None:
    publish_release(site.server())
    (site.published / NAMES[3]).unlink()
    assert probe_release(site.server()).missing == [NAMES[3]]
    site.upload(NAMES[3])
    untouched = (site.published / NAMES[2]).stat().st_ctime_ns
    assert publish_release(site.server()).unpublished == [NAMES[3]]
    assert (site.published / NAMES[2]).stat().st_ctime_ns == untouched
    assert_published(site)


def test_unknown_files_are_drift_in_public_and_never_published_from_private(site: Site) -> None:
    (site.staged / "rootkit").write_text("x")
    with pytest.raises(SlipwayError, match=r"private/.*: rootkit is not a file of this release"):
        publish_release(site.server())
    assert tree(site.public) == {}
    (site.staged / "rootkit").unlink()
    publish_release(site.server())
    (site.published / "extra").write_text("x")
    with pytest.raises(SlipwayError, match="public: extra is not a file of this release"):
        publish_release(site.server())


def test_leftovers_of_interrupted_uploads_are_neither_published_nor_kept(site: Site) -> None:
    (site.staged / PARTIAL_DIRECTORY).mkdir()
    (site.staged / PARTIAL_DIRECTORY / NAMES[0]).write_text("half")
    (site.staged / f".{NAMES[0]}.0a1b2c3d.tmp").write_text("half")
    (site.staged / f".{NAMES[0]}.Xy12aB").write_text("half")
    publish_release(site.server())
    assert_published(site)
    site.upload(NAMES[0])
    (site.staged / f".{NAMES[0]}.0a1b2c3d.tmp").write_text("half")
    assert probe_release(site.server()).changes
    publish_release(site.server())
    assert_published(site)


def test_what_a_killed_run_gathered_is_used_unless_it_arrived_again(site: Site) -> None:
    gathered = site.private / f".{LABEL}.publishing"
    put(gathered, {NAMES[0]: b"spoiled", NAMES[1]: CONTENTS[NAMES[1]]})
    (site.staged / NAMES[0]).unlink()
    (site.staged / NAMES[1]).unlink()
    assert probe_release(site.server()).missing == [NAMES[0]]
    site.upload(NAMES[0])
    publish_release(site.server())
    assert_published(site)


def test_an_uploader_that_outlived_its_run_never_writes_into_public(site: Site) -> None:
    staged = os.open(site.staged, os.O_RDONLY)
    publish_release(site.server())
    with pytest.raises(FileNotFoundError):
        os.open("late", os.O_CREAT | os.O_WRONLY, dir_fd=staged)
    os.close(staged)
    assert_published(site)


class Uploader:
    """Another account, which uploaded the release and can run programs on the server."""

    NUMBER = 65534

    def __init__(self, site: Site) -> None:
        self.site = site
        site.private.chmod(0o1777)
        for path in (site.staged, *site.staged.iterdir()):
            self.own(path)

    def own(self, path: Path) -> None:
        os.chown(path, self.NUMBER, self.NUMBER, follow_symlinks=False)

    def refused(self) -> str:
        """What the publisher says, soon, while nothing of the release is public."""
        answers: list[str] = []

        def publish() -> None:
            with pytest.raises(SlipwayError) as caught:
                publish_release(self.site.server())
            answers.append(str(caught.value))

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        thread.join(20)
        assert answers, "it waits for what the uploader put there"
        assert tree(self.site.public) == {}
        return answers[0]


root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can give files away")


@root
def test_what_an_uploader_has_open_is_not_what_is_published(site: Site) -> None:
    Uploader(site)
    (site.staged / NAMES[1]).chmod(0o6777)
    with open(site.staged / NAMES[0], "r+b") as stream:
        publish_release(site.server())
        stream.write(b"EVIL")
        stream.flush()
        os.fchmod(stream.fileno(), 0o4777)
    assert_published(site)
    assert {oct(path.stat().st_mode) for path in site.published.iterdir()} == {"0o100644"}
    assert {path.stat().st_uid for path in (site.published, *site.published.iterdir())} == {os.geteuid()}


@root
def test_an_uploader_who_goes_on_writing_never_gets_other_bytes_published(site: Site) -> None:
    Uploader(site)
    program = (
        "import sys, itertools\nwith open(sys.argv[1], 'r+b', buffering=0) as stream:\n    right = stream.read()\n"
    )
    program += "    print(flush=True)\n    for turn in itertools.count():\n        stream.seek(0)\n"
    program += "        stream.write(right if turn % 2 else b'EVIL' * 5000)\n"
    words = [sys.executable, "-c", program, str(site.staged / NAMES[0])]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            for _turn in range(20):
                with contextlib.suppress(SlipwayError):
                    publish_release(site.server())
                    break
                assert tree(site.public) == {}
        finally:
            writer.kill()
    if site.published.exists():
        assert_published(site)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("link", f"{NAMES[0]} is missing: .* is not a regular file"),
        ("pipe", f"{NAMES[0]} is missing: .* is not a regular file"),
        ("directory", f"{NAMES[0]} is missing: .* is not a regular file"),
        ("two names", f"{NAMES[0]} has 2 names, and only a file with one is published"),
        ("endless", f"{NAMES[0]} has {1 << 42} bytes instead of 20000"),
    ],
)
def test_what_is_no_file_under_one_name_is_refused_and_not_waited_for(site: Site, kind: str, said: str) -> None:
    path, other = site.staged / NAMES[0], site.top / "other"
    other.write_bytes(CONTENTS[NAMES[0]])
    path.unlink()
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "two names":
        os.link(other, path)
    else:
        path.touch()
        os.truncate(path, 1 << 42)
    site.staged.chmod(0o775)
    with pytest.raises(SlipwayError, match="1 of 7 files did not arrive whole") as caught:
        publish_release(site.server())
    assert re.search(said, str(caught.value))
    assert NAMES[0] in probe_release(site.server()).missing or kind == "two names"
    assert tree(site.public) == {}


@root
def test_a_directory_that_an_uploader_could_exchange_is_refused(site: Site) -> None:
    uploader = Uploader(site)
    uploader.own(site.private)
    assert "others can rename what is in" in uploader.refused()
    os.chown(site.private, 0, 0)
    site.private.chmod(0o777)
    assert "the mode 1770" in uploader.refused()
    site.private.chmod(0o1777)
    gathered = site.private / f".{LABEL}.publishing"
    put(gathered, {NAMES[0]: CONTENTS[NAMES[0]]})
    uploader.own(gathered)
    assert "is not the publisher's" in uploader.refused()
    os.rename(gathered, site.top / "gathered")
    gathered.symlink_to(site.staged)
    assert "it exists and is not a directory" in uploader.refused()
    gathered.unlink()
    os.rename(site.staged, site.top / "staged")
    site.staged.symlink_to(site.top / "staged")
    assert "it exists and is not a directory" in uploader.refused()
    site.staged.unlink()
    os.rename(site.top / "staged", site.staged)
    publish_release(site.server())
    assert_published(site)


def test_files_in_a_directory_that_others_write_to_are_copied(site: Site) -> None:
    """As an uploader in the publisher's group may, or as it is with the umask 002."""
    site.staged.chmod(0o775)
    held = {path.name: path.stat().st_ino for path in site.staged.iterdir()}
    (site.private / f".{LABEL}.publishing").mkdir()
    (site.private / f".{LABEL}.publishing/.{NAMES[0]}.0a1b2c3d.tmp").touch()  # of a killed run
    with open(site.staged / NAMES[0], "r+b") as stream:
        publish_release(site.server())
        stream.write(b"EVIL")
    assert_published(site)
    assert all(path.stat().st_ino != held[path.name] for path in site.published.iterdir())


@pytest.mark.parametrize("mode", [0o755, 0o775])
def test_other_bytes_of_the_right_length_stay_where_they_arrived(site: Site, mode: int) -> None:
    (site.staged / NAMES[0]).write_bytes(b"x" * 20_000)
    site.staged.chmod(mode)
    with pytest.raises(SlipwayError, match="1 of 7 files did not arrive whole") as caught:
        publish_release(site.server())
    assert hashlib.sha256(b"x" * 20_000).hexdigest() in str(caught.value)
    assert tree(site.public) == {}
    assert (site.staged / NAMES[0]).read_bytes() == b"x" * 20_000
    assert probe_release(site.server()).missing == [NAMES[0]]
    site.upload(NAMES[0])
    publish_release(site.server())
    assert_published(site)


def test_a_public_directory_is_for_everybody_whatever_the_umask(site: Site) -> None:
    before = os.umask(0o077)
    try:
        publish_release(site.server())
    finally:
        os.umask(before)
    modes = [site.public, site.published, site.published / NAMES[0]]
    assert [oct(path.stat().st_mode & 0o777) for path in modes] == ["0o755", "0o755", "0o644"]


def test_an_empty_directory_of_that_name_is_no_obstacle(site: Site) -> None:
    site.published.mkdir(parents=True)
    publish_release(site.server())
    assert_published(site)


def test_a_staged_link_is_no_file(site: Site) -> None:
    (site.staged / NAMES[0]).unlink()
    (site.staged / NAMES[0]).symlink_to(site.top / "source" / NAMES[0])
    with pytest.raises(SlipwayError, match=f"{NAMES[0]} is missing"):
        publish_release(site.server())


@pytest.mark.parametrize("what", ["file", "other link"])
def test_a_flat_name_that_is_something_else_is_refused_before_anything_changes(site: Site, what: str) -> None:
    site.public.mkdir()
    if what == "file":
        (site.public / NAMES[0]).write_text("x")
    else:
        (site.public / NAMES[0]).symlink_to("elsewhere")
    before = tree(site.top)
    with pytest.raises(SlipwayError, match=f"{NAMES[0]} (exists and is not a link|is a link to elsewhere)"):
        publish_release(site.server())
    assert tree(site.top) == before


def test_flat_links_can_be_left_out(site: Site) -> None:
    publish_release(site.server(flat_links=False))
    assert [path.name for path in site.public.iterdir()] == [LABEL]


def test_the_release_directory_must_be_a_directory(site: Site) -> None:
    site.public.mkdir()
    site.published.symlink_to(site.staged)
    with pytest.raises(SlipwayError, match="it exists and is not a directory"):
        publish_release(site.server())


@pytest.mark.skipif(not os.access(SHARED_MEMORY, os.W_OK), reason="needs a second file system")
def test_two_file_systems_are_refused(site: Site, tmp_path: Path) -> None:
    shared = SHARED_MEMORY / f"slipway-test-{os.getpid()}"
    shared.mkdir()
    try:
        if shared.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("one file system")
        server = Server(site.private, shared, LABEL, read_artifacts(site.files, attempt="test"))
        with pytest.raises(SlipwayError, match="are on different file systems"):
            publish_release(server)
        assert list(shared.iterdir()) == []
    finally:
        shared.rmdir()


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "", "-x", "a b"])
def test_a_hostile_label_is_refused(site: Site, name: str) -> None:
    server = Server(site.private, site.public, name, read_artifacts(site.files, attempt="test"))
    with pytest.raises(SlipwayError, match="is not usable as the name"):
        publish_release(server)


def test_a_reader_never_sees_a_part_of_the_release(site: Site) -> None:
    ended, seen, faults = threading.Event(), set(), []

    def read() -> None:
        while not ended.is_set():
            names = sorted(path.name for path in site.published.iterdir()) if site.published.exists() else []
            seen.add(len(names))
            if names and names != sorted(CONTENTS):
                faults.append(f"the directory has {names}")
            for name in names[:1]:
                if (site.published / name).read_bytes() != CONTENTS[name]:
                    faults.append(f"{name} is not whole")
            for path in site.public.glob(f"{LABEL}-*"):
                if path.read_bytes() != CONTENTS[path.name]:
                    faults.append(f"the link {path.name} shows something else")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        time.sleep(0.05)
        publish_release(site.server())
        time.sleep(0.05)
    finally:
        ended.set()
        reader.join()
    assert faults == []
    assert seen == {0, len(CONTENTS)}


def test_two_publishers_at_once_do_it_once(site: Site) -> None:
    answers: list[PublicationState] = []
    threads = [threading.Thread(target=lambda: answers.append(publish_release(site.server()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(answer.unpublished) for answer in answers) == [0, 0, len(CONTENTS)]
    assert_published(site)


KILLED = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import directory as publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import read_artifacts
import signal
fatal, count = int(sys.argv[4]), 0
def audit(event, arguments):
    # Die just before the n-th call that changes a directory.
    global count
    if event in {"os.rename", "os.link", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "os.mkdir"}:
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
top = Path(sys.argv[2])
sys.addaudithook(audit)
publication.publish_release(publication.Server(top / "private", top / "public", "baserock-26.47",
                    read_artifacts(json.loads(sys.argv[3]), attempt="test")))
"""


@pytest.mark.parametrize(("repair", "copied"), [(False, False), (True, False), (False, True)])
def test_killed_before_any_of_its_steps_a_rerun_completes(tmp_path: Path, repair: bool, copied: bool) -> None:
    steps = 0
    while True:
        steps += 1
        site = Site(tmp_path / str(steps))
        site.upload()
        if repair:
            publish_release(site.server())
            for name in NAMES[:2]:
                (site.published / name).unlink()
            site.upload(*NAMES[:3])
        if copied:
            site.staged.chmod(0o775)
        words = [sys.executable, "-c", KILLED, json.dumps(sys.path), str(site.top), json.dumps(site.files), str(steps)]
        done = subprocess.run(words, check=False)
        assert done.returncode in {0, -signal.SIGKILL}
        if not repair and site.published.exists():
            assert sorted(path.name for path in site.published.iterdir()) == sorted(CONTENTS)
        publish_release(site.server())
        assert_published(site)
        if done.returncode == 0:
            break
    assert steps > 8


def test_killed_at_random_moments_a_rerun_completes(tmp_path: Path) -> None:
    for part in range(10):
        site = Site(tmp_path / str(part))
        site.upload()
        words = [sys.executable, "-c", KILLED, json.dumps(sys.path), str(site.top), json.dumps(site.files), "0"]
        process = subprocess.Popen(words)
        time.sleep(0.08 + part * 0.01)
        process.kill()
        process.wait()
        publish_release(site.server())
        assert_published(site)


def test_the_module_probes_publishes_and_is_unchanged_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    nothing = {**site.arguments(), "files": [{"name": name} for name in CONTENTS]}
    before = tree(tmp_path)
    would = run_module("artifact_publish", nothing, check=True)
    assert would["changed"]
    assert f"{site.public}/{NAMES[0]} -> {LABEL}/{NAMES[0]}\n" in would["diff"]["after"]
    assert "not a SHA-256" in run_module("artifact_publish", nothing)["msg"]
    probed = run_module("artifact_publish_info", site.arguments())
    assert (probed["changed"], probed["pending"], sorted(probed["missing"])) == (False, True, sorted(CONTENTS))
    assert tree(tmp_path) == before
    site.upload()
    assert run_module("artifact_publish", {**site.arguments(), "progress": str(tmp_path / "log")})["changed"]
    assert_published(site)
    assert "14/14 hashed" in (tmp_path / "log").read_text()
    assert not run_module("artifact_publish", site.arguments())["changed"]
    again = run_module("artifact_publish_info", site.arguments())
    assert (again["changed"], again["pending"], again["missing"]) == (False, False, [])
    assert not run_module("artifact_publish", site.arguments(), check=True)["changed"]

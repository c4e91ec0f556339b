"""Builds on this machine as a build host does them: with sbuild and autopkgtest in clean chroots, within limits."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import (
    BUILD,
    DONE,
    FAILED,
    GIVEN_BACK,
    INSTALL,
    TEST,
    Dependent,
    Job,
    Repository,
    Result,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.limits import Limits
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.sbuild import GONE
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import Watch, do_job
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.site import serve_directory
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.chroot import make_chroot
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.repeat import (
    Site,
    list_published,
    repeat,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.verdict import (
    DIFFERENT,
    SAME,
    UNAVAILABLE,
)
from tinysources import Archive, make_source

HERE = Host("here", {"amd64": "amd64"})
SOURCES = ["deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine bookworm main"]
TEST_OF_TINY = "#!/bin/sh\ngrep -x tiny /usr/share/tiny/text\n"
Build = Callable[..., Result]


@pytest.fixture(scope="module", autouse=True)
def chroot() -> None:
    """The clean system, made once on a machine, as the role makes it."""
    path = Path.home() / ".cache/sbuild/bookworm-amd64.tar.zst"
    if not path.is_file():
        make_chroot(path, "bookworm", "amd64", sources=SOURCES, timeout=1800)


class Builder:
    """Has this machine build, and looks at what it leaves."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.target = place / "target"
        self.target.mkdir()
        self.steps: list[Any] = []
        self.stop = threading.Event()
        self.archive: Archive | None = None
        self.url = ""

    def __call__(self, dsc: Path, *others: Path, **words: Any) -> Result:
        name, version = dsc.name.removesuffix(".dsc").split("_")
        job = Job(name, version, "bookworm", "amd64", "amd64", dsc.name, install=False, test=False)
        if self.archive is not None:
            line = f"{self.url} bookworm main"
            job = replace(job, repositories=(Repository(line, self.archive.key),))
        files = [path for one in (dsc, *others) for path in (one, one.with_suffix(".tar.gz"))]
        return do_job(HERE, replace(job, **words), files, self.target, Watch(self.steps.append, self.stop))

    def read_log(self) -> str:
        (log,) = self.target.glob("*.log")
        return log.read_text(errors="replace")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Builder]:
    rooms = Path(tempfile.mkdtemp(prefix="slipway-rooms-"))
    rooms.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(rooms))
    yield Builder(tmp_path)
    listed = subprocess.run(["ps", "-eo", "args="], check=True, capture_output=True, text=True).stdout
    assert [line for line in listed.splitlines() if str(rooms) in line] == []
    assert list(rooms.iterdir()) == []
    rooms.rmdir()


def test_a_package_is_built_installed_tested_and_built_again_bit_for_bit(build: Builder, tmp_path: Path) -> None:
    dsc = make_source(tmp_path, "tiny", test=TEST_OF_TINY)
    result = build(dsc, install=True, test=True)
    assert (result.outcome, result.reason, result.tests) == (DONE, "", {"works": "PASS"})
    assert {path.name for path in build.target.iterdir()} == {
        "tiny_1.0_amd64.deb",
        "tiny_1.0_amd64.buildinfo",
        "tiny_bookworm_amd64.log",
    }
    assert [step["at"] for step in build.steps if step["log"] == 0 or step["at"] != BUILD][:1] == [BUILD]
    assert {step["at"] for step in build.steps} == {BUILD, INSTALL, TEST}
    assert "Build-Path: /build/reproducible-path/" in (build.target / "tiny_1.0_amd64.buildinfo").read_text()
    assert set(result.seconds) == {"fetch", BUILD, INSTALL, TEST}
    _build_again(build, dsc, tmp_path)


@pytest.mark.parametrize(
    ("recipe", "limits", "reason"),
    [
        ("sleep 600", Limits(silent_seconds=40), "The build was ended: it said nothing for 40 s."),
        (
            "yes $(NAME)",
            Limits(log_bytes=2 << 20),
            "The build was ended: its log has more than 2097152 bytes.",
        ),
        ("echo no; false", Limits(), "sbuild failed at build: make: *** [debian/rules:"),
    ],
)
def test_what_no_build_may_do_ends_in_one_sentence(
    build: Builder, tmp_path: Path, recipe: str, limits: Limits, reason: str
) -> None:
    result = build(make_source(tmp_path, "tiny", recipe=recipe), limits=limits)
    assert (result.outcome, result.stage) == (FAILED, BUILD)
    assert result.reason.startswith(reason)
    assert [path.suffix for path in build.target.iterdir()] == [".log"]
    assert len(build.read_log()) < (3 << 20)


def test_a_package_whose_script_loops_cannot_be_installed(build: Builder, tmp_path: Path) -> None:
    dsc = make_source(tmp_path, "tiny", postinst="#!/bin/sh\nwhile :; do sleep 1; done\n")
    result = build(dsc, install=True, limits=Limits(silent_seconds=40))
    assert (result.outcome, result.stage) == (FAILED, INSTALL)
    assert result.reason.startswith("What was built cannot be installed: ")
    assert "said nothing for 40 s" in build.read_log()


def test_a_test_that_passed_with_what_is_published_blocks(build: Builder, tmp_path: Path) -> None:
    user = make_source(
        tmp_path,
        "user",
        depends=["library"],
        test="#!/bin/sh\ngrep -x library /usr/share/library/text\n",
    )
    old, new = (make_source(tmp_path, "library"), make_source(tmp_path, "library", "1.1", recipe="echo new"))
    archive = Archive(tmp_path)
    for dsc in (old, user):
        subprocess.run(["dpkg-buildpackage", "-b", "-us", "-uc", "-d"], cwd=_tree(dsc), check=True, capture_output=True)
    archive.add_debs(*tmp_path.glob("trees/*.deb"))
    with serve_directory(archive.public) as url:
        build.archive, build.url = archive, url
        result = build(new, user, test=True, published=True, dependents=(Dependent("user", "1.0", user.name),))
    assert (result.outcome, result.stage) == (FAILED, TEST)
    assert result.reason == "The tests of user pass with what is published, and fail with the new packages: works."
    assert list(result.tests) == ["user/works"]


def test_when_nobody_waits_any_more_the_build_ends(build: Builder, tmp_path: Path) -> None:
    timer = threading.Timer(12, build.stop.set)
    timer.start()
    result = build(make_source(tmp_path, "tiny", recipe="sleep 600"))
    timer.join()
    assert (result.outcome, [path.suffix for path in build.target.iterdir()]) == (GIVEN_BACK, [".log"])


def _tree(dsc: Path) -> Path:
    return dsc.parent / dsc.name.removesuffix(".dsc").replace("_", "-")


def _build_again(build: Builder, dsc: Path, tmp_path: Path) -> None:
    """What was built is published, comes out the same again, and differently from a source with another byte."""
    archive, line = Archive(tmp_path), f"{tmp_path}/public/buildinfo/bookworm/tiny"
    archive.add_debs(build.target / "tiny_1.0_amd64.deb")
    archive.add_sources(dsc)
    Path(line).mkdir(parents=True)
    info = build.target / "tiny_1.0_amd64.buildinfo"
    info.rename(f"{line}/{info.name}")
    key = Repository("", archive.key)
    with serve_directory(archive.public) as url:
        site = Site(
            archive.public,
            "main",
            tmp_path / "again",
            {"bookworm": [replace(key, line=f"{url} bookworm main")]},
            [HERE],
            Limits(),
        )
        (published,), faults = list_published(archive.public, "main", "bookworm", "amd64")
        same = repeat(site, published, HERE, line=do_job, stop=build.stop)
        assert (faults, same.verdict, same.reason) == ([], SAME, "")
        digest = hash_file(build.target / "tiny_1.0_amd64.deb")
        assert [(deb.archive, deb.before, deb.now) for deb in same.debs] == [(digest, digest, digest)]

        other = make_source(
            tmp_path / "other", "tiny", recipe="echo tinx > debian/tmp/usr/share/tiny/text", test=TEST_OF_TINY
        )
        (pool,) = archive.public.rglob("tiny_1.0.dsc")
        for path in (other, other.with_suffix(".tar.gz")):
            (pool.parent / path.name).unlink()
            shutil.copy(path, pool.parent)
        index = archive.public / "dists/bookworm/main/source/Sources"
        for path in (dsc, dsc.with_suffix(".tar.gz")):
            index.write_text(index.read_text().replace(hash_file(path), hash_file(other.with_name(path.name))))
        different = repeat(site, published, HERE, line=do_job, stop=build.stop)
        assert (different.verdict, different.reason) == (DIFFERENT, "")
        assert any("./usr/share/tiny/text: -tiny +tinx" in place for place in different.debs[0].where)

        gone = replace(published.info.exactly, packages=(*published.info.exactly.packages, "libzstd1=0.1-1", "zzz=1"))
        lost = replace(published, info=replace(published.info, exactly=gone))
        unavailable = repeat(site, lost, HERE, line=do_job, stop=build.stop)
        assert (unavailable.verdict, unavailable.reason) == (UNAVAILABLE, f"{GONE}libzstd1=0.1-1, zzz=1.")

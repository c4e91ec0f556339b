# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import (
    DONE,
    FAILED,
    GIVEN_BACK,
    Job,
    Result,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import LostError, Watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.repeat import (
    Site,
    list_published,
    repeat,
    repeat_all,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.verdict import (
    DIFFERENT,
    SAME,
    UNAVAILABLE,
)
from debs import make_deb
from tinysources import Archive, make_source

HOST = Host("build-1", {"amd64": "amd64"}, slots=2)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    archive = Archive(tmp_path)
    deb = make_deb(tmp_path / "debs", "tiny", "1.0", "amd64", files={"usr/share/tiny/text": b"tiny\n"})
    archive.add_debs(deb)
    archive.add_sources(make_source(tmp_path, "tiny"))
    info = archive.public / "buildinfo/bookworm/tiny/tiny_1.0_amd64.buildinfo"
    info.parent.mkdir(parents=True)
    info.write_text(
        "Format: 1.0\nSource: tiny\nVersion: 1.0\nArchitecture: amd64\nBuild-Architecture: amd64\n"
        f"Checksums-Sha256:\n {hash_file(deb)} 1 {deb.name}\nInstalled-Build-Depends:\n make (= 4.3-4.1)\n"
    )
    return Site(archive.public, "main", tmp_path / "again", {}, [HOST])


class Builds:
    """Stands in for a build host: puts what it was given into the answer, and remembers the job."""

    def __init__(self, result: Result | Exception, *products: Path) -> None:
        self.result, self.products = result, products
        self.jobs: list[Job] = []

    def __call__(self, _host: Host, job: Job, files: Sequence[Path], target: Path, _watch: Watch) -> Result:
        assert files[0].suffix == ".dsc"
        self.jobs.append(Job.from_dict(job.as_dict()))
        if isinstance(self.result, Exception):
            raise self.result
        for path in self.products:
            shutil.copy(path, target)
        return self.result


def test_a_build_is_asked_for_as_it_was_done_before(site: Site, tmp_path: Path) -> None:
    (build,), faults = list_published(site.public, "main", "bookworm", "amd64")
    line = Builds(Result(DONE, "test"), tmp_path / "debs/tiny_1.0_amd64.deb")
    same = repeat(site, build, HOST, line=line, stop=threading.Event())
    assert (faults, same.verdict) == ([], SAME)
    (job,) = line.jobs
    assert job.exactly == build.info.exactly
    assert (job.parts, job.install, job.test) == (("any",), False, False)
    assert list((tmp_path / "again/bookworm/tiny/tiny_1.0_amd64").iterdir()) == []


def test_what_is_missing_more_or_replaced_is_different(site: Site, tmp_path: Path) -> None:
    (build,), _faults = list_published(site.public, "main", "bookworm", "amd64")
    more = make_deb(tmp_path / "more", "tiny-doc", "1.0")
    first = repeat(site, build, HOST, line=Builds(Result(DONE, "test"), more), stop=threading.Event())
    assert (first.verdict, [deb.where for deb in first.debs]) == (
        DIFFERENT,
        [("the build made now does not have it",), ("only the build made now has it",)],
    )
    (served,) = site.public.rglob("pool/**/tiny_1.0_amd64.deb")
    other = make_deb(tmp_path / "other", "tiny", "1.0", "amd64", files={"usr/share/tiny/text": b"tinx\n"})
    served.unlink()
    shutil.copy(other, served)
    second = repeat(site, build, HOST, line=Builds(Result(DONE, "test"), other), stop=threading.Event())
    assert second.verdict == DIFFERENT
    assert second.debs[0].where[0].startswith("the archive's file is not the one that its index names")


def test_what_cannot_be_built_is_unavailable_and_a_host_that_is_lost_is_no_verdict(site: Site) -> None:
    (build,), _faults = list_published(site.public, "main", "bookworm", "amd64")
    stop, told = threading.Event(), []
    failed = repeat(site, build, HOST, line=Builds(Result(FAILED, "build", "It failed.")), stop=stop)
    assert (failed.verdict, failed.reason) == (UNAVAILABLE, "It failed.")
    gone = replace(build, info=replace(build.info, version="0.9"))
    assert repeat(site, gone, HOST, line=Builds(Result(DONE, "test")), stop=stop).reason.startswith(
        "Its source package is not to be had: "
    )
    for line in (Builds(LostError("it went away")), Builds(Result(GIVEN_BACK, "build", "it went away"))):
        (fault,) = repeat_all(site, [build], line=line, stop=stop, tell=lambda _build, verdict: told.append(verdict))
        assert isinstance(fault, SlipwayError)
        assert "build-1: it went away" in str(fault)
    assert told == []


def test_what_has_no_usable_buildinfo_is_named(site: Site) -> None:
    found, faults = list_published(site.public, "main", "bookworm", "amd64", ["tiny", "other"])
    assert ([one.info.source for one in found], len(faults)) == (["tiny"], 1)
    assert faults[0].startswith("Could not make other for bookworm amd64 again: the archive has no build of it")
    (info,) = site.public.rglob("*.buildinfo")
    info.write_text("nothing")
    found, faults = list_published(site.public, "main", "bookworm", "amd64")
    assert (found, len(faults)) == ([], 1)
    with pytest.raises(SlipwayError, match="Could not read the index"):
        list_published(site.public, "main", "trixie", "amd64")

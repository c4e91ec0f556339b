from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Deb, read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from debs import make_deb
from publishing import tree


@pytest.fixture
def base(tmp_path: Path) -> Path:
    place = tmp_path / "shadow"
    (place / "conf").mkdir(parents=True)
    suites = [
        f"Codename: {name}\nArchitectures: amd64 i386\nComponents: main\nDebIndices: Packages Release . .gz\n"
        for name in ("bookworm", "testing")
    ]
    (place / "conf" / "distributions").write_text("\n".join(suites))
    (place / "conf" / "options").write_text("outdir +b/../public\n")
    return place


def debs(directory: Path, *names: str, version: str = "1.0", architecture: str = "amd64") -> list[Deb]:
    return read_debs(make_deb(directory, name, version, architecture) for name in names)


def held(base: Path, suite: str = "bookworm") -> list[tuple[str, str, str]]:
    with reprepro.open_archive(base) as archive:
        return [(package.name, package.version, package.index) for package in archive.list_packages(suite)]


def test_packages_are_included_once(base: Path, tmp_path: Path) -> None:
    files = [*debs(tmp_path, "one", "two"), *debs(tmp_path, "both", architecture="all")]
    with reprepro.open_archive(base) as archive:
        first = archive.include("bookworm", files)
        assert archive.include("bookworm", files).changed is False
    assert [change["package"] for change in first.added] == ["both", "both", "one", "two"]
    assert held(base) == [
        ("both", "1.0", "amd64"),
        ("both", "1.0", "i386"),
        ("one", "1.0", "amd64"),
        ("two", "1.0", "amd64"),
    ]
    index = (tmp_path / "public/dists/bookworm/main/binary-amd64/Packages").read_text()
    assert index.count("Package: ") == 3


def test_a_newer_version_takes_the_place_of_the_older(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
        newer = archive.include("bookworm", debs(tmp_path, "one", version="1.1"))
    assert newer.updated == [{"package": "one", "architecture": "amd64", "version": "1.1", "was": "1.0"}]
    assert held(base) == [("one", "1.1", "amd64")]


def test_everything_that_cannot_be_included_is_listed_and_nothing_is_done(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", [*debs(tmp_path, "same"), *debs(tmp_path, "old", version="2.0")])
        before = tree(base.parent / "public")
        other = make_deb(tmp_path / "other", "same", "1.0", "amd64", files={"usr/x": b"x"})
        arm = make_deb(tmp_path, "arm", "1.0", "armhf")
        files = [*read_debs([other, arm]), *debs(tmp_path, "old", "new")]
        with pytest.raises(SlipwayError, match="3 packages conflict") as failure:
            archive.include("bookworm", files)
    assert [finding.split(": ", 1)[1] for finding in failure.value.findings] == [
        "same 1.0 for amd64 is there with other content",
        "bookworm has no architecture armhf",
        "old 1.0 is older than 2.0, which amd64 has",
    ]
    assert tree(base.parent / "public") == before


def test_files_that_are_no_debs_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"no")
    (tmp_path / "b.deb").write_bytes(make_deb(tmp_path, "b", "1.0").read_bytes()[:200])
    with pytest.raises(SlipwayError, match="Could not use 2 debs: 2 of them are faulty") as failure:
        read_debs([tmp_path / "a.deb", tmp_path / "b.deb"])
    assert "a.deb: it is not a deb" in failure.value.findings[0]


def test_exactly_what_is_listed_is_removed(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", [*debs(tmp_path, "one", "two"), *debs(tmp_path, "both", architecture="all")])
        rows = [
            {"name": "one", "version": "0.9", "architecture": "amd64"},
            {"name": "two", "version": None, "architecture": None},
            {"name": "both", "version": "1.0", "architecture": "i386"},
            {"name": "absent", "version": None, "architecture": None},
        ]
        gone = archive.remove("bookworm", rows)
        assert archive.remove("bookworm", rows).changed is False
    assert [(change["package"], change["architecture"]) for change in gone.removed] == [
        ("both", "i386"),
        ("two", "amd64"),
    ]
    assert held(base) == [("both", "1.0", "amd64"), ("one", "1.0", "amd64")]


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_everybody_can_read_what_reprepro_writes_and_only_its_owner_write(
    base: Path, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with reprepro.open_archive(base) as archive:
            archive.include("bookworm", debs(tmp_path, "one"))
        assert os.umask(before) == umask
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o7777 for path in (tmp_path / "public").rglob("*")}
    assert modes == {0o755, 0o644}


def test_many_packages_are_removed_with_one_export(base: Path, tmp_path: Path) -> None:
    files = debs(tmp_path, *(f"package{number}" for number in range(60)))
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", files)
        archive.remove("bookworm", [{"name": file.name, "version": "1.0"} for file in files[:50]])
    assert len(held(base)) == 10


def test_packages_are_copied_between_suites(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one", "two"))
        archive.copy("testing", "bookworm", ["one"])
        assert archive.copy("testing", "bookworm", ["one"]).changed is False
        archive.include("testing", debs(tmp_path, "two", version="3.0"))
        with pytest.raises(SlipwayError, match="2 packages conflict") as failure:
            archive.copy("testing", "bookworm", ["two", "three"])
    assert failure.value.findings == [
        "bookworm has no three",
        "two for amd64: testing has 3.0, bookworm only 1.0",
    ]
    assert held(base, "testing") == [("one", "1.0", "amd64"), ("two", "3.0", "amd64")]


def test_a_snapshot_keeps_what_the_suite_loses(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
        assert archive.snapshot("bookworm", "r1", write=False) is True
        assert archive.snapshot("bookworm", "r1") is True
        assert archive.snapshot("bookworm", "r1") is False
        archive.remove("bookworm", [{"name": "one"}])
        with pytest.raises(SlipwayError, match="'../x' is not a name"):
            archive.snapshot("bookworm", "../x")
    public = tmp_path / "public"
    assert "Package: one" in (public / "dists/bookworm/snapshots/r1/main/binary-amd64/Packages").read_text()
    assert list(public.glob("pool/**/one_1.0_amd64.deb"))


def test_looking_changes_nothing_and_waits_for_nobody(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
        before = tree(base.parent)
        with reprepro.open_archive(base, write=False) as looked:
            assert looked.plan_include("bookworm", debs(tmp_path, "one")).changed is False
            assert looked.plan_remove("bookworm", [{"name": "one"}]).changed is True
    assert tree(base.parent) == before


def test_a_fresh_archive_is_empty(base: Path) -> None:
    with reprepro.open_archive(base, write=False) as archive:
        assert archive.list_packages("bookworm") == []
        with pytest.raises(SlipwayError, match="its conf/distributions has bookworm, testing"):
            archive.list_packages("sid")
    assert not (base / "db").exists()


def test_indexes_are_due_until_they_are_exported_and_after_the_settings_changed(base: Path) -> None:
    assert reprepro.is_export_due(base.parent / "none", "bookworm")
    assert reprepro.is_export_due(base, "sid")
    assert reprepro.is_export_due(base, "bookworm")
    with reprepro.open_archive(base) as archive:
        archive.export("bookworm")
    assert not reprepro.is_export_due(base, "bookworm")
    assert reprepro.is_export_due(base, "testing")
    os.utime(base / "conf/distributions", (time.time() + 60, time.time() + 60))
    assert reprepro.is_export_due(base, "bookworm")


def test_a_directory_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(SlipwayError, match=r"conf/distributions cannot be read"),
        reprepro.open_archive(tmp_path / "none"),
    ):
        pass


def test_a_second_user_waits_and_says_for_whom(base: Path) -> None:
    with (
        reprepro.open_archive(base),
        pytest.raises(SlipwayError, match="held by another process"),
        reprepro.open_archive(base, timeout=0.1),
    ):
        pass


def test_a_lock_left_by_a_killed_reprepro_is_recovered(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
    (base / "db" / "lockfile").touch()
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "two"))
    assert [name for name, _version, _index in held(base)] == ["one", "two"]


def test_temporary_files_of_killed_users_are_removed_by_the_next(base: Path) -> None:
    (base / ".slipway.unfinished.0123abcd.tmp").touch()
    (base / ".slipway.saved.0123abcd.tmp").mkdir()
    with reprepro.open_archive(base):
        assert not list(base.glob(".*"))


def test_what_was_included_but_not_exported_is_exported_by_the_next_user(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
        deb = debs(tmp_path, "two")[0]
        (base / reprepro.UNFINISHED).touch()
        archive.run_reprepro("--export=silent-never", "includedeb", "bookworm", str(deb.path), attempt="include")
    index = base.parent / "public/dists/bookworm/main/binary-amd64/Packages"
    assert "two" not in index.read_text()
    with reprepro.open_archive(base):
        assert "two" in index.read_text()
        assert not (base / reprepro.UNFINISHED).exists()


@pytest.mark.parametrize("broken", ["packages.db", "references.db", "checksums.db", "contents.cache.db"])
def test_a_database_left_half_written_is_put_back(base: Path, tmp_path: Path, broken: str) -> None:
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
        archive.begin_change("bookworm").__enter__()  # and it is killed
        (base / "db" / broken).write_bytes(b"")
        (base / "db" / "lockfile").touch()
    with reprepro.open_archive(base, write=False) as archive:
        assert [package.name for package in archive.list_packages("bookworm")] == ["one"]
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "two"))
        archive.run_reprepro("check", attempt="check")
    assert [name for name, _version, _index in held(base)] == ["one", "two"]
    assert sorted(path.name for path in base.glob("*slipway*")) == ["slipway.lock", "slipway.spare"]


def test_what_is_saved_is_the_database_whatever_the_spare_copy_has(base: Path, tmp_path: Path) -> None:
    with reprepro.open_archive(base) as archive:
        for name in ("one", "two"):
            archive.include("bookworm", debs(tmp_path, name))
        spare = base / reprepro.SPARE
        (spare / "other.db").touch()
        (spare / "references.db").unlink()
        (spare / "packages.db").write_bytes((spare / "packages.db").read_bytes()[:-5])
        (spare / "checksums.db").write_bytes(b"x" * 5 + (spare / "checksums.db").read_bytes()[5:] + b"y")
        archive.begin_change("bookworm").__enter__()
    assert tree(base / reprepro.SAVED) == tree(base / "db")


def test_a_change_writes_little_of_a_large_database_again(base: Path, tmp_path: Path) -> None:
    (base / "db").mkdir()
    content = bytearray(os.urandom(1 << 20))
    for file in ("large.db", "same.db"):
        (base / "db" / file).write_bytes(content)
    with reprepro.open_archive(base) as archive:
        archive._save()
        os.replace(base / reprepro.SAVED, base / reprepro.SPARE)
        kept = {path.name: path.stat().st_mtime_ns for path in (base / reprepro.SPARE).iterdir()}
        content[300_000] ^= 1
        (base / "db/large.db").write_bytes(content)
        archive._save()
    assert (base / reprepro.SAVED / "large.db").read_bytes() == content
    assert (base / reprepro.SAVED / "same.db").stat().st_mtime_ns == kept["same.db"]


def test_a_database_whose_first_file_was_being_made_is_made_by_the_next(base: Path, tmp_path: Path) -> None:
    (base / "db").mkdir()
    for name in ("lockfile", "__db.references.db"):
        (base / "db" / name).touch()
    with reprepro.open_archive(base, write=False) as archive:
        assert archive.list_packages("bookworm") == []
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", debs(tmp_path, "one"))
    assert [name for name, _version, _index in held(base)] == ["one"]


PROGRAM = """
import sys
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import read_debs
with reprepro.open_archive(sys.argv[1]) as archive:
    archive.include("bookworm", read_debs(sys.argv[2:]))
"""


def test_an_inclusion_killed_at_any_moment_is_completed_by_the_next(base: Path, tmp_path: Path) -> None:
    files = [deb.path for deb in debs(tmp_path, *(f"package{number}" for number in range(120)))]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "collections")}
    for delay in (0.1, 0.2, 0.3, 0.4):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(base), *map(str, files)], env=environment, start_new_session=True
        )
        time.sleep(delay)
        for child in _children(process.pid):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(child, signal.SIGKILL)
        process.kill()
        process.wait()
    with reprepro.open_archive(base) as archive:
        archive.include("bookworm", read_debs(files))
        archive.run_reprepro("check", attempt="check")
    assert len(held(base)) == 120
    index = (base.parent / "public/dists/bookworm/main/binary-amd64/Packages").read_text()
    assert index.count("Package: ") == 120


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []

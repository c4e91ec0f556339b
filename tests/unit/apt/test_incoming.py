"""What is uploaded is taken in, whatever lies beside it, and as it was when it was taken."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import incoming, reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from debs import make_deb
from publishing import tree


@pytest.fixture
def base(tmp_path: Path) -> Path:
    place = tmp_path / "shadow"
    (place / "conf").mkdir(parents=True)
    suites = [f"Codename: {name}\nArchitectures: amd64\nComponents: main\n" for name in ("bookworm", "testing")]
    (place / "conf/distributions").write_text("\n".join(suites))
    (tmp_path / "uploads").mkdir()
    return place


@pytest.fixture
def uploads(base: Path) -> Path:
    return base.parent / "uploads"


def take(base: Path, *, suite: str = "bookworm") -> tuple[list[str], list[str]]:
    """The packages that came, and what was refused."""
    with reprepro.open_archive(base) as archive:
        places = incoming.locate_uploads(base, suite, base.parent / "uploads")
        done, findings = incoming.take_uploads(archive, suite, places, component="main", timeout=30)
    return [f"{row['package']} {row['version']}" for row in (*done.added, *done.updated)], findings


def without(directory: Path, field: str) -> Path:
    """A package as dpkg-deb makes it of a control file that lacks a field."""
    made = make_deb(directory, "lacking", "1.0", "amd64")
    subprocess.run(["dpkg-deb", "-R", made, directory / "tree"], check=True)
    control = directory / "tree/DEBIAN/control"
    control.write_text("".join(line for line in control.read_text().splitlines(True) if not line.startswith(field)))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", directory / "tree", made], check=True, capture_output=True)
    return made


def hard_linked(uploads: Path) -> None:
    os.link(make_deb(uploads.parent / "mine", "bad", "1.0", "amd64"), uploads / "bad_1.0_amd64.deb")


def symbolic(uploads: Path) -> None:
    (uploads / "bad_1.0_amd64.deb").symlink_to(make_deb(uploads.parent / "mine", "bad", "1.0", "amd64"))


def cut_off(uploads: Path) -> None:
    os.truncate(make_deb(uploads, "bad", "1.0", "amd64"), 300)


def of_another_architecture(uploads: Path) -> None:
    make_deb(uploads, "bad", "1.0", "armhf")


def without_a_section(uploads: Path) -> None:
    shutil.copy(without(uploads.parent / "mine", "Section"), uploads / "bad_1.0_amd64.deb")


def named_for_a_terminal(uploads: Path) -> None:
    make_deb(uploads, "bad", "1.0", "amd64").rename(uploads / "bad\x1b[31m\n.deb")


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (hard_linked, "bad_1.0_amd64.deb: it has more than one name (hard links)"),
    (symbolic, "bad_1.0_amd64.deb: it is not a plain file"),
    (lambda uploads: os.mkfifo(uploads / "bad.deb"), "bad.deb: it is not a plain file"),
    (lambda uploads: (uploads / "bad.deb").mkdir(), "bad.deb: it is not a plain file"),
    (cut_off, "bad_1.0_amd64.deb: "),
    (of_another_architecture, "bad_1.0_armhf.deb: bookworm has no architecture armhf"),
    (without_a_section, "bad_1.0_amd64.deb: it has no field Section"),
    (named_for_a_terminal, "bad__31m_.deb: its name has characters that names of packages do not have"),
]


@pytest.mark.parametrize(("make", "says"), FAULTS)
def test_a_file_that_cannot_be_taken_is_named_and_kept_aside_and_the_others_go_in(
    base: Path, uploads: Path, make: Callable[[Path], object], says: str
) -> None:
    make_deb(uploads, "good", "1.0", "amd64")
    make(uploads)
    before = tree(uploads)
    with reprepro.open_archive(base, write=False) as archive:
        plan, told = incoming.plan_uploads(archive, "bookworm", incoming.locate_uploads(base, "bookworm", uploads))
    assert [row["package"] for row in plan.added] == ["good"]
    assert tree(uploads) == before
    came, findings = take(base)
    assert came == ["good 1.0"]
    refused = base / "incoming/bookworm/refused"
    assert len(findings) == len(told) == 1
    assert findings[0].startswith(says)
    assert findings[0].endswith(f"; it is kept in {refused}")
    assert len(list(refused.iterdir())) == 1
    assert list(uploads.iterdir()) == []
    assert take(base) == ([], [])


def test_the_newest_of_an_upload_goes_in_and_what_conflicts_is_refused(base: Path, uploads: Path) -> None:
    for version in ("1.0", "10.0", "2.0"):
        make_deb(uploads, "one", version, "amd64")
    assert take(base) == (["one 10.0"], [])
    make_deb(uploads, "one", "2.0", "amd64")
    make_deb(uploads, "two", "1.0", "amd64")
    came, findings = take(base)
    assert came == ["two 1.0"]
    assert findings[0].startswith("one_2.0_amd64.deb: one 2.0 is older than 10.0, which amd64 has")


def test_a_name_that_another_suite_has_for_another_file_is_refused(base: Path, uploads: Path) -> None:
    make_deb(uploads, "one", "1.0", "amd64")
    take(base, suite="testing")
    make_deb(uploads, "one", "1.0", "amd64", files={"usr/x": b"other"})
    make_deb(uploads, "two", "1.0", "amd64")
    came, findings = take(base)
    assert came == ["two 1.0"]
    assert findings[0].startswith("one_1.0_amd64.deb: pool/main/o/one/one_1.0_amd64.deb is there with other content")


def test_what_only_reprepro_refuses_holds_up_no_other(
    base: Path, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        make_deb(uploads, name, "1.0", "amd64")
    shutil.copy(without(base.parent / "mine", "Section"), uploads / "two_1.1_amd64.deb")
    monkeypatch.setattr(reprepro, "find_deb_fault", lambda *_arguments, **_options: [])
    came, findings = take(base)
    assert came == ["one 1.0", "three 1.0", "two 1.0"]
    assert len(findings) == 1
    assert "reprepro ended with status" in findings[0]
    assert "two_1.1_amd64.deb" in findings[0]


def test_where_nothing_can_be_included_nothing_is_refused(
    base: Path, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_deb(uploads, "one", "1.0", "amd64")
    os.mkfifo(uploads / "bad.deb")

    def fail(*_arguments: object, **_options: object) -> None:
        raise SlipwayError("include packages in", "bookworm", "No space left on device", do_next="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(reprepro.Archive, "include", fail)
        with pytest.raises(SlipwayError, match="No space left on device") as failure:
            take(base)
    assert failure.value.findings[0].startswith("bad.deb: it is not a plain file")
    assert take(base) == (["one 1.0"], [])


def test_whoever_has_the_file_open_cannot_change_what_is_published(base: Path, uploads: Path) -> None:
    path = make_deb(uploads, "one", "1.0", "amd64")
    path.chmod(0o6777)
    content = path.read_bytes()
    with open(path, "r+b") as uploader:
        assert take(base)[0] == ["one 1.0"]
        uploader.write(b"x" * len(content))
    published = base / "pool/main/o/one/one_1.0_amd64.deb"
    assert published.read_bytes() == content
    assert published.stat().st_mode & 0o7777 == 0o644


def test_what_a_killed_run_had_moved_is_taken_by_the_next(base: Path, uploads: Path) -> None:
    places = incoming.locate_uploads(base, "bookworm", uploads)
    make_deb(places.moved, "moved", "1.0", "amd64")
    make_deb(places.whole, "whole", "1.0", "amd64")
    (places.whole / ".moved_1.0_amd64.deb.x.tmp").touch()
    assert take(base) == (["moved 1.0", "whole 1.0"], [])
    assert not any(list(place.iterdir()) for place in (places.moved, places.whole))


def test_what_cannot_be_moved_is_named_and_stays(base: Path) -> None:
    elsewhere = Path("/dev/shm") / f"slipway-{os.getpid()}"  # noqa: S108  # another file system is the point
    try:
        make_deb(elsewhere, "one", "1.0", "amd64")
        (base.parent / "uploads").rmdir()
        (base.parent / "uploads").symlink_to(elsewhere)
        came, findings = take(base)
        assert came == []
        assert findings == [
            f"one_1.0_amd64.deb: it cannot be moved from {base.parent}/uploads (Invalid cross-device link)"
        ]
        assert (elsewhere / "one_1.0_amd64.deb").is_file()
    finally:
        shutil.rmtree(elsewhere)


def test_a_directory_that_is_not_there_is_told(base: Path, uploads: Path) -> None:
    uploads.rmdir()
    with pytest.raises(FileNotFoundError):
        take(base)

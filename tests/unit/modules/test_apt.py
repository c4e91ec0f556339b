"""What the modules of the package archives answer, for real, again, and in check mode."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.solver import digest_demands
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.modules import (
    apt_archive,
    apt_archive_info,
    apt_publish,
    deb_metapackage,
)
from debs import make_deb
from publishing import tree
from sourcepackages import build_source


@pytest.fixture
def base(tmp_path: Path) -> Path:
    conf = tmp_path / "shadow/conf"
    conf.mkdir(parents=True)
    suites = (f"Codename: {name}\nArchitectures: amd64\nComponents: main\n" for name in ("bookworm", "testing"))
    (conf / "distributions").write_text("\n".join(suites))
    return tmp_path / "shadow"


def archive(base: Path, state: str, *, write: bool = True, suite: str = "bookworm", **options: Any) -> dict[str, Any]:
    names = ("debs", "component", "packages", "source", "name", "gnupghome", "incoming", "source_keyring")
    given = {**dict.fromkeys(names), "directory": str(base), "suite": suite, "lock_timeout": 10, "state": state}
    return apt_archive.act({**given, **options}, write=write)


@pytest.mark.parametrize(
    ("state", "options"),
    [
        ("present", {"debs": ["two"]}),
        ("absent", {"packages": [{"name": "one", "version": None, "architecture": None}]}),
        ("copied", {"suite": "testing", "source": "bookworm"}),
        ("snapshot", {"name": "r1"}),
        ("exported", {"suite": "testing"}),
        ("received", {"incoming": "uploads"}),
    ],
)
def test_check_mode_says_what_is_done_then_and_not_again(
    base: Path, tmp_path: Path, state: str, options: dict[str, Any]
) -> None:
    one, two = (str(make_deb(tmp_path, name, "1.0", "amd64")) for name in ("one", "two"))
    archive(base, "present", debs=[one])
    given = {"debs": [two], "incoming": str(tmp_path / "uploads")}
    options = {name: given.get(name, value) for name, value in options.items()}
    make_deb(tmp_path / "uploads", "three", "1.0", "amd64")
    before = tree(base)
    looked = archive(base, state, write=False, **options)
    assert looked["changed"] is True
    assert tree(base) == before
    done = archive(base, state, **options)
    assert done == looked
    assert archive(base, state, **options)["changed"] is False


def test_what_was_uploaded_and_cannot_be_included_is_a_failure_when_all_else_is_included(
    base: Path, tmp_path: Path
) -> None:
    make_deb(tmp_path / "uploads", "one", "1.0", "amd64")
    (tmp_path / "uploads/broken.deb").write_bytes(b"no")
    for write in (False, True):
        with pytest.raises(SlipwayError, match=r"Could not include all that was uploaded for bookworm: broken.deb: "):
            archive(base, "received", write=write, incoming=str(tmp_path / "uploads"))
    assert (base / "incoming/bookworm/refused/broken.deb").is_file()
    assert "Package: one" in (base / "dists/bookworm/main/binary-amd64/Packages").read_text()
    assert archive(base, "received", incoming=str(tmp_path / "uploads"))["changed"] is False


def test_the_difference_is_that_of_the_suites_packages(base: Path, tmp_path: Path) -> None:
    done = archive(base, "present", debs=[str(make_deb(tmp_path, "one", "1.0", "amd64"))])
    assert (done["diff"][0]["before"], done["diff"][0]["after"]) == ("", "one 1.0 amd64\n")
    asked = {"directory": str(base), "suite": "bookworm", "gnupghome": None, "lock_timeout": 10}
    rows = apt_archive_info.act(asked, write=False)["packages"]
    assert [(row["name"], row["path"]) for row in rows] == [("one", "pool/main/o/one/one_1.0_amd64.deb")]


def metapackage(directory: Path, *, write: bool = True) -> dict[str, Any]:
    words = {
        "package": "d-all",
        "version": "1-r1",
        "architecture": "amd64",
        "maintainer": "A <a@example.org>",
        "summary": "all of d",
        "depends": [["d-a", "1-r1"]],
        "fields": {},
    }
    return deb_metapackage.act({"directory": str(directory), "packages": [words]}, write=write)


def test_a_metapackage_is_made_once_and_told_before(tmp_path: Path) -> None:
    looked = metapackage(tmp_path / "out", write=False)
    assert looked["changed"] is True
    assert not (tmp_path / "out").exists()
    done = metapackage(tmp_path / "out")
    assert done == looked
    assert Path(done["debs"][0]["path"]).stat().st_size == done["debs"][0]["size"]
    assert metapackage(tmp_path / "out")["changed"] is False


def test_a_source_package_is_received_whole_once_and_waited_for_before(base: Path, tmp_path: Path) -> None:
    settings = base / "conf/distributions"
    settings.write_text(settings.read_text().replace("Architectures: amd64", "Architectures: amd64 source"))
    dsc = build_source(tmp_path / "made", "greeter", "1.2-3", "3.0 (quilt)")
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    shutil.copy(dsc, uploads)
    waits = archive(base, "received", incoming=str(uploads))
    assert waits["changed"] is False
    assert waits["warnings"][0].startswith("greeter_1.2-3.dsc: it waits for greeter_1.2")
    for path in dsc.parent.glob("greeter_*"):
        shutil.copy(path, uploads)
    looked = archive(base, "received", incoming=str(uploads), write=False)
    done = archive(base, "received", incoming=str(uploads))
    assert done == looked
    assert done["added"] == [{"package": "greeter", "architecture": "source", "version": "1.2-3"}]
    assert done["diff"][0]["after"] == "greeter 1.2-3 source\n"
    assert archive(base, "received", incoming=str(uploads))["changed"] is False


@pytest.fixture
def publication(tmp_path: Path) -> dict[str, Any]:
    """The options of a publication of one metapackage."""
    make_key(tmp_path / "gnupg", "Archive <archive@example.org>")
    made = metapackage(tmp_path / "out")
    control = Control(made["diff"][0]["after"])
    row = {"version": "1-r1", "demands": digest_demands(control)}
    return {
        "directory": str(tmp_path / "fixed"),
        "distribution": "d",
        "release": "r1",
        "indexes": {"bookworm": {"amd64": {"d-all": row}}},
        "debs": made["debs"],
        "inputs": {},
        "provenance": {},
        "phases": [],
        "package_phases": {},
        "origin": "Slipway",
        "component": "main",
        "gnupghome": str(tmp_path / "gnupg"),
        "signing_key": None,
        "lock_timeout": 10,
    }


def test_a_publication_is_told_before_done_once_and_the_same(publication: dict[str, Any]) -> None:
    looked = apt_publish.act(publication, write=False)
    assert looked["changed"] is True
    assert looked["diff"] == {"before": "", "after": "bookworm/amd64 d-all 1-r1\n"}
    assert not Path(publication["directory"]).exists()
    assert apt_publish.act(publication, write=True) == looked
    again = apt_publish.act(publication, write=True)
    assert (again["changed"], again["added"], again["diff"]["before"]) == (False, [], again["diff"]["after"])
    assert apt_publish.act(publication, write=False)["changed"] is False


def test_a_file_that_is_not_there_or_not_what_was_planned_is_not_published(publication: dict[str, Any]) -> None:
    rows = publication["indexes"]["bookworm"]["amd64"]
    rows["d-all"] = {**rows["d-all"], "demands": "another"}
    rows["d-none"] = {"version": "1-r1", "demands": ""}
    with pytest.raises(SlipwayError, match="2 files are not what was planned") as failure:
        apt_publish.act(publication, write=True)
    assert failure.value.findings[0] == "bookworm/amd64: no file is d-none 1-r1"
    assert failure.value.findings[1].startswith("bookworm/amd64: d-all is not what was planned")
    assert not Path(publication["directory"]).exists()

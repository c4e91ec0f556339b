"""The plan of a release of files that something else made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.fileplan import (
    FileRequest,
    find_previous_files,
    make_file_plan,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.found import Wanted
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import make_deploy_records
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.request import PlanResult
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.names import make_names
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record

FACTS = {"system": "live", "architecture": "x86_64", "type": "iso", "compression": "none"}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    made = tmp_path / "output"
    made.mkdir()
    (made / "live-amd64.iso").write_bytes(b"12345")
    (made / "disk.raw").write_bytes(b"123")
    return made


def plan(output: Path, *wanted: Wanted, version: object = "1.0", **options: Any) -> PlanResult:
    request = {
        "version": version,
        "project": "acme",
        "directory": str(output),
        "wanted": wanted or [Wanted("*")],
        "state_directory": str(output.parent / "state"),
        "coordinator": "here",
        **options,
    }
    return make_file_plan(FileRequest(**request))


def keep(output: Path, stage: str, *, version: str = "1.0", project: str = "acme", **parts: Any) -> None:
    record = {"stage": stage, "project": project, "version": version, "inputs": {}, "outputs": {}, **parts}
    keep_record(output.parent / f"state/releases/{version}/records", record)


def package(output: Path) -> None:
    """Record that all that is there is packaged."""
    keep(output, "preflight", inputs={"made_from": "files"})
    images = [
        {"name": name, "deployment": path.name, "size": path.stat().st_size, "sha256": "0", **FACTS}
        for path in output.iterdir()
        for name in [path.name if path.name.startswith("acme_") else f"acme-1.0-{path.name}"]
    ]
    keep(output, "package", inputs={"images": images})


def test_each_file_is_a_deployment_with_what_is_known_of_it(output: Path) -> None:
    planned = plan(output, Wanted("*.iso"), Wanted("*", name="x", architecture="arm64", compression="gzip"))
    assert planned.plan["deployments"] == [
        {
            "name": "x",
            "file": "acme-1.0-x",
            "path": "disk.raw",
            "size": 3,
            "system": "disk",
            "architecture": "arm64",
            "type": "rawdisk",
            "compression": "gzip",
            "product": "acme",
        },
        {
            "name": "live-amd64.iso",
            "file": "acme-1.0-live-amd64.iso",
            "path": "live-amd64.iso",
            "size": 5,
            "product": "acme",
            **FACTS,
        },
    ]
    assert planned.plan["directories"]["images"] == str(output)
    assert [planned.plan[name] for name in ("label", "branch", "tag", "definitions")] == ["acme-1.0", None, None, None]
    assert (planned.warnings, planned.records) == ([], {})
    assert not (output.parent / "state").exists()


def test_what_stays_behind_is_a_warning(output: Path) -> None:
    (output / "cache\n\x1b[2J").mkdir()
    assert plan(output).warnings == [f"not released of {output}: cache \ufffd[2J (a directory)"]


def test_every_fault_is_told_at_once(output: Path) -> None:
    for name in ("a b", "disk.raw.sha256", "disk.raw.gz", "x/y.iso", "x-y.iso"):
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_bytes(b"x")
    with pytest.raises(SlipwayError) as caught:
        plan(output, Wanted("*.raw", compression="gzip"), Wanted("*"), Wanted("*/*"), Wanted("*.qcow2"))
    assert f"Could not plan acme-1.0 from the files in {output}: 4 faults. Nothing was changed." in str(caught.value)
    absent, name, *same = caught.value.findings
    assert absent.startswith("'*.qcow2' matches no file there, which has 'a b', ")
    assert name.startswith(
        "'a b' is not usable as the name of a release file: it must begin with a letter or a digit, "
    )
    cure = "leave one out with release_files_exclude, or give it another name in release_files"
    assert same == [
        f"'disk.raw.gz' and 'disk.raw' would both be published as acme-1.0-disk.raw.gz: {cure}",
        f"'x/y.iso' and 'x-y.iso' would both be published as acme-1.0-x-y.iso: {cure}",
    ]


def test_a_checksum_file_of_others_cannot_take_the_place_of_ours(output: Path) -> None:
    (output / "disk.raw.sha256").write_bytes(b"x")
    with pytest.raises(SlipwayError, match="'disk.raw.sha256' and the checksum file of 'disk.raw' would both be"):
        plan(output)


def test_many_faults_are_cut_short(output: Path) -> None:
    for number in range(30):
        (output / f"a {number}").write_bytes(b"x")
    with pytest.raises(SlipwayError) as caught:
        plan(output)
    assert caught.value.findings[-1] == "and 10 more faults"


def test_versions_and_projects_are_judged_as_everywhere(output: Path) -> None:
    with pytest.raises(SlipwayError, match="it is a number and not text"):
        plan(output, version=1.0)
    with pytest.raises(SlipwayError, match="Could not use the project ''"):
        plan(output, project="")
    with pytest.raises(SlipwayError, match="release_state_directory is empty"):
        plan(output, state_directory="")


def test_what_is_packaged_is_known_when_its_files_are_gone(output: Path) -> None:
    before = {each["file"]: each for each in plan(output).plan["deployments"]}
    package(output)
    assert [each["path"] for each in plan(output).plan["deployments"]] == [each["path"] for each in before.values()]
    (output / "disk.raw").unlink()
    after = {each["file"]: each for each in plan(output).plan["deployments"]}
    assert after.keys() == before.keys()
    assert (after["acme-1.0-disk.raw"]["path"], after["acme-1.0-disk.raw"]["size"]) == ("", 3)
    shutil.rmtree(output)
    assert {each["path"] for each in plan(output).plan["deployments"]} == {""}


def test_a_file_more_than_what_is_packaged_is_drift(output: Path) -> None:
    package(output)
    (output / "more.raw").write_bytes(b"x")
    with pytest.raises(SlipwayError, match="'more.raw' is new: it is not one of the files of acme-1.0"):
        plan(output)


def test_a_packaged_file_that_became_a_link_is_told(output: Path) -> None:
    package(output)
    (output / "disk.raw").unlink()
    (output / "disk.raw").symlink_to("/etc/passwd")
    with pytest.raises(SlipwayError, match="'disk.raw' is a link that leads out of it"):
        plan(output)


def test_a_version_of_definitions_is_not_taken_over(output: Path) -> None:
    keep(output, "preflight", inputs={"commit": "c" * 40})
    with pytest.raises(SlipwayError, match="it was begun as a release of definitions"):
        plan(output)


def test_the_release_before_is_known_by_its_record(output: Path) -> None:
    releases, names = output.parent / "state/releases", make_names("acme", "1.2")
    assert find_previous_files(releases, names) is None
    file = {"name": "acme-1.0-disk.raw", "size": 1, "sha256": "0"}
    for version, project in (("1.0", "acme"), ("1.1", "other"), ("1.3", "acme")):
        keep(output, "publication", version=version, project=project, outputs={"files": [file]})
    keep(output, "package", version="1.1.5")
    (releases / "1.1.9/records").mkdir(parents=True)
    (releases / "1.1.9/records/publication.json").write_text("{}")
    assert find_previous_files(releases, names) == {"version": "1.0", "label": "acme-1.0", "files": [file]}
    keep(output, "withdrawal", version="1.0", outputs={"withdrawn": True})
    assert find_previous_files(releases, names) is None


def test_the_record_of_a_file_holds_what_is_known_of_it_and_no_path(output: Path) -> None:
    made = plan(output).plan
    files = [{"deployment": "live-amd64.iso", "name": "acme-1.0-live-amd64.iso", "size": 5, "sha256": "0"}]
    assert make_deploy_records(files, made, {}, {}) == [
        {"stage": "deploy-live-amd64.iso", "inputs": FACTS, "outputs": files[0], "tools": {}}
    ]


def test_checksums_that_came_with_the_files_are_expected_of_them_and_not_released(output: Path) -> None:
    (output / "SUMS").write_text(f"{'a' * 64}  disk.raw\n{'b' * 64}  live-amd64.iso\n")
    expected = {each["path"]: each["expected"] for each in plan(output, sums="SUMS").plan["deployments"]}
    assert expected == {"disk.raw": "a" * 64, "live-amd64.iso": "b" * 64}
    (output / "more.raw").write_bytes(b"x")
    with pytest.raises(SlipwayError, match="'more.raw' is not listed in 'SUMS'"):
        plan(output, sums="SUMS")


def test_what_an_earlier_version_left_is_not_released_again(output: Path) -> None:
    """Also not when that version is looked at once more, beside what a later one left."""
    for name in ("acme_0.9.raw", "acme_1.0.raw"):
        (output / name).write_bytes(b"x")
    with pytest.raises(
        SlipwayError, match="'acme_0.9.raw' is of the version 0.9: name what is of this one, such as 'acme_"
    ):
        plan(output)
    made = plan(output, Wanted("acme_0.9.raw"), Wanted("*_1.0*")).plan["deployments"]
    assert [each["file"] for each in made] == ["acme-1.0-acme_0.9.raw", "acme_1.0.raw"]
    (output / "acme_0.9.raw").unlink()
    package(output)
    (output / "acme_1.1.raw").write_bytes(b"x")
    assert len(plan(output).plan["deployments"]) == 3

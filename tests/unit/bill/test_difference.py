"""What two bills of materials differ in, and what of the release before is compared."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.difference import compare_bills, read_bill
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.make import make_bills
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.parts import Job, Part
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.previous import find_bill_changes
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import format_json, seal_record

from .conftest import TAR, git

OLD = [
    Part("s.bst", below=("kept.bst", "gone.bst", "moved.bst", "same.bst", "freed.bst")),
    Part("kept.bst", (TAR,)),
    Part("gone.bst", (git("gone", "1" * 40),)),
    Part("moved.bst", (git("moved", "2" * 40, **{"version-guess": "1.0"}),)),
    Part("same.bst", (git("same", "3" * 40, **{"version-guess": "2.0"}),)),
    Part("freed.bst", (git("freed", "4" * 40),), licences=("GPL-3.0-or-later",)),
]
NEW = [
    Part("s.bst", below=("kept.bst", "new.bst", "moved.bst", "same.bst", "freed.bst")),
    Part("kept.bst", (TAR,)),
    Part("new.bst", (git("new", "1" * 40),), licences=("MIT",)),
    Part("moved.bst", (git("moved", "5" * 40, **{"version-guess": "1.1"}),)),
    Part("same.bst", (git("same", "6" * 40, **{"version-guess": "2.0"}),)),
    Part("freed.bst", (git("freed", "4" * 40),), licences=("MIT",)),
]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    top = tmp_path_factory.mktemp("pair")
    jobs = [
        Job(name, "1", 0, top / f"{name}.spdx.json", top / f"{name}.cdx.json", parts)
        for name, parts in (("old", OLD), ("new", NEW))
    ]
    assert make_bills(jobs, python=sys.executable) == {}
    return top / "old.spdx.json", top / "new.spdx.json"


def test_each_kind_of_change_is_told_with_what_was_and_what_is(pair: tuple[Path, Path]) -> None:
    old, new = (read_bill(path.read_bytes(), on="x") for path in pair)
    told = {each["name"]: each for each in compare_bills(old, new).describe()}
    found = {name: (each["kind"], each["before"], each["now"]) for name, each in told.items()}
    assert found == {
        "freed.bst": ("changed", "4" * 12, "4" * 12),
        "gone.bst": ("removed", "1" * 12, ""),
        "moved.bst": ("changed", "1.0", "1.1"),
        "new.bst": ("added", "", "1" * 12),
        "same.bst": ("changed", f"2.0 ({'3' * 12})", f"2.0 ({'6' * 12})"),
    }
    assert (told["freed.bst"]["licence_before"], told["freed.bst"]["licence_now"]) == ("GPL-3.0-or-later", "MIT")


def test_a_bill_does_not_differ_from_itself(bills: Path) -> None:
    for path in bills.glob("*.spdx.json"):
        read = read_bill(path.read_bytes(), on="x")
        assert read
        assert compare_bills(read, read).describe() == []


def test_a_package_of_debs_has_the_licence_of_its_source(bills: Path) -> None:
    found = read_bill((bills / "x-26.47-debian.spdx.json").read_bytes(), on="x")
    assert {"hello:armhf", "libc6:armhf", "unversioned:all"} <= found.keys()
    assert (found["hello:armhf"].version, found["hello:armhf"].licence) == ("2.10-2+b1", "GPL-3.0-or-later")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"packages": [1]}', b'{"packages": [{}]}', b"[" * 100_000, b"\xff"])
def test_what_is_no_bill_is_told_in_one_sentence(data: bytes) -> None:
    with pytest.raises(SlipwayError, match=r"Could not read the bill of materials x: it is no document of SPDX's"):
        read_bill(data, on="x")


def write_release(top: Path, version: str, bill: Path) -> None:
    release = top / "releases" / version
    (release / "records").mkdir(parents=True)
    (release / "artifacts").mkdir()
    name = f"x-{version}-s.spdx.json"
    shutil.copy(bill, release / "artifacts" / name)
    outputs = {"name": name, "sha256": hashlib.sha256(bill.read_bytes()).hexdigest(), "size": bill.stat().st_size}
    for stage, said in (("extra-s.spdx.json", outputs), ("publication", {})):
        record = {
            "format": 1,
            "project": "x",
            "version": version,
            "stage": stage,
            "inputs": {},
            "outputs": said,
            "tools": {},
        }
        (release / "records" / f"{stage}.json").write_bytes(format_json(seal_record(record)))


def make_plan(top: Path, version: str, bill: Path) -> dict[str, object]:
    release = top / "releases" / version
    (release / "images").mkdir(parents=True)
    shutil.copy(bill, release / "images" / "new.json")
    entry = {
        "name": "s.spdx.json",
        "type": "bill",
        "settings": {"format": "spdx"},
        "system_name": "s",
        "product": "x",
        "file": "new.json",
    }
    directories = {"release": str(release), "images": str(release / "images"), "artifacts": str(release / "artifacts")}
    return {"project": "x", "version": version, "extras": [entry], "directories": directories}


def test_the_release_before_is_the_newest_that_has_the_bill_as_it_was_published(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = pair
    write_release(tmp_path, "1.9", old)
    write_release(tmp_path, "1.10", old)
    write_release(tmp_path, "1.12rc1", new)
    plan = make_plan(tmp_path, "1.12", new)
    (found,) = find_bill_changes(plan)
    assert (found["system"], found["product"], found["previous"], found["total"]) == ("s", "x", "x-1.10", 5)
    (tmp_path / "releases/1.10/artifacts/x-1.10-s.spdx.json").write_bytes(b"{}")  # not what was published
    assert find_bill_changes(plan)[0]["previous"] == "x-1.9"
    assert json.dumps(found)
    shutil.rmtree(tmp_path / "releases/1.10")
    shutil.rmtree(tmp_path / "releases/1.9")
    assert find_bill_changes(plan) == []

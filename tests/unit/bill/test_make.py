"""Bills of materials: valid by other programs, complete, and the same bytes wherever they are made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.debian import take_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.make import find_python, make_bills
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.parts import Job, Part, make_identifiers
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from cyclonedx.model.bom import Bom
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import ODD, prepare, read, write_tar


def packages(path: Path) -> dict[str, dict[str, object]]:
    return {each["SPDXID"]: each for each in read(path)["packages"]}


def named(path: Path, name: str) -> list[dict[str, object]]:
    return [each for each in packages(path).values() if each["name"] == name]


@pytest.mark.parametrize("name", ["x-26.47-odd_~", "x-26.47-debian", "x-26.47-index"])
def test_spdx_tools_and_cyclonedx_read_what_was_made(bills: Path, name: str) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("pyspdxtools"), "-i", bills / f"{name}.spdx.json"],
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stdout.replace("The document is valid.", "").strip()) == (0, ""), checked.stderr
    bom = Bom.from_json(read(bills / f"{name}.cdx.json"))
    bom.validate()
    assert str(bom.metadata.timestamp) == "2023-11-14 22:13:20+00:00"
    assert bom.metadata.component is not None
    assert bom.metadata.component.name == name


def test_no_part_is_dropped_and_what_is_not_known_says_so(bills: Path) -> None:
    path = bills / "x-26.47-odd_~.spdx.json"
    found = packages(path)
    assert {part.name for part in ODD[1:]} <= {each["name"] for each in found.values()}
    assert len(found) == len(ODD) + sum(len(part.sources) for part in ODD)
    (empty,) = named(path, "empty.bst")
    assert (empty["versionInfo"], empty["licenseConcluded"], empty["licenseDeclared"]) == ("NOASSERTION",) * 3
    local = next(each for each in found.values() if str(each.get("sourceInfo", "")).startswith("local files/"))
    assert local["versionInfo"] == "NOASSERTION"
    assert len(named(path, "b")) == 2
    components = read(bills / "x-26.47-odd_~.cdx.json")["components"]
    assert len(components) == len(found) - 1


def test_each_source_of_a_component_says_where_it_is_from(bills: Path) -> None:
    listed = [each for each in packages(bills / "x-26.47-odd_~.spdx.json").values() if "sourceInfo" in each]
    by_name = {each["name"]: each for each in listed if each["externalRefs"][0]["referenceLocator"] == "a/b.bst"}
    commit = "a" * 40
    assert by_name["b"]["downloadLocation"] == f"git+https://git.example.org/b.git@{commit}"
    assert by_name["b"]["versionInfo"] == "1.0"
    assert f"gitoid:commit:sha1:{commit}" in json.dumps(by_name["b"])
    assert by_name["tree"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": "7" * 64}]
    assert by_name["fix.patch"]["downloadLocation"] == "NOASSERTION"
    assert by_name["sub"]["versionInfo"] == "c" * 40


def test_a_licence_that_spdx_does_not_know_is_a_reference_with_its_words(bills: Path) -> None:
    said = read(bills / "x-26.47-odd_~.spdx.json")
    (source,) = [each for each in said["packages"] if "b" * 40 in json.dumps(each) and "sourceInfo" in each]
    assert source["licenseConcluded"] == "GPL-2.0-or-later AND LicenseRef-public-domain"
    assert source["licenseDeclared"] == "GPL-2.0-or-later"
    assert said["hasExtractedLicensingInfos"] == [
        {"licenseId": "LicenseRef-public-domain", "name": "public-domain", "extractedText": "public-domain"}
    ]


def test_a_system_inside_another_is_contained_in_it(bills: Path) -> None:
    said = read(bills / "x-26.47-odd_~.spdx.json")
    contains = [each for each in said["relationships"] if each["relationshipType"] == "CONTAINS"]
    (inner,) = named(bills / "x-26.47-odd_~.spdx.json", "inner.bst")
    assert [each["relatedSpdxElement"] for each in contains] == [inner["SPDXID"]]


def test_the_packages_of_a_tree_are_those_that_are_there(bills: Path) -> None:
    path = bills / "x-26.47-debian.spdx.json"
    found = {(each["name"], each["versionInfo"]) for each in packages(path).values()}
    assert {
        ("hello", "2.10-2+b1"),
        ("hello-source", "2.10-1"),
        ("libc6", "2.36-9"),
        ("unversioned", "NOASSERTION"),
    } <= found
    assert not {"gone", "selected"} & {name for name, _version in found}
    (source,) = named(path, "hello-source")
    assert source["licenseDeclared"] == "GPL-3.0-or-later"
    assert "arch=armhf" in json.dumps(named(path, "hello"))


def test_the_packages_of_an_index_say_where_records_know_their_source_to_be(bills: Path) -> None:
    listed = named(bills / "x-26.47-index.spdx.json", "ros-cturtle-roscpp")
    source = next(each for each in listed if each["primaryPackagePurpose"] == "SOURCE")
    binary = next(each for each in listed if each["primaryPackagePurpose"] == "LIBRARY")
    assert source["downloadLocation"] == f"git+https://git.example.org/ros.git@{'d' * 40}"
    assert "tag ros-1.0.1" in source["sourceInfo"]
    assert {"algorithm": "SHA256", "checksumValue": "a" * 64} in binary["checksums"]
    assert binary["supplier"] == "Organization: Release team (team@example.org)"


def test_another_time_place_locale_and_umask_give_the_same_bytes(
    bills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "23")
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o077)
    try:
        assert make_bills(prepare(tmp_path), python=sys.executable) == {}
    finally:
        os.umask(umask)
    for path in bills.glob("*.json"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_what_is_not_valid_is_told_by_name_and_others_are_made(tmp_path: Path) -> None:
    (tmp_path / "Packages").write_text("Package: bad\nVersion: no version!\nArchitecture: all\n")
    bad = Job("bad", "1", 0, tmp_path / "bad", tmp_path / "bad2", index=tmp_path / "Packages", architecture="amd64")
    good = Job("good", "1", 0, tmp_path / "good", tmp_path / "good2", parts=[Part("x")])
    failures = make_bills([bad, good], python=sys.executable)
    assert list(failures) == ["bad"]
    assert "Could not make the bill of materials of bad: ValueError: Invalid version string" in str(failures["bad"])
    assert (tmp_path / "good").is_file()
    assert not (tmp_path / "bad").exists()


def test_a_python_without_the_tools_is_told(tmp_path: Path) -> None:
    job = Job("x", "1", 0, tmp_path / "a", tmp_path / "b", parts=[Part("x")])
    with pytest.raises(SlipwayError, match=r"/usr/bin/python3 has no \w+. Install buildstream-sbom"):
        make_bills([job], python="/usr/bin/python3")


def test_the_python_is_the_one_beside_bst() -> None:
    assert Path(find_python("bst")).parent == Path(sys.executable).parent
    assert find_python("/nonexistent/bst") == sys.executable


@given(st.lists(st.text(min_size=0, max_size=6), unique=True, max_size=12))
@settings(max_examples=60, deadline=None)
def test_no_two_names_have_one_identifier(names: list[str]) -> None:
    found = make_identifiers(names)
    sources = [f"{each}-{number}" for each in found.values() for number in range(3)]
    everything = [*found.values(), *sources]
    assert len({*everything}) == len(everything)
    assert all(each.replace("-", "").replace(".", "").isalnum() and each.isascii() for each in everything)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"var/lib/dpkg/status": b"Version: 1\nStatus: install ok installed\n"}, "names no package"),
        ({"var/lib/dpkg/status": b"\x00\xff\xfe garbage\n"}, "names no package"),
    ],
)
def test_a_list_of_packages_that_is_none_is_refused(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        take_tree(write_tar(tmp_path / "x.tar", files), tmp_path / "tree", name="x")


def test_a_tree_without_a_package_manager_has_a_file_for_each_package(tmp_path: Path) -> None:
    parts = {f"var/lib/dpkg/status.d/{n}": f"Package: {n}\nVersion: 1\nArchitecture: arm64\n".encode() for n in "ab"}
    files = {**parts, "var/lib/dpkg/status.d/a.md5sums": b"d41d8  usr/bin/a\n"}
    assert take_tree(write_tar(tmp_path / "x.tar", files), tmp_path / "tree", name="x") == "arm64"
    assert (tmp_path / "tree/var/lib/dpkg/status").read_text().count("Package:") == 2


def test_a_tree_without_packages_has_none(tmp_path: Path) -> None:
    assert take_tree(write_tar(tmp_path / "x.tar", {"etc/passwd": b""}), tmp_path / "tree", name="x") == ""
    (tmp_path / "cut.tar").write_bytes(b"x" * 100)
    with pytest.raises(SlipwayError, match="no whole tar archive"):
        take_tree(tmp_path / "cut.tar", tmp_path / "tree", name="x")

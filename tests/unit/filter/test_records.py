"""What filters find of a release's plan in its records."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.filter.deployed_files import deployed_files
from ansible_collections.slipway.release.plugins.filter.with_outputs import with_outputs

SYSTEMS = [{"name": "one", "file": "one.bst", "architecture": "x86_64"}, {"name": "two", "file": "two.bst"}]
DISK = {"name": "disk", "file": "b-1-disk.img", "system": "one.bst", "architecture": "x86_64", "type": "rawdisk"}
FILE = {"name": "b-1-disk.img", "size": 5, "sha256": "ab"}
RECORDS = {"build-one": {"outputs": {"key": "k", "artifact": "a/k"}}, "deploy-disk": {"outputs": FILE}}


def test_systems_are_joined_with_the_outputs_that_are_asked_for() -> None:
    assert with_outputs(SYSTEMS, RECORDS, "build", ["key"]) == [
        {"name": "one", "file": "one.bst", "architecture": "x86_64", "key": "k"},
        {"name": "two", "file": "two.bst", "key": None},
    ]
    assert [each["artifact"] for each in with_outputs(SYSTEMS, {}, "build", ["artifact"])] == [None, None]


def test_files_have_the_digests_that_their_records_say() -> None:
    tar = {**DISK, "name": "tar", "file": "b-1.tar", "type": "tar"}
    facts = {"system": "one.bst", "architecture": "x86_64"}
    assert deployed_files(RECORDS, {"deployments": [tar, DISK]}) == [
        {"name": "b-1.tar", "size": None, "sha256": None, "deployment": "tar", "type": "tar", **facts},
        {**FILE, "deployment": "disk", "type": "rawdisk", **facts},
    ]

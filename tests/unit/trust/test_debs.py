# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_deb
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.securesystems import verify_line
from debs import make_deb
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from publishing import run_module, tree

URL = "https://robot:secret@git.example.org/a"


@pytest.fixture
def published(tmp_path: Path) -> dict[str, Any]:
    """A published release of one package, and what the module is told of it."""
    home = tmp_path / "gnupg"
    key = make_key(home, "Archive <archive@example.org>")
    path = make_deb(tmp_path / "stamped", "d-a", "1-r1", "amd64")
    directory = tmp_path / "fixed"
    directory.mkdir()
    archive = Archive(directory, "Slipway", "main", home, key)
    publication.publish_release(archive, Release("d", "r1", {"bookworm": {"amd64": (read_deb(path),)}}, {"of": "x"}))
    shadow, buildinfo = make_deb(tmp_path / "shadow", "d-a", "1", "amd64"), tmp_path / "buildinfo/bookworm/d-a"
    buildinfo.mkdir(parents=True)
    for name, text in (("d-a_1_amd64", shadow.read_bytes()), ("d-a_0_amd64", b"another build")):
        checksum = hashlib.sha256(text).hexdigest()
        (buildinfo / f"{name}.buildinfo").write_text(f"Source: d-a\nChecksums-Sha256:\n {checksum} 7 d-a.deb\n")
    return {
        "directory": str(directory),
        "label": "d-r1",
        "debs": [str(shadow)],
        "buildinfo": [str(tmp_path / "buildinfo"), str(tmp_path / "none")],
        "sources": {
            "d-a": {"kind": "git", "repository": "https://:secret@git.example.org/a", "tag": "1", "commit": "a" * 40}
        },
        "builder": "https://example.org/builder",
        "gnupghome": str(home),
    }


def test_a_release_of_debs_is_stated_once_beside_its_snapshot(published: dict[str, Any], tmp_path: Path) -> None:
    directory = Path(published["directory"])
    before = tree(directory)
    assert run_module("deb_statement", published, check=True)["changed"]
    assert tree(directory) == before
    made = run_module("deb_statement", published)
    path = directory / "snapshots/d-r1.intoto.jsonl"
    assert (made["changed"], made["file"]["sha256"]) == (True, hashlib.sha256(path.read_bytes()).hexdigest())
    (line,) = path.read_bytes().splitlines()
    home = published["gnupghome"]
    payload = verify_line(line, gnupghome=home, fingerprint=made["signed_by"], on="the statement")
    Statement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement())).validate()
    said = json.loads(payload)
    for subject in said["subject"]:
        file = directory / "snapshots/d-r1" / subject["name"]
        assert subject["digest"] == {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    names = [subject["name"] for subject in said["subject"]]
    assert {"dists/bookworm/InRelease", "dists/bookworm/main/binary-amd64/Packages"} <= set(names)
    definition = said["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"distribution": "d", "release": "r1", "label": "d-r1"}
    source, info, deb = definition["resolvedDependencies"]
    assert (source["uri"].endswith("git.example.org/a"), source["digest"]) == (True, {"gitCommit": "a" * 40})
    assert info["name"] == "d-a_1_amd64.buildinfo"
    assert deb["digest"]["sha256"] == hashlib.sha256(Path(published["debs"][0]).read_bytes()).hexdigest()
    (package,) = said["predicate"]["runDetails"]["byproducts"]
    assert (directory / package["name"]).is_file()
    assert b"secret" not in payload
    # Once it is public, what it was made of may be gone.
    for arguments in (published, {**published, "debs": [], "buildinfo": [], "sources": {}}):
        again = run_module("deb_statement", arguments)
        assert (again["changed"], again["file"]) == (False, made["file"])


def test_a_statement_of_other_bytes_is_refused(published: dict[str, Any]) -> None:
    run_module("deb_statement", published)
    index = Path(published["directory"]) / "snapshots/d-r1/dists/bookworm/main/binary-amd64/Packages"
    index.write_text(index.read_text() + "\n")
    refused = run_module("deb_statement", published)
    assert refused["failed"]
    assert "confirm the public statements d-r1.intoto.jsonl" in refused["msg"]


def test_a_release_that_is_not_published_is_told(published: dict[str, Any]) -> None:
    refused = run_module("deb_statement", {**published, "label": "d-r2"})
    assert "has no such release" in refused["msg"]

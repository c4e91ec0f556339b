# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import copy
import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust import (
    dsse,
    securesystems,
    statement,
    stating,
)
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from publishing import run_module, tree

COMMIT = "924cf7e2f6e9bc4218fdce0ea9b0cf5c3c94f712"
KEY = "a" * 64
SITE = statement.Site("https://releases.example.org/builder", {"name": "anvil"})
NAME = "baserock-26.47-tiny-x86_64.img.gz"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(stage: str, minute: int, **more: Any) -> dict[str, Any]:
    times = {"started": f"2026-12-01T02:{minute:02}:00Z", "ended": f"2026-12-01T02:{minute:02}:30Z"}
    parts: dict[str, Any] = {"inputs": {}, "outputs": {}, "tools": {}}
    return {"stage": stage, "project": "baserock", "version": "26.47", "seal": digest(stage), **times, **parts, **more}


def make_plan() -> dict[str, Any]:
    return {
        "project": "baserock",
        "version": "26.47",
        "label": "baserock-26.47",
        "branch": "baserock/release/baserock-26.47",
        "tag": "baserock-26.47",
        "cluster": "clusters/release.morph",
        "cluster_sha256": digest("cluster"),
        "published": [],
        "definitions": {
            "url": "https://robot:secret@git.example.org/definitions.git",
            "path": "baserock/definitions",
            "commit": COMMIT,
        },
        "systems": [
            {"name": name, "file": f"systems/{name}.bst", "architecture": "x86_64"}
            for name in ("tiny", "initramfs", "other")
        ],
    }


def make_records() -> dict[str, Any]:
    image = {
        "name": "baserock-26.47-tiny-x86_64.img",
        "size": 10,
        "sha256": digest("image"),
        "deployment": "tiny-disk",
        "system": "systems/tiny.bst",
        "architecture": "x86_64",
        "type": "rawdisk",
    }
    other = {**image, "name": "baserock-26.47-other.tar", "deployment": "other-tar", "system": "systems/other.bst"}
    bill = {
        **image,
        "name": "baserock-26.47-tiny.spdx.json",
        "deployment": "bill-tiny",
        "type": "bill",
        "compression": "none",
    }
    names = [NAME, "baserock-26.47-other.tar.gz", bill["name"], "manifest.json"]
    gate = {
        "gate": "boot",
        "subject": "tiny-disk",
        "system": "systems/tiny.bst",
        "architecture": "x86_64",
        "product": "baserock",
        "result": "waived",
        "reason": "the port is new",
        "until": "2027-01-01",
        "waiver": "tiny",
        "expected": "the report id=tiny",
        "fault": "its log /srv/private/log says no",
        "seconds": 3.5,
        "log": "/srv/private/log",
        "facts": {
            "firmware": "bios",
            "before": {
                "label": "baserock-26.46",
                "name": "baserock-26.46-tiny-x86_64.img.gz",
                "sha256": digest("before"),
            },
        },
        "key": KEY,
    }
    approval = {
        "name": "anne",
        "fingerprint": "SHA256:abc",
        "date": "2026-12-01T01:00:00Z",
        "commit": COMMIT,
        "tag": "approve/baserock-26.47/anne",
        "object": "b" * 40,
    }
    return {
        **{
            f"build-{name}": record(
                f"build-{name}",
                minute,
                inputs={"options": {"arch": "x86_64"}},
                outputs={"key": digest(name)},
                tools={"bst": "2.8.1"},
            )
            for minute, name in enumerate(("tiny", "initramfs", "other"), 10)
        },
        "deploy-tiny-disk": record(
            "deploy-tiny-disk",
            20,
            inputs={
                "system": "tiny",
                "epoch": 1686355200,
                "subsystems": {"i": {"system": "initramfs", "subsystems": {}}},
            },
            tools={"genimage": "16"},
        ),
        "deploy-other-tar": record("deploy-other-tar", 25, inputs={"system": "other"}),
        "package": record(
            "package",
            30,
            inputs={"images": [image, other, bill], "level": 6},
            outputs={
                "files": [{"name": each, "size": 1, "sha256": digest(each)} for each in names],
                "sidecars": [
                    {"name": each, "size": 1, "sha256": digest(each)} for each in ("SHA256SUMS", "SHA256SUMS.asc")
                ],
                "signed_by": None,
            },
            tools={"gpg": "2.2.40"},
        ),
        "gate": record("gate", 40, outputs={"gates": [gate]}),
        "approval": record("approval", 50, outputs={"approvals": [approval]}),
    }


def make(plan: dict[str, Any] | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    made = statement.make_statements(plan or make_plan(), make_records(), SITE, **more)
    return {each["subject"][0]["name"]: each for each in made}


def test_there_is_a_statement_for_each_file_that_the_sums_list_and_for_the_sums() -> None:
    made = make()
    names = [NAME, "baserock-26.47-other.tar.gz", "baserock-26.47-tiny.spdx.json", "manifest.json"]
    assert sorted(made) == sorted([*names, "SHA256SUMS"])
    for name, each in made.items():
        assert each["subject"] == [{"name": name, "digest": {"sha256": digest(name)}}]


def test_a_statement_is_what_in_toto_reads() -> None:
    for each in make().values():
        message = json_format.Parse(json.dumps(each), statement_pb2.Statement())
        Statement.copy_from_pb(message).validate()
        assert message.predicate_type == "https://slsa.dev/provenance/v1"
        definition = message.predicate["buildDefinition"]
        assert definition["buildType"] == "urn:slipway:build:definitions:1"
        assert message.predicate["runDetails"]["builder"]["id"] == SITE.builder


def test_a_file_is_stated_to_be_made_of_its_own_systems_and_judged_by_its_own_gates() -> None:
    tiny, other = (make()[name]["predicate"] for name in (NAME, "baserock-26.47-other.tar.gz"))
    names = [each["name"] for each in tiny["buildDefinition"]["resolvedDependencies"]]
    assert names == [
        *("definitions", "clusters/release.morph", "systems/tiny.bst", "systems/initramfs.bst"),
        *("baserock-26.47-tiny.spdx.json", "baserock-26.46-tiny-x86_64.img.gz"),
    ]
    assert [each["name"] for each in tiny["runDetails"]["byproducts"]] == [
        *("baserock-26.47-tiny-x86_64.img", "gate/boot/tiny-disk/bios", "approval/anne")
    ]
    gate = tiny["runDetails"]["byproducts"][1]
    assert gate["digest"] == {"sha256": KEY}
    assert (gate["annotations"]["result"], gate["annotations"]["reason"]) == ("waived", "the port is new")
    assert tiny["runDetails"]["byproducts"][2]["digest"] == {"gitTag": "b" * 40}
    assert tiny["runDetails"]["builder"]["version"] == {"bst": "2.8.1", "genimage": "16", "gpg": "2.2.40"}
    times = tiny["runDetails"]["metadata"]
    assert (times["startedOn"], times["finishedOn"]) == ("2026-12-01T02:10:00Z", "2026-12-01T02:30:30Z")
    assert tiny["buildDefinition"]["internalParameters"]["file"]["epoch"] == 1686355200
    assert [each["name"] for each in other["buildDefinition"]["internalParameters"]["systems"]] == ["other"]
    assert [each["name"] for each in other["runDetails"]["byproducts"]] == ["baserock-26.47-other.tar", "approval/anne"]


def test_nothing_private_is_stated() -> None:
    text = json.dumps(make())
    for private in ("secret", "/srv/", "seconds"):
        assert private not in text
    assert "git.example.org/definitions.git@refs/heads/baserock/release/baserock-26.47" in text
    local = make_plan()
    local["definitions"]["url"] = "/home/anne/definitions"
    assert "/home" not in json.dumps(make(local))


def test_files_of_others_are_stated_without_definitions() -> None:
    plan = {**make_plan(), "definitions": None, "systems": []}
    (tiny,) = [each for name, each in make(plan).items() if name == NAME]
    definition = tiny["predicate"]["buildDefinition"]
    assert definition["buildType"] == "urn:slipway:build:files:1"
    assert "definitions" not in definition["externalParameters"]
    assert "definitions" not in [each["name"] for each in definition["resolvedDependencies"]]


def test_components_of_bills_are_stated_as_sources(tmp_path: Path) -> None:
    packages = [
        {
            "name": "busybox",
            "versionInfo": "1.36",
            "downloadLocation": f"git+https://git.example.org/busybox.git@{COMMIT}",
        },
        {
            "name": "musl",
            "downloadLocation": "https://x.example/m.tar",
            "checksums": [{"algorithm": "SHA256", "checksumValue": "AB" * 32}],
        },
        {"name": "unknown", "downloadLocation": "NOASSERTION"},
        "no package",
    ]
    images = make_records()["package"]["inputs"]["images"]
    (tmp_path / "baserock-26.47-tiny.spdx.json").write_text(json.dumps({"packages": packages[:3]}))
    found = statement.read_components(tmp_path, images)
    assert list(found) == ["systems/tiny.bst"]
    dependencies = make(components=found)[NAME]["predicate"]["buildDefinition"]["resolvedDependencies"]
    (busybox,) = [each for each in dependencies if each["name"] == "busybox"]
    assert busybox["digest"] == {"gitCommit": COMMIT}
    assert busybox["annotations"] == {"version": "1.36"}
    (musl,) = [each for each in dependencies if each["name"] == "musl"]
    assert musl["digest"] == {"sha256": "ab" * 32}
    for bad in ("{", "[]", '{"packages": 3}', json.dumps({"packages": packages}), '{"a":' * 10_000):
        (tmp_path / "baserock-26.47-tiny.spdx.json").write_text(bad)
        assert statement.read_components(tmp_path, images) == {}


def later(said: dict[str, Any]) -> None:
    said["predicate"]["runDetails"]["metadata"]["startedOn"] = "2027-01-01T00:00:00Z"
    said["predicate"]["runDetails"]["builder"]["version"]["bst"] = "2.9"
    said["predicate"]["buildDefinition"]["resolvedDependencies"].pop()


def other_commit(said: dict[str, Any]) -> None:
    said["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"] = "c" * 40


def other_bytes(said: dict[str, Any]) -> None:
    said["subject"][0]["digest"]["sha256"] = "d" * 64


def other_version(said: dict[str, Any]) -> None:
    said["predicate"]["buildDefinition"]["externalParameters"]["version"] = "26.48"


def other_name(said: dict[str, Any]) -> None:
    said["subject"][0]["name"] = "another"


def nothing(said: dict[str, Any]) -> None:
    said.clear()


@pytest.mark.parametrize(
    ("change", "count"),
    [(later, 0), (other_commit, 1), (other_bytes, 1), (other_version, 1), (other_name, 2), (nothing, 2)],
)
def test_what_is_public_may_differ_in_times_and_in_nothing_that_counts(
    change: Callable[[dict[str, Any]], None], count: int
) -> None:
    ours = list(make().values())
    theirs = copy.deepcopy(ours)
    change(theirs[0])
    assert len(statement.find_contradictions(theirs, ours)) == count


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("keys") / "gnupg"
    make_key(home, "Release <release@example.org>")
    return home


class Desk:
    """What the stage has."""

    def __init__(self, top: Path, home: Path) -> None:
        self.records = make_records()
        self.path, self.public = top / "baserock-26.47.intoto.jsonl", top / "public"
        self.public.mkdir()
        self.arguments = {
            "plan": make_plan(),
            "path": str(self.path),
            "artifacts": str(top),
            "gnupghome": str(home),
            "builder": SITE.builder,
            "host": {"name": "anvil"},
            "channels": [f"file://{self.public}"],
        }

    def run(self, *, check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module("release_statements", {**self.arguments, "records": self.records, **more}, check=check)

    def keep(self, said: dict[str, Any]) -> None:
        self.records["statement"] = record("statement", 55, outputs={"file": said["file"]})

    def publish(self) -> None:
        (self.public / self.path.name).write_bytes(self.path.read_bytes())
        self.records["publication"] = record("publication", 56)


@pytest.fixture
def desk(tmp_path: Path, keys: Path) -> Desk:
    return Desk(tmp_path, keys)


def test_statements_are_made_once_and_everybody_can_verify_them(desk: Desk, keys: Path, tmp_path: Path) -> None:
    would = desk.run(check=True)
    assert (would["changed"], would["file"]["sha256"], desk.path.exists()) == (True, None, False)
    made = desk.run()
    assert made["changed"]
    assert made["file"]["sha256"] == hashlib.sha256(desk.path.read_bytes()).hexdigest()
    assert made["statements"][-1] == "SHA256SUMS"
    lines = desk.path.read_bytes().splitlines()
    assert len(lines) == 5
    for line in lines:
        payload = securesystems.verify_line(line, gnupghome=keys, fingerprint=made["signed_by"], on="a statement")
        assert json.loads(payload)["_type"] == "https://in-toto.io/Statement/v1"
    before = tree(tmp_path)
    for keeps in (False, True):
        if keeps:
            desk.keep(made)
        for check in (True, False):
            again = desk.run(check=check)
            assert (again["changed"], again["file"]) == (False, made["file"])
    assert tree(tmp_path) == before


def test_until_it_is_public_it_follows_the_records(desk: Desk) -> None:
    made = desk.run()
    desk.keep(made)
    desk.records["gate"]["outputs"]["gates"][0]["result"] = "passed"
    again = desk.run()
    assert again["changed"]
    assert again["file"]["sha256"] != made["file"]["sha256"]
    assert b'"passed"' in base64.b64decode(json.loads(desk.path.read_bytes().splitlines()[0])["payload"]) + b"".join(
        base64.b64decode(json.loads(line)["payload"]) for line in desk.path.read_bytes().splitlines()
    )


def test_what_is_public_is_kept_though_records_were_made_again(desk: Desk) -> None:
    made = desk.run()
    desk.keep(made)
    desk.publish()
    before = desk.path.read_bytes()
    desk.records["package"]["started"] = desk.records["package"]["ended"] = "2026-12-24T00:00:00Z"
    assert (desk.run()["changed"], desk.path.read_bytes()) == (False, before)
    desk.path.unlink()
    for kept in (True, False):
        if not kept:
            del desk.records["statement"]
        restored = desk.run()
        assert (restored["changed"], desk.path.read_bytes()) == (kept, before)


def test_what_is_public_and_says_otherwise_is_refused_with_both(desk: Desk) -> None:
    made = desk.run()
    desk.publish()
    desk.path.unlink()
    desk.records["package"]["outputs"]["files"][0]["sha256"] = "e" * 64
    refused = desk.run()
    assert refused["failed"]
    assert digest(NAME) in refused["msg"]
    assert "e" * 64 in refused["msg"]
    assert not desk.path.exists()
    desk.keep({"file": {**made["file"], "sha256": "f" * 64}})
    refused = desk.run()
    assert f"they have sha256 {made['file']['sha256']}, on record is {'f' * 64}" in refused["msg"]
    (desk.public / desk.path.name).unlink()
    refused = desk.run()
    assert "there is no file, and no channel serves them" in refused["msg"]


def test_what_somebody_else_signed_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.run()
    desk.publish()
    desk.path.unlink()
    other = make_key(tmp_path / "other", "Eve <eve@example.org>")
    content = (desk.public / desk.path.name).read_bytes()
    payloads = [base64.b64decode(json.loads(line)["payload"]) for line in content.splitlines()]
    lines = dsse.sign_envelopes(payloads, dsse.STATEMENT, gnupghome=tmp_path / "other", fingerprint=other)
    (desk.public / desk.path.name).write_bytes(b"".join(lines))
    refused = desk.run()
    assert refused["failed"]
    assert "securesystemslib says" in refused["msg"]


def test_a_channel_that_cannot_be_asked_is_a_warning(desk: Desk, keys: Path) -> None:
    made = stating.state(
        list(make().values()),
        desk.path,
        gnupghome=keys,
        signing_key=None,
        source=stating.Source(["http://127.0.0.1:9/"]),
    )
    assert made.made
    assert "could not be asked whether statements are public there: " in made.warnings[0]


def test_what_is_to_be_stated_must_be_on_record(desk: Desk) -> None:
    del desk.records["approval"]
    refused = desk.run(required_before=["approval"])
    assert "there is no record approval" in refused["msg"]


def test_fifty_files_take_less_than_two_seconds(desk: Desk, keys: Path) -> None:
    outputs = desk.records["package"]["outputs"]
    outputs["files"] += [{"name": f"more-{number}", "size": 1, "sha256": digest(str(number))} for number in range(46)]
    before = time.monotonic()
    assert len(desk.run()["statements"]) == 51
    assert time.monotonic() - before < 12  # a bound that holds on a busy machine; it takes about one second


def test_a_fixed_file_is_made_once_and_never_changed(tmp_path: Path) -> None:
    path, content = tmp_path / "baserock-26.47.intoto.jsonl", b"{}\n"
    arguments = {
        "path": str(path),
        "content": base64.b64encode(content).decode(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert run_module("fixed_file", arguments, check=True)["changed"]
    assert not path.exists()
    assert run_module("fixed_file", arguments)["changed"]
    assert path.read_bytes() == content
    for check in (False, True):
        assert run_module("fixed_file", arguments, check=check)["changed"] is False
    other = {**arguments, "content": base64.b64encode(b"x").decode(), "sha256": hashlib.sha256(b"x").hexdigest()}
    for change, why in (
        (other, f"what is public has sha256 {arguments['sha256']}, what was to be published {other['sha256']}"),
        ({**arguments, "sha256": "0" * 64}, "on record is 0000"),
        ({**arguments, "content": "*"}, "is no base64"),
    ):
        refused = run_module("fixed_file", change)
        assert why in refused["msg"]
    assert path.read_bytes() == content
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert run_module("fixed_file", arguments)["failed"]


#: As docs/statements.md has it.
RECIPE = r"""
file=$1; jsonl=$2; key=$3; dir=$(mktemp -d)
sum=$(sha256sum "$file" | cut -d ' ' -f 1)
while read -r line; do
    printf '%s' "$line" | jq -j .payload | base64 -d > "$dir/body"
    jq -e --arg sum "$sum" '.subject[].digest.sha256 == $sum' "$dir/body" > /dev/null || continue
    type=$(printf '%s' "$line" | jq -j .payloadType)
    { printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(stat -c %s "$dir/body")"; cat "$dir/body"; } > "$dir/signed"
    printf '%s' "$line" | jq -j '.signatures[0].sig' | base64 -d > "$dir/sig"
    sqv --keyring "$key" "$dir/sig" "$dir/signed" && exec jq .predicate "$dir/body"
done < "$jsonl"
echo "nothing that this key signed is stated of $file" >&2; exit 1
"""


def test_the_documented_recipe_verifies_a_statement_and_no_other(desk: Desk, keys: Path, tmp_path: Path) -> None:
    documented = (Path(__file__).resolve().parents[3] / "docs/statements.md").read_text()
    assert RECIPE.strip() in documented
    file, other, key = tmp_path / NAME, tmp_path / "other", tmp_path / "release-key.asc"
    file.write_bytes(b"the image")
    other.write_bytes(b"another")
    desk.records["package"]["outputs"]["files"][0]["sha256"] = hashlib.sha256(b"the image").hexdigest()
    made = desk.run()
    key.write_bytes(export_public_key(keys, made["signed_by"]))
    for path, good in ((file, True), (other, False)):
        words = ["bash", "-c", RECIPE, "verify", path, desk.path, key]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is good, done.stderr
        assert (COMMIT in done.stdout) is good
    desk.path.write_bytes(desk.path.read_bytes().replace(b'"sig":"', b'"sig":"AAAA'))
    done = subprocess.run(
        ["bash", "-c", RECIPE, "verify", file, desk.path, key], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0

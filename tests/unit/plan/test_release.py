"""A release is planned from the definitions alone, and nothing is changed by it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway import process
from ansible_collections.slipway.release.plugins.module_utils.slipway.git import remote
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.request import ARCHITECTURES
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.approval import Approval
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.values import to_plain
from ansible_collections.slipway.release.plugins.module_utils.slipway.release import records
from planning import CLUSTER, HOSTS, head, refused


def test_the_plan_says_everything_that_the_stages_need(trove, request_, tmp_path):
    planned = make_plan(request_)
    state = str(tmp_path / "state")
    initramfs = {
        "name": "initramfs",
        "system": "systems/initramfs-x86_64.bst",
        "system_name": "initramfs-x86_64",
        "architecture": "x86_64",
        "type": "initramfs",
        "location": "boot/initramfs.gz",
        "settings": {},
        "subsystems": [],
    }
    minimal = {
        "system": "systems/minimal-x86_64.bst",
        "system_name": "minimal-x86_64",
        "architecture": "x86_64",
        "subsystems": [initramfs],
    }
    assert planned.plan == {
        "project": "baserock",
        "version": "26.47",
        "label": "baserock-26.47",
        "branch": "baserock/release/baserock-26.47",
        "tag": "baserock-26.47",
        "definitions": {
            "url": str(trove.bare),
            "mirror_url": "/mirror/definitions.git",
            "path": "baserock/baserock/definitions",
            "ref": "master",
            "commit": head(trove),
        },
        "cluster": "clusters/release.morph",
        "cluster_sha256": subprocess.run(
            ["sha256sum", trove.work / "clusters/release.morph"], check=True, capture_output=True
        ).stdout.decode()[:64],
        "epoch": 1700000000,
        "systems": [
            {"name": "minimal-x86_64", "file": "systems/minimal-x86_64.bst", "architecture": "x86_64"},
            {"name": "initramfs-x86_64", "file": "systems/initramfs-x86_64.bst", "architecture": "x86_64"},
            {"name": "board-armv7lhf", "file": "systems/board-armv7lhf.morph", "architecture": "armv7lhf"},
        ],
        "deployments": [
            {
                "name": "minimal-tar",
                "type": "tar",
                "location": "minimal.tar",
                "file": "baserock-26.47-minimal.tar",
                "settings": {},
                "product": "baserock",
                **minimal,
            },
            {
                "name": "minimal-disk",
                "type": "rawdisk",
                "location": "minimal.img",
                "file": "baserock-26.47-minimal.img",
                "settings": {"DISK_SIZE": "1G"},
                "product": "baserock",
                **minimal,
            },
            {
                "name": "board",
                "system": "systems/board-armv7lhf.morph",
                "system_name": "board-armv7lhf",
                "architecture": "armv7lhf",
                "type": "tar",
                "location": "board.tar",
                "file": "baserock-26.47-board.tar",
                "settings": {},
                "subsystems": [],
                "product": "baserock",
            },
        ],
        "extras": [],
        "skipped": [],
        "products": [
            {
                "name": "baserock",
                "title": "baserock",
                "systems": ["minimal-x86_64", "board-armv7lhf"],
                "schedule": {**dict.fromkeys(("start", "until", "systems", "components")), "kind": "always", "days": 0},
                "supported": None,
                "compression": None,
                "gates": {"boot": None, "upgrade": None, "difference": None, "bill": None},
                "extras": [],
                "bills": {"make": None, "licences": None, "stated": {}},
                "lists": [],
                "notes": {},
            }
        ],
        "left_out": [],
        "published": [],
        "policy": {"waivers": [], "approval": to_plain(Approval()), "held": [], "rules": {}, "reproduction": ""},
        "coordinator": "coordinator-1",
        "build_hosts": {architecture: list(hosts) for architecture, hosts in HOSTS.items()},
        "directories": {
            "state": state,
            "release": f"{state}/releases/26.47",
            **{name: f"{state}/releases/26.47/{name}" for name in ("records", "images", "artifacts", "logs", "source")},
        },
        "remote": {
            "branch_commit": None,
            "tag_commit": None,
            "ref_commit": head(trove),
            "previous_tag": None,
            "previous_commit": None,
            "newer_tags": [],
        },
        "move": {"commit": head(trove), "before": None, "fixes": [], "outdated": [], "earlier": []},
    }
    assert planned.records == {}
    assert planned.warnings == []


def test_what_is_not_committed_is_told(trove, request_):
    here = replace(request_, url=str(trove.work))
    assert make_plan(here).warnings == []
    (trove.work / "new file").write_text("x")
    (trove.work / "clusters/release.morph").write_text("x")
    (warning,) = make_plan(here).warnings
    assert "clusters/release.morph, new file differ from what is committed; baserock-26.47 is made of" in warning


def test_planning_changes_nothing(trove, request_, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for url in (request_.url, f"file://{request_.url}"):
        make_plan(replace(request_, url=url))
        refused(replace(request_, url=url, cluster="clusters/none.morph"))
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_planning_starts_few_programs(request_, monkeypatch):
    started = []

    def counted(words, **options):
        started.append(words[2])
        return process.run(words, **options)

    monkeypatch.setattr(remote, "run", counted)
    make_plan(request_)
    assert started == ["ls-remote", *["cat-file"] * 5]


def test_a_tag_on_another_commit_is_refused_with_both_commits(trove, request_):
    tagged = head(trove)
    trove.tag("baserock-26.47")
    other = trove.commit({"later": "x"})
    said = str(refused(request_))
    assert said == (
        f"Could not release baserock-26.47: the tag baserock-26.47 of {trove.bare} exists already "
        f"on the commit {tagged}, and master is {other}. "
        "Nothing was changed. A tag is never moved: release under another version."
    )
    trove.push("HEAD:refs/heads/baserock/release/baserock-26.47")
    said = str(refused(request_))
    assert f"on the commit {tagged}, and the head of the branch baserock/release/baserock-26.47 is {other}." in said


BRANCH = "baserock/release/baserock-26.47"


@pytest.fixture
def begun(trove, tmp_path):
    """The commit of a release that has a branch and the records of its first stages; and how to add a record."""
    commit = trove.push(f"HEAD:refs/heads/{BRANCH}")

    def keep(stage, **outputs):
        record = {"stage": stage, "project": "baserock", "version": "26.47", "inputs": {}, "outputs": outputs}
        records.keep_record(tmp_path / "state/releases/26.47/records", record)

    for stage in ("preflight", "branch", "package"):
        keep(stage, commit=commit)
    return commit, keep


def test_a_branch_that_moved_forward_before_publication_is_released_with_its_fixes(trove, request_, begun):
    before, _keep = begun
    assert make_plan(request_).records.keys() == {"preflight", "branch", "package"}
    now = trove.commit({"fix": "x"}, branch=BRANCH)
    result = make_plan(request_)
    assert result.plan["definitions"]["commit"] == now
    assert result.plan["move"] == {
        "commit": now,
        "before": before,
        "fixes": [{"commit": now, "author": "a b", "subject": "change"}],
        "outdated": ["branch", "package"],
        "earlier": [before],
    }
    assert result.records.keys() == {"preflight"}


def test_fixes_are_counted_over_several_moves(trove, request_, begun, tmp_path):
    first, keep = begun
    (tmp_path / "state/releases/26.47/records/branch.json").unlink()
    second = trove.commit({"fix": "x"}, branch=BRANCH)
    keep("branch", commit=second, fixed_since=[first])
    assert make_plan(request_).plan["move"]["earlier"] == [first]
    third = trove.commit({"fix": "y"}, branch=BRANCH)
    assert make_plan(request_).plan["move"]["earlier"] == [first, second]
    assert make_plan(request_).plan["move"]["commit"] == third


def test_a_branch_that_moved_back_or_elsewhere_is_refused_with_both_commits(trove, request_, begun):
    before, _keep = begun
    trove.run("checkout", "--quiet", "--orphan", "other")
    other = trove.commit({"fix": "x"}, branch="other")
    trove.run("push", "--quiet", "--force", str(trove.bare), f"{other}:refs/heads/{BRANCH}")
    said = str(refused(request_))
    assert f"was created at {before}, but is at {other}, which does not contain that commit" in said
    assert "Put it back, or merge that commit into it" in said


@pytest.mark.parametrize(("stage", "word"), [("publication", "public"), ("tag", "public"), ("announcement", "public")])
def test_a_branch_that_moved_after_publication_is_refused(trove, request_, begun, stage, word):
    before, keep = begun
    keep(stage)
    now = trove.commit({"fix": "x"}, branch=BRANCH)
    assert str(refused(request_)).endswith(
        f"was created at {before}, but is at {now}, and baserock-26.47 is {word} already. "
        "Nothing was changed. Put the branch back, and release the fix under another version."
    )


def test_a_branch_that_moved_after_its_tag_was_made_elsewhere_is_refused(trove, request_, begun):
    trove.tag("baserock-26.47")
    trove.commit({"fix": "x"}, branch=BRANCH)
    assert "and baserock-26.47 is tagged already" in str(refused(request_))


def test_a_branch_that_is_gone_is_refused(trove, request_, begun, tmp_path):
    trove.run("push", "--quiet", "--delete", str(trove.bare), BRANCH)
    said = str(refused(request_))
    assert f"was created at {begun[0]}, but does not exist any more. Nothing was changed. Put it back; or, if" in said
    assert f"remove {tmp_path}/state/releases/26.47 and run again." in said


def test_an_edited_record_is_refused_by_its_name(trove, request_, tmp_path):
    directory = tmp_path / "state/releases/26.47/records"
    record = {"stage": "tag", "project": "baserock", "version": "26.47", "inputs": {}, "outputs": {"tag": "x"}}
    records.keep_record(directory, record)
    path = directory / "tag.json"
    path.write_text(path.read_text().replace('"x"', '"y"'))
    assert str(path) in str(refused(request_))
    assert "it was edited" in str(refused(request_))


@pytest.mark.parametrize("version", [None, "", "26/47", "-26.47", "26 47", "26..47", 26.4])
def test_a_bad_version_is_refused_before_the_trove_is_asked(request_, version):
    said = str(refused(replace(request_, version=version, url="/nowhere")))
    assert "version" in said
    assert "/nowhere" not in said


def test_every_wrong_setting_is_listed_at_once(request_):
    error = refused(
        replace(
            request_,
            url="",
            mirror_url="",
            ref="a b",
            cluster="/etc/passwd",
            state_directory="",
            allow_missing_arches=["x86-64"],
            build_hosts={"arm": ["b1", "b2"]},
        )
    )
    known = "; known are armv5l, armv6l, "
    assert str(error).startswith("Could not plan baserock-26.47: 7 settings are wrong. Nothing was changed. Correct")
    assert error.findings[:5] == [
        "release_definitions_url is ''; give the URL of the definitions on the public Trove",
        "release_definitions_mirror_url is empty; give the URL of the definitions on the local Trove",
        "release_definitions_ref is 'a b': it holds ' ', which git refuses; give a branch, a tag or a commit",
        "release_cluster is '/etc/passwd'; give a path inside the definitions, such as clusters/release.morph",
        "release_state_directory is empty; give the directory that keeps releases",
    ]
    assert error.findings[5].startswith(
        f"release_allow_missing_arches names the unknown architecture 'x86-64' (did you mean x86_64?){known}"
    )
    assert error.findings[6].startswith(
        f"build_host_architectures of b1, b2 names the unknown architecture 'arm'{known}"
    )


def test_a_ref_that_does_not_exist_is_refused(trove, request_):
    assert str(refused(replace(request_, ref="main"))) == (
        f"Could not find main in {trove.bare}: it has no branch or tag of this name. "
        "Set release_definitions_ref to a branch, a tag or a whole commit, and run again."
    )


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "it is empty"),
        (b"\xff", "byte 0 is not UTF-8"),
        ("kind: [", "it is not YAML: line"),
        ("kind: system\n", "kind: it is of the kind system; a release needs a file with kind: cluster (line 1)"),
        ("kind: cluster\n", "systems: the cluster lists no systems; give at least one (line 1)"),
    ],
)
def test_a_cluster_file_that_is_none_is_refused(trove, request_, text, finding):
    trove.commit({"clusters/release.morph": text})
    error = refused(request_)
    assert str(error).startswith(
        "Could not plan baserock-26.47 by clusters/release.morph "
        f"(baserock/baserock/definitions at {head(trove)[:12]}): {finding}"
    )
    assert len(error.findings) == 1


def test_faults_of_the_cluster_its_systems_and_its_build_hosts_are_listed_at_once(trove, request_):
    trove.commit(
        {
            "clusters/release.morph": CLUSTER.replace("minimal.img", "a/b.img").replace("minimal.tar", "minimal.tar\n"),
            "elements/systems/initramfs-x86_64.bst": "public: {slipway: {arch: x86-64}}\n",
            "elements/systems/minimal-x86_64.bst": None,
        }
    )
    error = refused(replace(request_, build_hosts={"x86_64": ["builder1"]}))
    commit = head(trove)[:12]
    assert error.findings == [
        "systems[0].deploy.minimal-disk.location: a/b.img holds '/'; give the bare name of a file (line 8)",
        "systems[0].morph: there is no file systems/minimal-x86_64.bst in baserock/baserock/definitions at "
        f"{commit} (did you mean systems/initramfs-x86_64.bst?) (line 4)",
        "systems[0].subsystems[0].morph: systems/initramfs-x86_64.bst: 'x86-64' is not a known architecture "
        f"(did you mean x86_64?); known are {', '.join(sorted(ARCHITECTURES))} (line 10)",
        "no build host builds for armv7lhf, which systems/board-armv7lhf.morph needs: "
        "add a host to the group build_hosts with armv7lhf in its build_host_architectures, "
        "or leave this out with release_allow_missing_arches: [armv7lhf]",
    ]


def test_the_known_architectures_of_the_role_are_those_of_the_plan():
    defaults = Path(__file__).resolve().parents[3] / "roles/release/defaults/main.yml"
    assert sorted(ARCHITECTURES) == yaml.safe_load(defaults.read_text())["release_architectures"]

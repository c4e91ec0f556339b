"""A release is planned from the definitions alone, and nothing is changed by it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.release.plugins.filter.hosts_by_architecture import hosts_by_architecture
from ansible_collections.slipway.release.plugins.module_utils.slipway import process
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git import remote as git
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import reason
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan import definitions
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.request import ARCHITECTURES, Request
from ansible_collections.slipway.release.plugins.module_utils.slipway.release import records

CLUSTER = """\
name: release
kind: cluster
systems:
- morph: systems/minimal-x86_64.bst
  deploy:
    minimal-tar: {type: tar, location: minimal.tar}
    minimal-disk: {type: rawdisk, location: minimal.img, DISK_SIZE: 1G, ROOT_PASSWORD: secret}
  subsystems:
  - morph: systems/initramfs-x86_64.bst
    deploy:
      initramfs: {type: initramfs, location: boot/initramfs.gz}
- morph: systems/board-armv7lhf.morph
  deploy:
    board: {type: tar, location: board.tar}
"""
FILES = {
    "project.conf": "name: example\nelement-path: elements\n",
    "clusters/release.morph": CLUSTER,
    "elements/systems/minimal-x86_64.bst": "kind: compose\npublic: {slipway: {arch: x86_64}}\n",
    "elements/systems/initramfs-x86_64.bst": "kind: compose\npublic: {slipway: {arch: x86_64}}\n",
    "systems/board-armv7lhf.morph": "name: board\nkind: system\narch: armv7lhf\nstrata: []\n",
}
HOSTS = {"x86_64": ["builder1"], "armv7lhf": ["builder2"]}


class Trove:
    """A bare repository on this machine, and a work tree that pushes to it."""

    def __init__(self, directory):
        self.work = directory / "work"
        self.bare = directory / "definitions.git"

    def make(self):
        self.run("init", "--quiet", "--template=", "--initial-branch=master", str(self.work), cwd=self.work.parent)
        self.run("init", "--quiet", "--template=", "--bare", str(self.bare), cwd=self.work.parent)
        self.commit(FILES)

    def run(self, *arguments, cwd=None):
        identity = {"GIT_CONFIG_GLOBAL": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            identity |= {f"GIT_{who}_NAME": "a b", f"GIT_{who}_EMAIL": "a@b", f"GIT_{who}_DATE": "@1700000000 +0100"}
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.work, env={**os.environ, **identity}, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files, branch="master"):
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "--message=change")
        return self.push(f"HEAD:refs/heads/{branch}")

    def push(self, refspec):
        self.run("push", "--quiet", str(self.bare), refspec)
        return self.run("rev-parse", "HEAD")

    def tag(self, name, *, annotated=True):
        self.run("tag", *(["--annotate", "--message=x"] if annotated else []), name)
        self.run("push", "--quiet", str(self.bare), f"refs/tags/{name}")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    directory = tmp_path_factory.mktemp("template")
    Trove(directory).make()
    return directory


@pytest.fixture
def trove(template, tmp_path):
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Trove(tmp_path)


@pytest.fixture
def request_(trove, tmp_path):
    return Request(
        version="26.47",
        project="baserock",
        url=str(trove.bare),
        mirror_url="/mirror/definitions.git",
        path="baserock/baserock/definitions",
        ref="master",
        cluster="clusters/release.morph",
        state_directory=str(tmp_path / "state"),
        coordinator="coordinator-1",
        build_hosts=HOSTS,
    )


def refused(request_):
    with pytest.raises(SlipwayError) as caught:
        make_plan(request_)
    return caught.value


def head(trove):
    return trove.run("rev-parse", "HEAD")


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
                **minimal,
            },
            {
                "name": "minimal-disk",
                "type": "rawdisk",
                "location": "minimal.img",
                "file": "baserock-26.47-minimal.img",
                "settings": {"DISK_SIZE": "1G"},
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
            },
        ],
        "skipped": [],
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
    }
    assert planned.records == {}
    assert planned.warnings == []


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
        started.append(words[1])
        return process.run(words, **options)

    monkeypatch.setattr(definitions, "run", counted)
    monkeypatch.setattr(git, "run", counted)
    make_plan(request_)
    assert started == ["ls-remote", *["cat-file"] * 5]


def test_the_release_branch_counts_once_it_is_there(trove, request_):
    released = trove.push("HEAD:refs/heads/baserock/release/baserock-26.47")
    trove.commit({"later": "x"})
    plan = make_plan(request_).plan
    assert plan["definitions"]["commit"] == released == plan["remote"]["branch_commit"]
    assert plan["remote"]["ref_commit"] == head(trove)


def test_definitions_elsewhere_are_planned_like_those_on_this_machine(trove, request_):
    here = make_plan(request_).plan
    there = make_plan(replace(request_, url=f"file://{trove.bare}")).plan
    assert there["definitions"].pop("url") != here["definitions"].pop("url")
    assert there == here


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_commit_that_is_not_in_the_definitions_is_refused(trove, request_, scheme):
    said = str(refused(replace(request_, url=f"{scheme}{trove.bare}", ref="0" * 40)))
    assert f"{scheme}{trove.bare}" in said
    assert "0" * 40 in said


@pytest.mark.parametrize("form", ["branch", "annotated tag", "plain tag", "commit", "full ref", "HEAD"])
def test_a_branch_a_tag_or_a_commit_can_be_released(trove, request_, form):
    wanted = trove.commit({"wanted": "x"}, branch="other")
    trove.tag("annotated")
    trove.tag("plain", annotated=False)
    later = trove.commit({"later": "x"})
    ref, commit = {
        "branch": ("other", wanted),
        "annotated tag": ("annotated", wanted),
        "plain tag": ("plain", wanted),
        "commit": (wanted, wanted),
        "full ref": ("refs/heads/other", wanted),
        "HEAD": ("HEAD", later),
    }[form]
    assert make_plan(replace(request_, ref=ref)).plan["definitions"]["commit"] == commit


def test_the_releases_before_and_after_are_found(trove, request_):
    for version in ("26.45", "26.46", "26.47rc1", "26.48"):
        trove.tag(f"baserock-{version}")
        trove.commit({"version": version})
    remote = make_plan(request_).plan["remote"]
    assert remote["previous_tag"] == "baserock-26.46"
    assert remote["previous_commit"] == trove.run("rev-parse", "baserock-26.46^{commit}")
    assert remote["newer_tags"] == ["baserock-26.48"]


def test_a_release_that_is_tagged_already_can_be_planned_again(trove, request_):
    trove.push("HEAD:refs/heads/baserock/release/baserock-26.47")
    trove.tag("baserock-26.47")
    trove.commit({"later": "x"})
    remote = make_plan(request_).plan["remote"]
    assert remote["tag_commit"] == remote["branch_commit"]


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


def test_a_branch_that_moved_since_it_was_created_is_named_with_both_commits(trove, request_, tmp_path):
    created = trove.push("HEAD:refs/heads/baserock/release/baserock-26.47")
    record = {
        "stage": "branch",
        "project": "baserock",
        "version": "26.47",
        "inputs": {},
        "outputs": {"commit": created},
    }
    records.settle(tmp_path / "state/releases/26.47/records", record)
    assert make_plan(request_).records["branch"]["outputs"] == {"commit": created}
    moved = trove.commit({"clusters/release.morph": "broken"}, branch="baserock/release/baserock-26.47")
    said = str(refused(request_))
    assert f"was created at {created}, but is at {moved}. Nothing was changed. Put the branch back; or, if the" in said
    assert f"nothing of this version is public, remove {tmp_path}/state/releases/26.47 and run again." in said
    records.settle(tmp_path / "state/releases/26.47/records", {**record, "stage": "publication"})
    assert str(refused(request_)).endswith("Put the branch back, or release under another version.")
    trove.run("push", "--quiet", "--delete", str(trove.bare), "baserock/release/baserock-26.47")
    assert f"was created at {created}, but does not exist any more." in str(refused(request_))


def test_an_edited_record_is_refused_by_its_name(trove, request_, tmp_path):
    directory = tmp_path / "state/releases/26.47/records"
    record = {"stage": "tag", "project": "baserock", "version": "26.47", "inputs": {}, "outputs": {"tag": "x"}}
    records.settle(directory, record)
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


def test_definitions_that_cannot_be_reached_are_told_with_the_reason_of_git(request_, tmp_path):
    nowhere = tmp_path / "nowhere.git"
    assert str(refused(replace(request_, url=str(nowhere)))) == (
        f"Could not reach the definitions at {nowhere}: '{nowhere}' does not appear to be a git repository. "
        "Check its address, the network and your access to it, and run again."
    )
    said = str(refused(replace(request_, url="http://someone:secret@127.0.0.1:1/definitions.git")))
    assert said.startswith(
        "Could not reach the definitions at http://someone@127.0.0.1:1/definitions.git: unable to access"
    )
    assert "secret" not in said


def test_the_reason_of_git_is_not_its_boilerplate():
    assert reason(
        "fatal: Could not read from remote repository.\n\n"
        "Please make sure you have the correct access rights\nand the repository exists.\n"
    )
    assert (
        reason(
            "ssh: connect to host trove port 22: No route to host\nfatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n"
        )
        == "ssh: connect to host trove port 22: No route to host"
    )


def test_a_ref_that_does_not_exist_is_refused(trove, request_):
    assert str(refused(replace(request_, ref="main"))) == (
        f"Could not find main in {trove.bare}: it has no branch or tag of this name. "
        "Set release_definitions_ref to a branch, a tag or a whole commit, and run again."
    )


@pytest.mark.parametrize(
    ("cluster", "hint"),
    [
        ("release", " (did you mean clusters/release.morph?)"),
        ("cluster/release.morph", " (did you mean clusters/release.morph?)"),
        ("clusters/relaese.morph", " (did you mean clusters/release.morph?)"),
        ("clusters/xyz.yml", ""),
        ("elements/systems", ""),
    ],
)
def test_a_missing_cluster_is_refused_and_a_near_one_named(trove, request_, cluster, hint):
    said = str(refused(replace(request_, cluster=cluster)))
    path = cluster if "/" in cluster else f"{cluster}.morph"
    assert said.startswith(
        f"Could not read the cluster {path}: there is no such file in "
        f"baserock/baserock/definitions at {head(trove)[:12]}{hint}. Nothing was changed."
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


def test_a_deployment_that_cannot_be_made_of_its_settings_is_refused(trove, request_):
    trove.commit(
        {"clusters/release.morph": CLUSTER.replace("DISK_SIZE: 1G, ", "").replace("type: initramfs", "type: x")}
    )
    assert refused(request_).findings == [
        "systems[0].subsystems[0].deploy.initramfs.type: x is not a type of deployment; "
        "known are initramfs, rawdisk, tar (line 11)",
        "systems[0].deploy.minimal-disk: a raw disk needs the setting DISK_SIZE, such as 2G (line 7)",
    ]
    assert make_plan(replace(request_, deployment_types=["tar", "rawdisk", "x"])).plan["deployments"]


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        (
            "elements/systems/initramfs-x86_64.bst",
            "kind: compose\n",
            "systems[0].subsystems[0]: systems/initramfs-x86_64.bst does not say its architecture; "
            "add `public: {slipway: {arch: x86_64}}` to it, or `arch: x86_64` to this entry (line 9)",
        ),
        ("elements/systems/initramfs-x86_64.bst", "{", "systems/initramfs-x86_64.bst: it is not YAML: line"),
        (
            "systems/board-armv7lhf.morph",
            "kind: stratum\narch: armv7lhf\n",
            "systems/board-armv7lhf.morph: its kind is stratum, not system",
        ),
        (
            "systems/board-armv7lhf.morph",
            "kind: system\n",
            "systems[1]: systems/board-armv7lhf.morph does not say its architecture; "
            "add `arch: x86_64` to it (line 12)",
        ),
    ],
)
def test_a_system_that_does_not_say_what_it_is_for_is_refused(trove, request_, name, text, finding):
    trove.commit({name: text})
    (found,) = refused(request_).findings
    assert found.startswith(finding)


def test_the_architecture_in_the_cluster_wins(trove, request_):
    trove.commit(
        {"clusters/release.morph": CLUSTER.replace("  deploy:\n    board", "  arch: x86_64\n  deploy:\n    board")}
    )
    plan = make_plan(replace(request_, build_hosts={"x86_64": ["b"]})).plan
    assert plan["deployments"][2]["architecture"] == "x86_64"


def test_an_architecture_that_may_be_missing_is_left_out(request_):
    plan = make_plan(replace(request_, build_hosts={"x86_64": ["b"]}, allow_missing_arches=["armv7lhf"])).plan
    assert [deployment["name"] for deployment in plan["deployments"]] == ["minimal-tar", "minimal-disk"]
    assert [system["name"] for system in plan["systems"]] == ["minimal-x86_64", "initramfs-x86_64"]
    assert plan["skipped"] == [
        {
            "system": "systems/board-armv7lhf.morph",
            "architecture": "armv7lhf",
            "deployments": ["board"],
            "reason": "no build host builds for armv7lhf",
        }
    ]


def test_what_contains_a_system_that_is_left_out_is_left_out_too(trove, request_):
    trove.commit({"elements/systems/initramfs-x86_64.bst": "public: {slipway: {arch: mips32l}}\n"})
    plan = make_plan(replace(request_, allow_missing_arches=["mips32l"])).plan
    assert [deployment["name"] for deployment in plan["deployments"]] == ["board"]
    assert [system["name"] for system in plan["systems"]] == ["board-armv7lhf"]
    assert plan["skipped"] == [
        {
            "system": "systems/minimal-x86_64.bst",
            "architecture": "x86_64",
            "deployments": ["minimal-tar", "minimal-disk"],
            "reason": "systems/initramfs-x86_64.bst is a part of it, and no build host builds for mips32l",
        },
        {
            "system": "systems/initramfs-x86_64.bst",
            "architecture": "mips32l",
            "deployments": ["initramfs"],
            "reason": "no build host builds for mips32l",
        },
    ]


def test_an_architecture_that_may_be_missing_is_built_when_somebody_can(request_):
    assert make_plan(replace(request_, allow_missing_arches=["armv7lhf"])).plan["skipped"] == []


def test_a_release_of_nothing_is_refused(request_):
    error = refused(replace(request_, build_hosts={}, allow_missing_arches=["armv7lhf", "x86_64"]))
    assert error.findings == [
        "nothing is left to release: every deployment needs an architecture that is allowed to be missing"
    ]


def test_systems_have_names_of_their_own(trove, request_):
    entries = [("a/x.bst", "x86_64"), ("b/x.bst", "x86_64"), ("c/y.bst", "x86_64"), ("c/y.bst", "armv7lhf")]
    entries += [("c/y-armv7lhf.bst", "x86_64"), ("c/z.bst", "x86_64"), ("c/z.morph", "x86_64")]
    text = "kind: cluster\nsystems:\n" + "".join(
        f"- {{morph: {file}, arch: {arch}, deploy: {{d{number}: {{type: tar, location: d{number}.tar}}}}}}\n"
        for number, (file, arch) in enumerate(entries)
    )
    files = {f"elements/{file}" if file.endswith(".bst") else file: "kind: system\n" for file, _ in entries}
    trove.commit({**files, "clusters/release.morph": text})
    plan = make_plan(request_).plan
    assert [(system["file"], system["architecture"]) for system in plan["systems"]] == entries
    found = [system["name"] for system in plan["systems"]]
    assert found[:3] == ["a-x", "b-x", "y-x86_64"]
    assert len(set(found)) == len(entries)
    assert all(records.STAGE_NAME.match(f"build-{name}") for name in found)
    assert [deployment["system_name"] for deployment in plan["deployments"]] == found


def test_an_element_may_be_named_with_its_element_path(trove, request_):
    trove.commit({"clusters/release.morph": CLUSTER.replace("systems/minimal", "elements/systems/minimal")})
    assert make_plan(request_).plan["systems"][0]["file"] == "systems/minimal-x86_64.bst"


def test_links_inside_the_definitions_are_followed_and_others_are_not(trove, request_, tmp_path):
    (trove.work / "clusters/link.morph").symlink_to("release.morph")
    (trove.work / "clusters/outside.morph").symlink_to("/etc/hostname")
    (trove.work / "clusters/dangling.morph").symlink_to("nothing.morph")
    trove.commit({})
    assert len(make_plan(replace(request_, cluster="clusters/link.morph")).plan["deployments"]) == 3
    for name in ("outside", "dangling"):
        assert "there is no such file" in str(refused(replace(request_, cluster=f"clusters/{name}.morph")))


def test_an_old_cluster_without_directories_can_be_planned(trove, request_):
    trove.commit(
        {
            "release.morph": "kind: cluster\nsystems: [{morph: devel, deploy: {d: {type: tar, location: d.tar}}}]\n",
            "devel.morph": "kind: system\narch: x86_64\n",
        }
    )
    assert make_plan(replace(request_, cluster="release")).plan["systems"][0]["file"] == "devel.morph"


def test_the_hosts_of_each_architecture_are_found_in_the_inventory():
    hostvars = {"a": {"build_host_architectures": ["x86_64", "x86_32"]}, "b": {"build_host_architectures": ["x86_64"]}}
    assert hosts_by_architecture(["a", "b"], hostvars) == {"x86_64": ["a", "b"], "x86_32": ["a"]}
    assert hosts_by_architecture([], hostvars) == {}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "missing"),
        ({"build_host_architectures": "x86_64"}, "not a list of names"),
        ({"build_host_architectures": [1]}, "not"),
    ],
)
def test_a_build_host_that_does_not_say_what_it_builds_for_is_refused(variables, reason):
    with pytest.raises(AnsibleFilterError, match=f"the build host a builds for: its variable .* is {reason}"):
        hosts_by_architecture(["a"], {"a": variables})


def test_the_known_architectures_of_the_role_are_those_of_the_plan():
    defaults = Path(__file__).resolve().parents[3] / "roles/release/defaults/main.yml"
    assert sorted(ARCHITECTURES) == yaml.safe_load(defaults.read_text())["release_architectures"]

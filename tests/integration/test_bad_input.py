"""Bad input gets one clear sentence, and nothing is changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import ROOT, Site, git, tree


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, provisioned: Site) -> Site:
    """A provisioned site on which nothing is released; every test leaves it as it was."""
    return provisioned.copied(tmp_path_factory.mktemp("ready"))


def refused(site: Site, version: Any = "26.47", **extra: Any) -> str:
    before = tree(site.state)
    ran = site.release(version, **extra)
    assert ran.status != 0, ran.text
    assert "Traceback" not in ran.text
    assert tree(site.state) == before
    assert len(ran.failures) == 1, ran.failures
    return ran.message


def test_no_version(ready: Site):
    assert "no version was given" in refused(ready, None)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("26/47", "a slash"),
        ("26 47", "a space"),
        ("-26.47", "begins with '-'"),
        ("26..47", "two points in a row"),
        ("../26.47", "a slash"),
        (26.4, "a number"),
    ],
)
def test_a_version_that_cannot_name_a_release(ready: Site, version: Any, why: str):
    assert why in refused(ready, version)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("systems: [", "YAML"),
        ("kind: stratum\nname: x\n", "stratum"),
        ("", "empty"),
        ("kind: cluster\nname: x\nsystems: []\n", "system"),
        ("s/location: tiny-system-x86_64.tar/location: a\\/b.tar/", "a/b.tar"),
        ("s/location: tiny-system-x86_64.tar/location: baserock-26.47-x.tar/", "baserock-26.47-x.tar"),
        ("s/tiny-x86_32-tar:/tiny-x86_64-tar:/", "tiny-x86_64-tar"),
        ("s/tiny-system-x86_32.bst/no-such-system.bst/", "no-such-system.bst"),
    ],
)
def test_a_faulty_cluster(ready: Site, tmp_path: Path, change: str, why: str):
    work = tmp_path / "work"
    git("clone", "--quiet", str(ready.definitions), str(work), cwd=tmp_path)
    cluster = work / "clusters/release.morph"
    if change.startswith("s/"):
        subprocess.run(["sed", "-i", change, cluster], check=True)
    else:
        cluster.write_text(change)
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qam", "Break it", cwd=work)
    assert why in refused(ready, release_definitions_url=str(work / ".git"))


def test_a_missing_cluster_file(ready: Site):
    message = refused(ready, release_cluster="clusters/gone.morph")
    assert "clusters/gone.morph" in message
    assert "no such file" in message


def test_an_unknown_architecture(ready: Site):
    assert "'vax'" in refused(ready, build_host_architectures=["x86_64", "x86_32", "vax"])


def test_an_architecture_without_a_build_host_is_named_unless_it_may_be_missing(ready: Site):
    message = refused(ready, build_host_architectures=["x86_64"], release_allow_missing_arches=[])
    assert "no build host builds for x86_32" in message
    assert "tiny-system-x86_32.bst" in message
    ran = ready.released(check=True, build_host_architectures=["x86_64"], release_allow_missing_arches=["x86_32"])
    assert "tiny-system-x86_64.tar" in ran.text
    assert "tiny-system-x86_32.tar" not in ran.text


def test_definitions_that_cannot_be_reached(ready: Site, tmp_path: Path):
    message = refused(ready, release_definitions_url=str(tmp_path / "gone.git"))
    assert "gone.git" in message
    assert "Could not reach the definitions" in message


def test_too_little_disk(ready: Site):
    assert "GiB" in refused(ready, release_preflight_min_free_gib=1_000_000)


def test_a_missing_tool_is_named_with_its_package(ready: Site):
    programs = [{"name": "no-such-tool", "package": "no-such-package"}]
    message = refused(ready, release_preflight_programs=programs)
    assert "no-such-tool" in message
    assert "no-such-package" in message


def test_an_expired_signing_key(ready: Site, tmp_path: Path):
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    past = ["gpg", "--homedir", str(home), "--batch", "--faked-system-time", "20200101T000000", "--passphrase", ""]
    try:
        subprocess.run(
            [*past, "--quick-generate-key", "Old <old@example.org>", "ed25519", "sign", "1y"],
            check=True, capture_output=True,
        )  # fmt: skip
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    message = refused(ready, release_preflight_gnupghome=str(home))
    assert "expired on 2020-12-31" in message


def test_a_version_whose_tag_is_on_another_commit(tmp_path: Path, ready: Site):
    copy = tmp_path / "definitions.git"
    shutil.copytree(ready.definitions, copy)
    tree_object = git("rev-parse", "master^{tree}", cwd=copy)
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    other = git(*identity, "commit-tree", tree_object, "-m", "Other", cwd=copy)
    git("tag", "baserock-26.47", other, cwd=copy)
    message = refused(ready, release_definitions_url=str(copy))
    assert other in message
    assert git("rev-parse", "master", cwd=copy) in message


@pytest.mark.parametrize(
    ("version", "why"), [("", "Run make release VERSION=X.Y"), ("a/b", "a slash"), ("1 2", "a space")]
)
def test_make_refuses_a_version_before_it_sets_anything_up(tmp_path: Path, version: str, why: str):
    done = subprocess.run(
        ["make", "release", f"VERSION={version}"],
        cwd=ROOT, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode != 0
    assert why in done.stderr
    assert list(tmp_path.iterdir()) == []


SITE = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  children:
    coordinator: {hosts: {here: }}
    build_hosts: {hosts: {here: , there: }}
    download_servers: {hosts: {second: }}
    readers: {hosts: {reader: }}
"""


@pytest.mark.parametrize(
    ("limit", "left_out"),
    [("here,second", "there"), ("reader", "here, second, there"), ("all:!reader", ""), (None, "")],
)
def test_a_limit_that_leaves_out_hosts_of_the_release_is_refused(tmp_path: Path, limit: str | None, left_out: str):
    (tmp_path / "hosts.yml").write_text(SITE)
    words = ["ansible-playbook", "-i", tmp_path / "hosts.yml", ROOT / "playbooks/whole.yml", "--tags", "tag"]
    words += ["--limit", limit] if limit else []
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    said = " ".join(done.stdout.split())
    assert (done.returncode != 0, f"--limit {limit} leaves out {left_out}. A release" in said) == (bool(left_out),) * 2

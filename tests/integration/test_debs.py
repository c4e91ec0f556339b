"""The example's stacks and packages go from their source repositories to source packages, which apt fetches."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aptclient import Client, served
from vcs import call

from .conftest import ROOT, Ran, Site, tree

DEBS, SOURCES = "playbooks/debs.yml", "examples/stacks/sources.yml"
STACKS = {"ros": "1.2.0", "common_msgs": "1.0.3", "geometry": "1.1.1", "navigation": "1.0.1", "visualization": "0.2.0"}
PACKAGES = {f"ros-cturtle-{name.replace('_', '-')}": f"{version}-0~" for name, version in STACKS.items()}
OTHERS = {"greet": "1.2-1~", "count": "0.5~"}


class Debs:
    """A site with the example's source repositories."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @property
    def apt(self) -> Path:
        return self.site.state / "apt"

    @property
    def repository(self) -> Path:
        return self.apt / "public/download/stacks"

    def source(self, kind: str, name: str) -> Path:
        return self.site.state / "sources" / kind / name

    def run(self, distro: str = "cturtle", *, check: bool = False, playbook: str = DEBS, **extra: object) -> Ran:
        return self.site.play(playbook, check=check, distro=distro, **extra)

    def made(self, distro: str = "cturtle", **extra: object) -> Ran:
        ran = self.run(distro, **extra)
        assert ran.status == 0, ran.text
        return ran

    def outside(self) -> dict[str, tuple[object, ...]]:
        """All that others see: repositories, archives, mail and records; of directories only who may use them."""
        return {
            f"{part}/{path}": seen if stat.S_ISREG(mode) else (mode, target)
            for part in ("sources", "apt", "debs")
            for path, seen in tree(self.site.state / part).items()
            for mode, _size, _time, target in [seen]
            if not path.startswith(("work", ".work", "shadow/db"))
        }

    def distro_file(self, name: str = "cturtle") -> str:
        return call("git", "-C", self.source("git", "rosdistro.git"), "show", f"master:{name}.rosdistro")

    def commits(self, repository: Path) -> list[str]:
        return call("git", "-C", repository, "log", "--format=%s", "master").splitlines()

    def change(self, stack: str, work: Path, *, message: str = "Change", **texts: str) -> str:
        """Commit to a git stack what a developer changes; the new head."""
        call("git", "clone", "-q", self.source("git", f"{stack}.git"), work)
        for name, text in texts.items():
            path = work / {"manifest": "stack.xml", "control": "debian/control"}.get(name, name)
            path.write_text(text)
        call("git", "commit", "-aqm", message, cwd=work)
        call("git", "push", "-q", "origin", "HEAD:master", cwd=work)
        return call("git", "rev-parse", "HEAD", cwd=work)

    def bump(self, stack: str, work: Path, version: str) -> str:
        now = (ROOT / "examples/stacks" / stack / "stack.xml").read_text()
        return self.change(stack, work, manifest=re.sub(r'(<stack [^>]*version=)"[^"]*"', rf'\1"{version}"', now))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Debs:
    """Everything that the distro files name is released, under a careful umask."""
    debs = Debs(Site(tmp_path_factory.mktemp("debs"), cache))
    before = os.umask(0o077)
    try:
        ran = debs.site.play(SOURCES)
        assert ran.status == 0, ran.text
        for distro in ("cturtle", "tools"):
            debs.made(distro)
    finally:
        os.umask(before)
    return debs


@pytest.fixture(scope="module")
def client(first: Debs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with served(first.apt / "public") as url:
        trusted = f"[signed-by={first.apt}/public/key.asc]"
        lines = [f"deb-src {trusted} {url}/shadow {platform} main" for platform in ("bookworm", "trixie")]
        client = Client(tmp_path_factory.mktemp("client"), lines)
        client.update()
        yield client


@pytest.mark.parametrize("platform", ["bookworm", "trixie"])
@pytest.mark.parametrize("package", [*PACKAGES, *OTHERS])
def test_apt_get_source_fetches_and_unpacks_what_is_signed_and_lintian_finds_no_error(
    first: Debs, client: Client, tmp_path: Path, package: str, platform: str
) -> None:
    version = (PACKAGES | OTHERS)[package] + platform + ("1" if package in OTHERS else "")
    unpacked = client.fetch_source(tmp_path, f"{package}={version}")
    (dsc,) = tmp_path.glob("*.dsc")
    assert (unpacked / "debian/changelog").read_text().startswith(f"{package} ({version}) {platform}; ")
    key = tmp_path / "key.gpg"
    call("gpg", "--homedir", tmp_path, "--dearmor", "-o", key, first.site.state / "release-key.asc")
    assert "validated successfully" in call("dscverify", "--no-default-keyrings", "--keyring", key, dsc)
    if platform != "bookworm":
        return  # what lintian looks at differs in names of platforms alone
    judged = call("lintian", "--no-cfg", "--allow-root", dsc, ok=False)
    # Stacks keep the versions that ROS gave them, with a revision although they are native: docs/debs.md says so.
    expected = [] if package in OTHERS else ["malformed-debian-changelog-version"]
    assert re.findall(r"^E: \S+ source: (\S+)", judged, re.MULTILINE) == expected, judged


def test_what_is_released_is_tagged_in_each_systems_own_way(first: Debs) -> None:
    ros = first.source("git", "ros.git")
    assert call("git", "-C", ros, "tag", "--points-at", "master").splitlines() == ["cturtle", "ros-1.2.0"]
    assert "-----BEGIN PGP SIGNATURE-----" in call("git", "-C", ros, "cat-file", "tag", "ros-1.2.0")
    tags = call("svn", "ls", f"{first.source('svn', 'geometry').as_uri()}/tags")
    assert tags.split() == ["cturtle/", "geometry-1.1.1/"]
    assert {"cturtle", "navigation-1.0.1"} <= set(
        call("hg", "-R", first.source("hg", "navigation"), "tags", "-q").split()
    )
    bzr = call("brz", "tags", "-d", first.source("bzr", "visualization"))
    assert {line.split()[0] for line in bzr.splitlines()} == {"cturtle", "visualization-0.2.0"}


def test_the_release_repository_has_tarball_and_control_file_of_each(first: Debs) -> None:
    for stack, version in STACKS.items():
        place = first.repository / stack / f"{stack}-{version}"
        assert sorted(path.name for path in place.iterdir()) == [f"{place.name}.tar.bz2", f"{place.name}.yaml"]
        control = yaml.safe_load((place / f"{place.name}.yaml").read_text())
        assert (control["stack"], control["version"]) == (stack, version)
        assert control["md5sum"] in call("md5sum", place / f"{place.name}.tar.bz2")
    assert (first.site.state / "debs/mail/new").is_dir()


@pytest.mark.parametrize("distro", ["cturtle", "tools"])
def test_again_nothing_is_changed(first: Debs, distro: str) -> None:
    before = first.outside()
    ran = first.made(distro)
    assert ran.changed == []
    assert first.outside() == before


def test_a_lost_state_of_the_coordinator_is_made_again_and_changes_nothing_public(first: Debs) -> None:
    before = tree(first.apt / "public")
    shutil.rmtree(first.site.state / "debs")
    first.made("tools")
    assert tree(first.apt / "public") == before
    assert first.made("tools").changed == []


def test_looking_first_tells_all_and_changes_nothing(first: Debs, tmp_path: Path) -> None:
    first.bump("common_msgs", tmp_path / "work", "1.1.0")
    before = first.outside()
    ran = first.run(check=True, stack="common_msgs", version="1.1.0")
    assert ran.status == 0, ran.text
    assert first.outside() == before
    for told in ("+  common_msgs: {version: 1.1.0}", "common_msgs-1.1.0.tar.bz2", "bookworm: would be made"):
        assert told in ran.text


def test_a_new_version_changes_one_line_of_the_distro_file(first: Debs, tmp_path: Path) -> None:
    before, commits = first.distro_file(), first.commits(first.source("git", "rosdistro.git"))
    head = first.bump("ros", tmp_path / "work", "1.3.0")
    first.made(stack="ros", version="1.3.0")
    assert first.distro_file() == before.replace("ros: {version: 1.2.0}", "ros: {version: 1.3.0}")
    assert first.commits(first.source("git", "rosdistro.git")) == ["Release ros-1.3.0", *commits]
    ros = first.source("git", "ros.git")
    for tag in ("ros-1.3.0", "cturtle"):
        assert call("git", "-C", ros, "rev-parse", f"{tag}^{{commit}}") == head
    listed = call(
        "grep",
        "-h",
        "-A5",
        "^Package: ros-cturtle-ros$",
        first.apt / "public/shadow/dists/bookworm/main/source/Sources",
    )
    assert "1.3.0-0~bookworm" in listed


def test_a_platform_that_a_stack_does_not_support_fails_at_the_end_and_the_other_is_made(
    first: Debs, tmp_path: Path
) -> None:
    text = (ROOT / "examples/stacks/ros/stack.xml").read_text().replace("1.2.0", "1.3.1")
    work = tmp_path / "work"
    first.change("ros", work, manifest=text)
    (work / "pkg").mkdir()
    (work / "pkg/manifest.xml").write_text('<package><rosdep name="boost"/></package>\n')
    call("git", "add", "-A", cwd=work)
    call("git", "commit", "-qm", "Need boost", cwd=work)
    call("git", "push", "-q", "origin", "HEAD:master", cwd=work)
    distros = {"cturtle": {**settings(first), "rosdep": {"boost": {"bookworm": "libboost-dev"}}}}
    ran = first.run(stack="ros", version="1.3.1", debs_distros=distros)
    call("git", "revert", "--no-edit", "HEAD", cwd=work)  # others release ros after this
    call("git", "push", "-q", "origin", "HEAD:master", cwd=work)
    assert ran.status != 0
    assert "1 of the source packages of cturtle could not be made" in ran.message
    assert "ros for trixie: " in ran.message
    assert "ros-cturtle-ros 1.3.1-0~bookworm" in ran.text
    mails = [path.read_text() for path in (first.site.state / "debs/mail/new").iterdir()]
    assert any("1 source packages, 1 failed" in mail and "libboost" not in mail for mail in mails)


def settings(debs: Debs) -> dict[str, object]:
    return {
        "repository": str(debs.source("git", "rosdistro.git")),
        "branch": "master",
        "path": "cturtle.rosdistro",
        "package_name": "ros-{distribution}-{stack}",
        "maintainer": "The Slipway developers <slipway@example.org>",
        "contact": "cturtle@localhost",
    }


REFUSED = {
    "another version than the stack has": ({"stack": "geometry", "version": "9.9"}, "9.9"),
    "a version that dpkg refuses": (
        {"stack": "ros", "version": "1_2"},
        "the version '1_2' has a character that is not allowed",
    ),
    "a stack that nobody knows": ({"stack": "arm", "version": "1.0"}, "the distro file of cturtle does not have it"),
    "a version and no stack": ({"version": "1.0"}, "Give the stack of which this is the version"),
    "a distribution that nobody knows": ({"distro": "hydro"}, "Give a distribution, -e distro=NAME"),
    "a platform that nobody knows": ({"debs_targets": {"cturtle": ["sarge"]}}, "sarge"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_a_sentence_and_nothing_is_changed(first: Debs, case: str) -> None:
    extra, sentence = REFUSED[case]
    before = first.outside()
    ran = first.run(**{"distro": "cturtle", **extra})
    assert ran.status != 0
    assert sentence in ran.message
    assert "Traceback" not in ran.text
    assert first.outside() == before


def test_other_bytes_in_the_release_repository_are_named_and_nothing_is_changed(first: Debs) -> None:
    place = first.repository / "count/count-0.5"
    (dsc,) = place.glob("*.dsc")
    was = dsc.read_bytes()
    dsc.write_bytes(was.replace(b"count", b"cuont", 1))
    before = first.outside()
    try:
        ran = first.run("tools")
        assert ran.status != 0
        assert "count_0.5.dsc has sha256" in ran.message
        assert first.outside() == before
    finally:
        dsc.write_bytes(was)


def test_a_tag_on_another_commit_is_named_and_nothing_is_released(first: Debs, tmp_path: Path) -> None:
    repository = first.source("git", "common_msgs.git")
    first.bump("common_msgs", tmp_path / "work", "1.1.5")
    begin = call("git", "-C", repository, "rev-list", "--max-parents=0", "master")
    call("git", "-C", repository, "tag", "common_msgs-1.1.5", begin)
    before = first.outside()
    ran = first.run(stack="common_msgs", version="1.1.5")
    assert ran.status != 0
    assert f"the tag common_msgs-1.1.5 is on {begin}" in " ".join(ran.message.split())
    assert first.outside() == before
    call("git", "-C", repository, "tag", "-d", "common_msgs-1.1.5")


def run_until(debs: Debs, tasks: int, log: Path, **extra: str) -> None:
    """Begin a run, and kill it at so many tasks."""
    words = debs.site.command(DEBS, "-e", "distro=cturtle", *(f"-e{name}={value}" for name, value in extra.items()))
    with open(log, "wb") as stream:
        running = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, **debs.site.environment},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    deadline = time.monotonic() + 300
    while log.read_text().count("TASK [") < tasks:
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL


def test_whatever_kills_a_run_the_next_one_completes_it_and_nothing_is_there_twice(first: Debs, tmp_path: Path) -> None:
    work, repository = tmp_path / "work", first.source("git", "common_msgs.git")
    for number, tasks in enumerate(random.Random(12).sample(range(8, 50), 10)):  # noqa: S311  # no secret
        shutil.rmtree(work, ignore_errors=True)
        first.bump("common_msgs", work, f"1.2.{number}")
        run_until(first, tasks, tmp_path / "log", stack="common_msgs", version=f"1.2.{number}")
    version = "1.2.9"
    first.made(stack="common_msgs", version=version)
    assert first.made(stack="common_msgs", version=version).changed == []
    assert first.commits(first.source("git", "rosdistro.git")).count("Release common_msgs-1.2.9") == 1
    head = call("git", "-C", repository, "rev-parse", "master")
    assert call("git", "-C", repository, "rev-parse", "common_msgs-1.2.9^{commit}") == head
    assert sorted((first.repository / "common_msgs/common_msgs-1.2.9").iterdir()) == [
        first.repository / f"common_msgs/common_msgs-1.2.9/common_msgs-1.2.9{ending}"
        for ending in (".tar.bz2", ".yaml")
    ]
    assert list((first.apt / "incoming").glob("*common_msgs-1.2.9*")) == []


@pytest.fixture(scope="module")
def developer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A key that may release ros, as git and Slipway are told of it."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "-q"]
    call(*gpg, "--passphrase", "", "--quick-gen-key", "Dev <dev@example.org>", "ed25519", "sign", "1y")
    listed = call(*gpg, "--list-keys", "--with-colons")
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    return {"home": str(home), "fingerprint": fingerprint, "key": call(*gpg, "--armor", "--export")}


def tagged(debs: Debs, work: Path, version: str, *words: str) -> dict[str, object]:
    """Push a tag of a new version; nothing more is done by hand."""
    debs.bump("ros", work, version)
    call("git", *words, "-m", f"ros-{version}", f"ros-{version}", cwd=work)
    call("git", "push", "-q", "origin", f"ros-{version}", cwd=work)
    return {"from_tag": f"ros-{version}", "distro": ""}


def test_a_signed_tag_is_the_whole_act_and_an_unsigned_one_is_refused_by_name(
    first: Debs, developer: dict[str, str], tmp_path: Path
) -> None:
    others = {name: {**settings(first), "path": f"{name}.rosdistro"} for name in ("cturtle", "tools")}
    signers = {"debs_signer_keys": [developer["key"]], "debs_distros": others}
    others["cturtle"]["signers"] = {"ros": [developer["fingerprint"]]}
    asked = tagged(first, tmp_path / "unsigned", "1.8.0", "tag", "--annotate")
    before = first.outside()
    ran = first.run(**asked, **signers)
    assert ran.status != 0
    assert "Could not accept the tag ros-1.8.0" in ran.message
    assert "it is not signed" in ran.message
    assert first.outside() == before
    program = f"gpg.program={tmp_path}/gpg"
    (tmp_path / "gpg").write_text(f'#!/bin/sh\nexec gpg --homedir {developer["home"]} "$@"\n')
    (tmp_path / "gpg").chmod(0o755)
    key = f"user.signingKey={developer['fingerprint']}"
    asked = tagged(first, tmp_path / "signed", "1.9.0", "-c", program, "-c", key, "tag", "--sign")
    ran = first.run(**asked, **signers)
    assert ran.status == 0, ran.text
    assert "ros: {version: 1.9.0}" in first.distro_file()
    assert "trixie: ros-cturtle-ros 1.9.0-0~trixie" in ran.text
    repository = first.source("git", "ros.git")
    signed = call("git", "-C", repository, "rev-parse", "ros-1.9.0").strip()
    commit = call("git", "-C", repository, "rev-parse", "ros-1.9.0^{commit}").strip()
    call("git", "-C", repository, "tag", "-f", "ros-1.9.0", commit)
    ran = first.run(stack="ros", version="1.9.0")
    assert ran.status != 0
    assert signed in ran.message
    assert commit in ran.message
    call("git", "-C", repository, "update-ref", "refs/tags/ros-1.9.0", signed)


def test_tarballs_that_exist_are_imported_with_control_files_and_a_hostile_one_is_refused_by_name(
    first: Debs, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for stack in ("geometry", "navigation"):
        label = f"{stack}-{STACKS[stack]}"
        (old / stack / label).mkdir(parents=True)
        shutil.copy(first.repository / stack / label / f"{label}.tar.bz2", old / stack / label)
    hostile = old / "geometry/geometry-1.1.1/geometry-1.1.1.tar.bz2"
    good = hostile.read_bytes()
    call("tar", "-cjPf", hostile, "/etc/hostname")
    places = {"debs_import_repository": str(new), "debs_publish_public": str(new), "debs_import_from": str(old)}
    for stack in ("geometry", "navigation"):
        ran = first.run(playbook="playbooks/debs_import.yml", stack=stack, **places)
        assert (ran.status == 0) == (stack == "navigation"), ran.text
        assert stack == "navigation" or "geometry-1.1.1" in ran.message
    hostile.write_bytes(good)
    assert first.run(playbook="playbooks/debs_import.yml", stack="geometry", **places).status == 0
    control = yaml.safe_load((new / "geometry/geometry-1.1.1/geometry-1.1.1.yaml").read_text())
    assert (control["depends"], control["md5sum"]) == (["ros"], call("md5sum", hostile).split()[0])
    again = first.run(playbook="playbooks/debs_import.yml", stack="geometry", **places)
    assert (again.status, again.changed) == (0, [])


def test_a_page_tells_what_blocks_each_stack_and_whom_it_blocks(first: Debs) -> None:
    released = re.search(r" ros: \{version: ([^}]+)\}", first.distro_file())
    assert released is not None
    version = f"{released[1]}-0~bookworm"
    build = first.apt / f"builds/cturtle/bookworm-amd64/ros-cturtle-ros_{version}"
    build.mkdir(parents=True)
    result = {"platform": "bookworm", "architecture": "amd64", "source": "ros-cturtle-ros", "state": "failed", "at": 1}
    (build / "result.json").write_text(json.dumps({**result, "version": version, "log": "ros.log"}))
    (build / "ros.log").write_text("It does not compile.")
    first.made(playbook="playbooks/debs_excuses.yml")
    place = first.apt / "public/excuses/cturtle"
    excuses = json.loads((place / "excuses.json").read_text())
    assert excuses["first"][0]["stack"] == "ros"
    assert "build-failed" in excuses["first"][0]["codes"]
    assert (place / excuses["builds"][0]["link"]).read_text() == "It does not compile."
    assert call("tidy", "-qe", place / "excuses.html", ok=False) == ""
    assert first.made(playbook="playbooks/debs_excuses.yml").changed == []

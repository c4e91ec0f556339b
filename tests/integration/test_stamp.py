"""The example's stacks are built, stamped and published, and installed as users install them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aptclient import PROGRAMS, Client, RefusedError, served
from ruamel.yaml import YAML

from .conftest import ROOT, Ran, Site, tree

STAMP, SHADOW = "playbooks/stamp.yml", "examples/stacks/shadow.yml"
REPRODUCE = """
- hosts: apt_archives
  gather_facts: false
  roles: [slipway.release.debs_reproduce]
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a chroot needs root")


@dataclass
class Stacks:
    """A site with the example's stacks in its shadow archive, and a distro file that tests may change."""

    site: Site
    distro_file: Path

    @property
    def apt(self) -> Path:
        return self.site.state / "apt"

    @property
    def fixed(self) -> Path:
        return self.apt / "public/fixed"

    def distro(self, release: str, **changes: str) -> None:
        distro = YAML().load(self.distro_file)
        distro["version"] = release
        for stack, version in changes.items():
            distro["stacks"][stack]["version"] = version
        YAML().dump(distro, self.distro_file)

    def stamp(self, *, check: bool = False, **extra: object) -> Ran:
        return self.site.play(STAMP, check=check, **extra)

    def released(self, release: str) -> None:
        self.distro(release)
        ran = self.stamp()
        assert ran.status == 0, ran.text

    def versions(self, index: str = "amd64") -> dict[str, str]:
        text = (self.fixed / f"dists/bookworm/main/binary-{index}/Packages").read_text()
        return dict(re.findall(r"(?m)^Package: (.*)\n(?:.*\n)*?Version: (.*)$", text))


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Stacks:
    base = tmp_path_factory.mktemp("stacks")
    examples = base / "stacks"
    shutil.copytree(ROOT / "examples/stacks", examples)
    distro_file = examples / "cturtle.rosdistro"
    targets = {"cturtle": ["bookworm"]}
    variables = {"debs_stamp_distro_file": str(distro_file), "debs_targets": targets, "debs_stamp_bills": True}
    site = Site(base, cache, variables)
    with as_careful_as_possible():
        ran = site.play(SHADOW)
    assert ran.status == 0, ran.text
    return Stacks(site, distro_file)


@contextlib.contextmanager
def as_careful_as_possible() -> Iterator[None]:
    """As somebody whose files nobody else may read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def first(stacks: Stacks) -> Stacks:
    """With its first release published."""
    with as_careful_as_possible():
        stacks.released("r1")
    return stacks


def inside(root: Path, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["chroot", str(root), *words], input=text, text=True, capture_output=True, check=False, env=PROGRAMS
    )


def use(root: Path, stacks: Stacks, *urls: str) -> None:
    """Let the system know the archive at these URLs, and update."""
    shutil.copy(stacks.apt / "public/key.asc", root / "etc/apt/key.asc")
    sources = root / "etc/apt/sources.list.d/slipway.list"
    sources.write_text("".join(f"deb [signed-by=/etc/apt/key.asc] {url} bookworm main\n" for url in urls))
    done = inside(root, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
    assert done.returncode == 0, done.stdout + done.stderr


def installed(root: Path) -> dict[str, str]:
    done = inside(root, "dpkg-query", "--show", "-f", "${Package} ${Version} ${Status}\n", "ros-cturtle-*")
    rows = (line.split(" ", 2) for line in done.stdout.splitlines())
    return {name: version for name, version, status in rows if status == "install ok installed"}


def of_release(versions: dict[str, str]) -> set[str]:
    return {version.split("-")[-1] for version in versions.values()}


def test_looking_first_tells_everything_and_changes_nothing(stacks: Stacks) -> None:
    stacks.distro("r0")
    before = tree(stacks.site.state)
    ran = stacks.stamp(check=True)
    assert ran.status == 0, ran.text
    assert "+bookworm/i386 ros-cturtle-navigation 1.0.1-r0~bookworm" in ran.text
    assert "+Depends: libc6 (>= 2.36), ros-cturtle-common-msgs (= 1.0.3-r0~bookworm)" in ran.text
    assert tree(stacks.site.state) == before


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"debs_stamp_maintainer": "nobody"}, "debs_stamp_maintainer is a name and a mail"),
        ({"debs_stamp_template": "{version}"}, "debs_stamp_template holds {release}"),
        ({"debs_stamp_platforms": []}, "debs_stamp_platforms names each platform once"),
        ({"_debs_stamp_programs": [{"name": "no-such", "package": "x-such"}]}, "install the Debian package x-such"),
        ({"debs_stamp_gnupghome": "/nowhere/gnupg"}, "/nowhere/gnupg"),
        ({"debs_stamp_shadow": "/nowhere"}, "/nowhere, /nowhere/conf/distributions are missing, or not writable"),
    ],
)
def test_what_cannot_end_well_is_refused_before_anything_is_made(
    stacks: Stacks, settings: dict[str, object], says: str
) -> None:
    before = tree(stacks.site.state)
    ran = stacks.site.play(STAMP, tags="debs_stamp_preflight", **settings)
    assert ran.status != 0, ran.text
    assert says in " ".join(ran.message.split())
    assert tree(stacks.site.state) == before


def test_every_gate_lists_all_its_findings_and_nothing_is_made(stacks: Stacks) -> None:
    stacks.distro("r0", geometry="1.2.0", ros="1.3.0")
    before = tree(stacks.fixed)
    ran = stacks.stamp()
    stacks.distro("r0", geometry="1.1.1", ros="1.2.0")
    assert ran.status != 0
    assert "bookworm/amd64: ros-cturtle-geometry is 1.1.1-0~bookworm" in ran.message
    assert "bookworm/i386: ros-cturtle-ros is 1.2.0-0~bookworm; ros 1.3.0 would be 1.3.0-0~bookworm" in ran.message
    assert tree(stacks.fixed) == before


def test_where_packages_must_be_built_once_more_none_is_released_before(stacks: Stacks) -> None:
    stacks.distro("r0")
    before = tree(stacks.fixed)
    ran = stacks.stamp(debs_stamp_reproduced=True)
    assert ran.status != 0
    assert re.search(r"ros-cturtle-navigation\S* was not made once more by anybody whose word counts", ran.text), (
        ran.text
    )
    assert tree(stacks.fixed) == before


def test_a_release_is_stamped_once_more_and_what_differs_fails_the_run(first: Stacks) -> None:
    playbook = first.site.base / "reproduce.yml"
    playbook.write_text(REPRODUCE)
    settings = {
        "debs_reproduce_platforms": [{"name": "bookworm", "architectures": ["amd64", "i386"], "base": []}],
        "debs_reproduce_distribution": "cturtle",
        "debs_reproduce_release": "r1",
        "debs_reproduce_marker": "WG-rosdistro",
    }
    kept = [first.apt / "public/shadow", *(first.fixed / name for name in ("pool", "generations", "snapshots"))]
    before = [tree(path) for path in kept]
    ran = first.site.play(str(playbook), **settings)
    # No package of these has a .buildinfo, so that nothing is built, and no chroot is made for it.
    assert (ran.status, ran.changed) == (0, ["Stamp once more, and compare, the release r1"]), ran.text
    verdicts = first.fixed / "reproduced/bookworm/cturtle-r1.jsonl"
    assert len(verdicts.read_text().splitlines()) == 1
    assert [tree(path) for path in kept] == before
    other = first.site.play(str(playbook), **{**settings, "debs_reproduce_marker": "Another"})
    assert other.status != 0
    assert "Not all of what is published came out the same, bit for bit." in other.message
    shutil.rmtree(first.fixed / "reproduced")


def test_the_first_release_is_published_once(first: Stacks) -> None:
    assert first.versions("amd64").keys() == first.versions("i386").keys()
    assert of_release(first.versions()) == {"r1~bookworm"}
    before = tree(first.fixed)
    again = first.stamp()
    assert (again.status, again.changed) == (0, []), again.text
    assert tree(first.fixed) == before
    assert not (first.apt / "stage/cturtle-r1").exists()
    assert (first.site.state / "stamps/cturtle-r1/records/stamp.json").exists()


def test_each_architecture_has_a_bill_of_materials_that_others_read(first: Stacks) -> None:
    bills = first.fixed / "snapshots/cturtle-r1/bills"
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=bills, check=True)
    for architecture in ("amd64", "i386"):
        bill = bills / f"bookworm-{architecture}.spdx.json"
        checked = subprocess.run([Path(sys.executable).with_name("pyspdxtools"), "-i", bill], check=False)
        assert checked.returncode == 0
        packages = json.loads(bill.read_bytes())["packages"]
        versions = {each["name"]: each["versionInfo"] for each in packages if "arch=source" not in json.dumps(each)}
        assert {name: versions[name] for name in first.versions(architecture)} == first.versions(architecture)
        source = next(each for each in packages if each["name"] == "ros-cturtle-navigation" and "sourceInfo" in each)
        assert "tag navigation-1.0.1" in source["sourceInfo"]


def test_what_is_published_is_not_made_again_from_something_else(first: Stacks) -> None:
    first.distro("r1", navigation="1.0.2")
    ran = first.stamp()
    first.distro("r1", navigation="1.0.1")
    assert ran.status != 0
    assert 'stacks.navigation was "1.0.1", is "1.0.2"' in ran.message


def test_everybody_can_read_what_is_public_and_nobody_else_can_change_it(first: Stacks) -> None:
    public = str(first.apt / "public")
    for kind, mode in (("f", "644"), ("d", "755")):
        words = ["find", public, "-type", kind, "!", "-perm", mode]
        others = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
        assert [path for path in others if not path.endswith("/.slipway.lock")] == []


@needs_root
def test_a_variant_is_installed_over_http_in_a_clean_system_and_works(first: Stacks, chroot: Path) -> None:
    with served(first.apt / "public") as url:
        use(chroot, first, f"{url}/fixed")
        done = inside(chroot, "apt-get", "-q", "-y", "install", "ros-cturtle-desktop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(installed(chroot)) == 6
    assert of_release(installed(chroot)) == {"r1~bookworm"}
    program = "/opt/ros/cturtle/bin/navigate | /opt/ros/cturtle/bin/drawway 10"
    drawn = inside(chroot, "sh", "-c", program, text="S#.\n..G\n")
    assert 'points="5,5 5,15 15,15 25,15"' in drawn.stdout, drawn.stderr


@pytest.fixture(scope="module")
def second(first: Stacks) -> Stacks:
    """With its second release published, which clients of the first have not met yet."""
    first.released("r2")
    return first


def test_what_a_release_changed_is_announced_once(second: Stacks) -> None:
    announce, maildir = "playbooks/debs_announce.yml", second.site.state / "stamps/mail"
    looked = second.site.play(announce, check=True)
    assert looked.status == 0, looked.text
    assert "Since r1: 0 added, 0 updated, 0 removed" in looked.text
    assert not maildir.exists()
    ran = second.site.play(announce)
    assert ran.status == 0, ran.text
    (mail,) = (maildir / "new").iterdir()
    text = mail.read_text()
    assert "\nMessage-ID: <cturtle-r2.debs@localhost>\n" in text
    assert "cturtle r2 is released for bookworm (amd64, i386)." in text
    again = second.site.play(announce)
    assert (again.status, again.changed) == (0, []), again.text
    assert len(list((maildir / "new").iterdir())) == 1


@needs_root
def test_a_mix_of_two_releases_is_refused_and_the_first_stays_installable(second: Stacks, chroot: Path) -> None:
    with served(second.apt / "public") as url:
        use(chroot, second, f"{url}/fixed", f"{url}/fixed/snapshots/cturtle-r1")
        mix = ["ros-cturtle-navigation=1.0.1-r2~bookworm", "ros-cturtle-geometry=1.1.1-r1~bookworm"]
        done = inside(chroot, "apt-get", "-q", "-y", "--allow-downgrades", "install", *mix)
        assert done.returncode != 0
        assert "Depends: ros-cturtle-geometry (= 1.1.1-r2~bookworm)" in done.stdout
        removed = inside(chroot, "apt-get", "-q", "-y", "purge", "ros-cturtle-*")
        assert removed.returncode == 0, removed.stderr
        assert installed(chroot) == {}
        use(chroot, second, f"{url}/fixed/snapshots/cturtle-r1")
        done = inside(chroot, "apt-get", "-q", "-y", "install", "ros-cturtle-all")
        assert done.returncode == 0, done.stdout + done.stderr
        assert of_release(installed(chroot)) == {"r1~bookworm"}
        use(chroot, second, f"{url}/fixed")
        done = inside(chroot, "apt-get", "-q", "-y", "install", "ros-cturtle-all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert of_release(installed(chroot)) == {"r2~bookworm"}


def test_the_other_architecture_has_the_same_release(second: Stacks, tmp_path: Path) -> None:
    with served(second.apt / "public") as url:
        source = f"deb [signed-by={second.apt}/public/key.asc] {url}/fixed bookworm main"
        client = Client(tmp_path / "client", [source], architecture="i386")
        there = "Status: install ok installed\nMaintainer: A <a@example.org>\nDescription: there already\n\n"
        status = client.root / "system/var/lib/dpkg/status"
        status.write_text(f"Package: libc6\nVersion: 2.36-9\nArchitecture: i386\n{there}")
        client.update()
        assert of_release(client.would_install("ros-cturtle-desktop")) == {"r2~bookworm"}
        with pytest.raises(RefusedError):
            client.would_install("ros-cturtle-desktop=1.0.0-r1~bookworm")
        client.download("ros-cturtle-desktop")


def test_clients_of_twenty_publications_and_ten_kills_see_whole_releases_only() -> None:
    watch = [sys.executable, str(ROOT / "benchmarks/apt_publication/watch.py"), "--publications=20", "--kills=10"]
    done = subprocess.run(watch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("20 publications, 0 client errors, 0 mixed sets\n10 publications killed")
    assert "10 whole, then completed" in done.stdout

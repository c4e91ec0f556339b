# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stages package, publish and announce by themselves, on files that stand for deployed images."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import openpgp
from publishing import content, put, tree
from sshd import sshd

from integration.conftest import ROOT

LOCATIONS = ("tiny-system-x86_64.tar", "tiny-system-x86_32.img")
PLAY = [
    {
        "name": "Publish what was deployed",
        "hosts": "coordinator",
        "gather_facts": False,
        "roles": [
            {"role": f"slipway.release.release_{stage}", "tags": [stage]}
            for stage in ("package", "publish", "announce")
        ],
    }
]


class Ran:
    """How a run of the three stages went."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status, self.text = done.returncode, done.stdout + done.stderr
        recap = done.stdout.rpartition("changed=")[2]
        self.changed = int(recap.split()[0]) if recap else -1


class Site:
    """A state directory in which images lie as the stage deploy leaves them."""

    def __init__(self, top: Path) -> None:
        self.top, self.state = top, top / "state"
        self.public, self.private = self.state / "download/public", self.state / "download/private"
        openpgp.make_key(self.state / "gnupg", "Test <test@localhost>")

    def release(self, version: str) -> Path:
        return self.state / "releases" / version

    def deploy(self, version: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put images there; the plan and the deploy records."""
        label, release = f"baserock-{version}", self.release(version)
        images = put(release / "images", {f"{label}-{name}": content(name, 400_000) for name in LOCATIONS})
        systems = [{"name": name, "file": f"{name}.bst", "architecture": "x86_64"} for name in LOCATIONS]
        plan = {
            "project": "baserock",
            "version": version,
            "label": label,
            "branch": f"baserock/release/{label}",
            "tag": label,
            "definitions": {
                "path": "baserock/baserock/definitions",
                "url": str(self.state / "trove/public/baserock/baserock/definitions.git"),
                "mirror_url": str(self.state / "trove/local/baserock/baserock/definitions.git"),
                "ref": "master",
                "commit": "c" * 40,
            },
            "cluster": "clusters/release.morph",
            "cluster_sha256": "d" * 64,
            "systems": systems,
            "deployments": [
                {
                    "name": image["name"],
                    "file": image["name"],
                    "system": "x.bst",
                    "architecture": "x86_64",
                    "type": "tar",
                }
                for image in images
            ],
            "skipped": [],
            "directories": {
                "state": str(self.state),
                **{name: str(release / name) for name in ("source", "records", "images", "artifacts", "logs")},
            },
        }
        return plan, {f"deploy-{image['name']}": {"outputs": image} for image in images}

    def run(self, version: str = "26.47", *words: str, deployed: bool = True, **variables: Any) -> Ran:
        """Run the stages with the records that stand."""
        plan, records = self.deploy(version)
        records = records if deployed else {}
        for path in (self.release(version) / "records").glob("*.json"):
            records[path.stem] = json.loads(path.read_text())
        (self.top / "play.yml").write_text(json.dumps(PLAY))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {
            "all": {
                "hosts": {"here": {**host, "release_plan": plan, "release_records": records}},
                "vars": {"release_publish_timeout": 0, "release_announce_timeout": 0, **variables},
                "children": {"coordinator": {"hosts": {"here": {}}}, "download_servers": {"hosts": {"here": {}}}},
            }
        }
        (self.top / "hosts.json").write_text(json.dumps(inventory))
        program = Path(sys.executable).with_name("ansible-playbook")
        return Ran(
            subprocess.run(
                [program, "-i", self.top / "hosts.json", self.top / "play.yml", *words],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        )

    def done(self, *words: str, **variables: Any) -> Ran:
        ran = self.run(*words, **variables)
        assert ran.status == 0, ran.text
        return ran


@pytest.fixture
def site(tmp_path: Path) -> Site:
    top = tmp_path / "a place with spaces"
    top.mkdir()
    return Site(top)


def assert_public(site: Site, version: str = "26.47") -> None:
    label = f"baserock-{version}"
    for directory in (site.public / label, site.public):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=directory, check=True)
        assert openpgp.good_signature(
            site.state / "gnupg", data=directory / "SHA256SUMS", signature=directory / "SHA256SUMS.asc"
        )
    assert list(site.private.iterdir()) == []
    for name in LOCATIONS:
        assert (site.public / f"baserock-current-{name}.gz").resolve().name == f"{label}-{name}.gz"


def test_a_release_is_published_and_announced_once_and_drift_is_named(site: Site) -> None:
    site.deploy("26.47")
    before = tree(site.state)
    would = site.done("26.47", "--check", "--diff")
    assert would.changed == 8
    assert tree(site.state) == before
    for word in ("current -> baserock-26.47", "SHA256SUMS.asc", "Message-ID: <baserock-26.47.announcement@localhost>"):
        assert word in would.text

    ran = site.done()
    assert "2/3 baserock-26.47-tiny-system-x86_64.tar.gz has" in ran.text
    assert_public(site)
    assert len(list((site.state / "mail/new").iterdir())) == 1
    before = {name: said for name, said in tree(site.state).items() if "/logs/" not in name}
    for words in ((), ("--check", "--diff")):
        assert site.done("26.47", *words).changed == 0
    assert {name: said for name, said in tree(site.state).items() if "/logs/" not in name} == before

    path = site.public / "baserock-26.47" / f"baserock-26.47-{LOCATIONS[0]}.gz"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"!")
    for words in ((), ("--check",)):
        ran = site.run("26.47", *words)
        assert ran.status != 0
        for part in ("Could not publish baserock-26.47", path.name, hashlib.sha256(good).hexdigest()):
            assert part in ran.text.replace("\n", "")
        assert hashlib.sha256(path.read_bytes()).hexdigest() in ran.text
    path.unlink()
    assert site.done().changed == 2
    assert path.read_bytes() == good

    shutil.rmtree(site.release("26.47") / "artifacts")
    shutil.rmtree(site.state / "mail")
    assert site.done().changed == 1
    assert not (site.state / "mail").exists()
    assert_public(site)


def test_the_next_version_takes_the_links_and_the_older_one_never_takes_them_back(site: Site) -> None:
    site.done("26.47")
    older = tree(site.public / "baserock-26.47")
    site.done("26.48")
    assert_public(site, "26.48")
    assert tree(site.public / "baserock-26.47") == older
    assert site.done("26.47").changed == 0
    assert_public(site, "26.48")
    site.done("26.47", release_publish_allow_downgrade=True)
    assert_public(site, "26.47")


def test_a_channel_that_serves_something_else_keeps_links_and_announcement_back(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    channels = [f"file://{site.public}", f"file://{tmp_path}/mirror"]
    ran = site.run("26.47", release_publish_channels=channels)
    assert ran.status != 0
    assert "7 of 14 files are not served with the right bytes" in ran.text.replace("\n", " ")
    assert (site.public / "baserock-26.47").is_dir()
    assert not (site.public / "current").exists()
    assert not (site.state / "mail").exists()
    shutil.copytree(site.public / "baserock-26.47", tmp_path / "mirror/baserock-26.47")
    site.done("26.47", release_publish_channels=channels)
    assert_public(site)
    assert (site.state / "mail").exists()


def test_a_stage_whose_predecessor_is_missing_names_it(site: Site) -> None:
    for tag, missing in (
        ("package", "deploy record"),
        ("publish", "package record"),
        ("announce", "publication record"),
    ):
        ran = site.run("26.47", "--tags", tag, deployed=False)
        assert ran.status != 0
        assert missing in ran.text.replace("\n", " ")
    assert not site.public.exists()


@pytest.mark.skipif(not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()), reason="needs openssh-server")
def test_files_go_to_a_server_by_rsync_over_ssh(site: Site, tmp_path: Path) -> None:
    with sshd(tmp_path / "sshd") as server:
        upload = {
            "method": "rsync",
            "host": server.host,
            "user": server.user,
            "port": server.port,
            "ssh_options": server.options,
        }
        assert site.done("26.47", "--check", release_publish_upload=upload).changed == 8
        site.done("26.47", release_publish_upload=upload)
        assert "Accepted publickey" in server.log.read_text()
    assert_public(site)
    assert site.done("26.47", release_publish_upload=upload).changed == 0

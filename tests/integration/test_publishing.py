# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stages package, publish, notes and announce by themselves, on files that stand for deployed images."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from smtpd import smtpd
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import (
    export_public_key,
    list_fingerprints,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import verify_signature
from aptclient import served
from publishing import content, put, tree
from sshd import sshd

from integration.conftest import ROOT

MESSAGE = "Message-ID: <baserock-26.47.announcement.announce=localhost@localhost>"
LOCATIONS = ("tiny-system-x86_64.tar", "tiny-system-x86_32.img")
#: A module of the tests: the facts that planning and building leave.
KNOWN = """#!/usr/bin/python
import json
with open({path!r}) as file:
    print(json.dumps({{"ansible_facts": json.load(file)}}))
"""
PLAY = [
    {
        "name": "Know a release that is planned and built",
        "hosts": "coordinator",
        "gather_facts": False,
        "tags": ["always"],
        "tasks": [{"known": {}}],
    }
] + [
    {
        "name": f"Run the stage {stage}",
        "hosts": hosts,
        "gather_facts": False,
        "vars_files": [str(ROOT / "playbooks/vars/stage.yml")],
        "any_errors_fatal": True,
        "max_fail_percentage": 0,
        "roles": [{"role": f"slipway.release.release_{stage}", "tags": [stage]}],
    }
    for stage, hosts in (
        ("package", "coordinator"),
        ("publish", "download_servers"),
        ("current", "download_servers"),
        ("notes", "coordinator"),
        ("announce", "coordinator"),
    )
]


def make_history(bare: Path) -> str:
    """A bare repository with one commit, on master."""
    who = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", "--bare", "-b", "master", bare], check=True)
    tree = (
        subprocess.run([*who, "mktree"], cwd=bare, input=b"", check=True, capture_output=True).stdout.decode().strip()
    )
    words = ["commit-tree", tree, "-m", "Begin"]
    commit = subprocess.run([*who, *words], cwd=bare, check=True, capture_output=True).stdout.decode().strip()
    subprocess.run(["git", "update-ref", "refs/heads/master", commit], cwd=bare, check=True)
    return commit


def play(*words: str | Path) -> Ran:
    program = Path(sys.executable).with_name("ansible-playbook")
    return Ran(subprocess.run([program, *words], cwd=ROOT, capture_output=True, text=True, check=False))


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
        make_key(self.state / "gnupg", "Test <test@localhost>")
        self.definitions = self.state / "trove/public/baserock/baserock/definitions.git"
        self.commit = make_history(self.definitions)

    def release(self, version: str) -> Path:
        return self.state / "releases" / version

    def deploy(self, version: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put images there; the plan and the deploy records."""
        label, release = f"baserock-{version}", self.release(version)
        branch = ["update-ref", f"refs/heads/baserock/release/{label}", self.commit]
        subprocess.run(["git", *branch], cwd=self.definitions, check=True)
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
                "url": str(self.definitions),
                "mirror_url": str(self.state / "trove/local/baserock/baserock/definitions.git"),
                "ref": "master",
                "commit": self.commit,
            },
            "cluster": "clusters/release.morph",
            "cluster_sha256": "d" * 64,
            "epoch": 1_700_000_000,
            "move": None,
            **{name: [] for name in ("products", "left_out", "published")},
            "systems": systems,
            "deployments": [
                {
                    "name": image["name"],
                    "file": image["name"],
                    "location": image["name"].removeprefix(f"{label}-"),
                    "system": "x.bst",
                    "system_name": image["name"].removeprefix(f"{label}-"),
                    "architecture": "x86_64",
                    "type": "tar",
                }
                for image in images
            ],
            "skipped": [],
            "coordinator": "here",
            "build_hosts": {},
            "directories": {
                "state": str(self.state),
                "release": str(release),
                **{name: str(release / name) for name in ("source", "records", "images", "artifacts", "logs")},
            },
        }
        deployed = {f"deploy-{image['name']}": {"outputs": image} for image in images}
        return plan, {**deployed, "tag": {"outputs": {"tag": label}}}

    def run(
        self,
        version: str = "26.47",
        *words: str,
        deployed: bool = True,
        servers: dict[str, Any] | None = None,
        **variables: Any,
    ) -> Ran:
        """Run the stages with the records that stand. Without ``servers`` the coordinator serves the files."""
        plan, records = self.deploy(version)
        records = records if deployed else {}
        for path in (self.release(version) / "records").glob("*.json"):
            records[path.stem] = json.loads(path.read_text())
        facts = self.top / "facts.json"
        facts.write_text(json.dumps({"release_plan": plan, "release_records": records}))
        (self.top / "library").mkdir(exist_ok=True)
        (self.top / "library/known.py").write_text(KNOWN.format(path=str(facts)))
        (self.top / "play.yml").write_text(json.dumps(PLAY))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        groups = {"coordinator": {"here": {}}, "download_servers": servers or {"here": {}}}
        inventory = {
            "all": {
                "hosts": {"here": host},
                "vars": {"release_publish_timeout": 0, "release_announce_timeout": 0, **variables},
                "children": {name: {"hosts": hosts} for name, hosts in groups.items()},
            }
        }
        (self.top / "hosts.json").write_text(json.dumps(inventory))
        return play(self.top / "play.yml", "-i", self.top / "hosts.json", *words)

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
        assert verify_signature(
            site.state / "gnupg", data=directory / "SHA256SUMS", signature=directory / "SHA256SUMS.asc"
        )
    assert list(site.private.iterdir()) == []
    for name in LOCATIONS:
        assert (site.public / f"baserock-current-{name}.gz").resolve().name == f"{label}-{name}.gz"


def test_a_release_is_published_and_announced_once_and_drift_is_named(site: Site) -> None:
    site.deploy("26.47")
    before = tree(site.state)
    would = site.done("26.47", "--check", "--diff")
    assert would.changed == 16
    assert tree(site.state) == before
    for word in ("current -> baserock-26.47", "SHA256SUMS.asc", MESSAGE):
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
        for part in ("Could not publish", "Public bytes never change", path.name, hashlib.sha256(good).hexdigest()):
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


def test_a_mail_that_may_have_been_sent_waits_for_a_person(site: Site) -> None:
    with smtpd() as server:
        by_smtp = {
            "release_announce_smtp_host": "127.0.0.1",
            "release_announce_smtp_port": server.port,
            "release_announce_smtp_tls": "none",
        }
        server.answers = {".": "gone"}
        ran = site.run("26.47", **by_smtp)
        assert ran.status != 0
        assert "It may have been sent. Look for the Message-ID" in " ".join(ran.text.split())
        server.answers = {}
        for words in ((), ("--check",)):
            ran = site.run("26.47", "--tags", "announce", *words, **by_smtp)
            assert ran.status != 0
            assert "it may have been sent at 20" in " ".join(ran.text.split())
        site.done("26.47", "--tags", "announce", **by_smtp, release_announce_arrived="true")
        assert site.done("26.47", "--tags", "announce", **by_smtp).changed == 0
        assert len(server.mails) == 1
        (site.release("26.47") / "records/announcement.json").unlink()
        assert site.done("26.47", "--tags", "announce", **by_smtp).changed == 1, "the record"
        assert len(server.mails) == 1


def test_a_list_whose_server_refuses_is_named_and_the_others_get_their_mail_once(site: Site) -> None:
    with smtpd() as server:
        by_smtp = {
            "release_announce_smtp_host": "127.0.0.1",
            "release_announce_smtp_port": server.port,
            "release_announce_smtp_tls": "none",
            "release_announce_recipients": ["b@example.org", "a@example.org"],
        }
        server.refuses = {"b@example.org"}
        ran = site.run("26.47", **by_smtp)
        said = " ".join(ran.text.split())
        assert ran.status != 0
        assert "Could not announce baserock-26.47 to 1 of 2 lists." in said
        assert "b@example.org: 550 nobody here" in said
        assert not (site.release("26.47") / "records/announcement.json").exists()
        server.refuses = set()
        site.done("26.47", "--tags", "announce", **by_smtp)
        assert [recipients for recipients, _ in server.mails] == [["a@example.org"], ["b@example.org"]]
        record = json.loads((site.release("26.47") / "records/announcement.json").read_text())
        assert [mail["to"] for mail in record["outputs"]["mails"]] == by_smtp["release_announce_recipients"]
        ids = [mail["message_id"] for mail in record["outputs"]["mails"]]
        assert [f"Message-ID: {each}".encode() in mail for each, (_, mail) in zip(ids, server.mails[::-1], strict=True)]
        assert site.done("26.47", **by_smtp).changed == 0


def test_the_next_version_takes_the_links_and_the_older_one_never_takes_them_back(site: Site) -> None:
    site.done("26.47")
    older = tree(site.public / "baserock-26.47")
    site.done("26.48", "--tags", "package,publish")
    assert (site.public / "baserock-26.48/SHA256SUMS").is_file()
    assert_public(site, "26.47")
    broken = site.public / "baserock-26.48" / f"baserock-26.48-{LOCATIONS[0]}.gz"
    good = broken.read_bytes()
    broken.write_bytes(good[:-1])
    assert "not served with the right bytes" in " ".join(site.run("26.48", "--tags", "current").text.split())
    assert_public(site, "26.47")
    broken.write_bytes(good)
    site.done("26.48", "--tags", "current")
    assert_public(site, "26.48")
    site.done("26.48")
    assert_public(site, "26.48")
    assert tree(site.public / "baserock-26.47") == older
    again = site.done("26.47")
    assert again.changed == 0, again.text
    assert_public(site, "26.48")
    site.done("26.47", release_current_allow_downgrade=True)
    assert_public(site, "26.47")


def test_a_channel_that_serves_something_else_keeps_links_and_announcement_back(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    channels = [f"file://{site.public}", f"file://{tmp_path}/mirror"]
    ran = site.run("26.47", release_publish_channels=channels)
    assert ran.status != 0
    assert "8 of 16 files are not served with the right bytes" in ran.text.replace("\n", " ")
    assert (site.public / "baserock-26.47").is_dir()
    assert not (site.public / "current").exists()
    assert not (site.state / "mail").exists()
    assert not (site.public / "index.html").exists()
    shutil.copytree(site.public / "baserock-26.47", tmp_path / "mirror/baserock-26.47")
    shutil.copy(site.public / "release-key.asc", tmp_path / "mirror")
    site.done("26.47", release_publish_channels=channels)
    assert_public(site)
    assert (site.state / "mail").exists()
    shutil.copytree(site.public, tmp_path / "whole", symlinks=True)
    with served(tmp_path / "whole") as url:
        settings = {"release_project": "baserock", "release_state_directory": str(site.state)}
        settings |= {"release_mirrors_others": [url], "release_mirrors_timeout": 0}
        words = ("-i", site.top / "hosts.json", "-e", json.dumps(settings))
        for changed in (True, False):
            ran = play(ROOT / "playbooks/mirror.yml", *words)
            assert (ran.status, ran.changed > 0) == (0, changed), ran.text
    assert f'<a href="{url}">' in (site.public / "index.html").read_text()


def test_a_stage_whose_predecessor_is_missing_names_it(site: Site) -> None:
    for tag, missing in (
        ("package", "deploy record"),
        ("publish", "package record"),
        ("current", "publication record"),
        ("announce", "notes record"),
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
        assert site.done("26.47", "--check", release_publish_upload=upload).changed == 16
        site.done("26.47", release_publish_upload=upload)
        assert "Accepted publickey" in server.log.read_text()
    assert_public(site)
    assert site.done("26.47", release_publish_upload=upload).changed == 0


@pytest.mark.skipif(not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()), reason="needs openssh-server")
def test_files_take_the_way_to_a_server_that_ansible_takes(site: Site, tmp_path: Path) -> None:
    """A name, a port, a key and a jump host that are known to nobody but the file in ansible_ssh_common_args."""
    # Paths of sockets are short.
    with sshd(tmp_path / "sshd") as server, tempfile.TemporaryDirectory() as control:
        way = "\n".join(
            (
                f"HostName {server.host}\nPort {server.port}\nUser {server.user}",
                *(option.replace("=", " ", 1) for option in server.options),
            )
        )
        (tmp_path / "config").write_text(f"Host gate\n{way}\nHost server\n{way}\nProxyJump gate\n")
        there = {
            "ansible_python_interpreter": sys.executable,
            "ansible_ssh_common_args": '-F "{{ way }}"',
            "ansible_control_path_dir": control,
            "way": f"{tmp_path}/config",
        }
        site.done("26.47", servers={"server": there})
        accepted = server.log.read_text().count("Accepted publickey")
    assert_public(site)
    assert accepted >= 4, "Ansible and rsync, each through the gate"


def servers(site: Site, **second: Any) -> dict[str, Any]:
    """Two download servers with directories of their own, the first of them as it should be."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {
        name: {
            **local,
            "release_publish_private_dir": str(site.top / name / "private"),
            "release_publish_public_dir": str(site.top / name / "public"),
            **variables,
        }
        for name, variables in (("first", {}), ("second", second))
    }


def channels(site: Site) -> dict[str, Any]:
    urls = [f"file://{site.top}/{name}/public" for name in ("first", "second")]
    return {"release_publish_channels": urls, "release_announce_channels": urls}


def test_every_server_gets_the_release(site: Site) -> None:
    site.done("26.47", servers=servers(site), **channels(site))
    for name in ("first", "second"):
        assert (site.top / name / "public/current/SHA256SUMS").exists()
    assert site.done("26.47", servers=servers(site), **channels(site)).changed == 0


def test_a_server_that_is_lost_ends_the_release_for_all_before_anything_is_public(site: Site) -> None:
    lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    ran = site.run("26.47", servers=servers(site, **lost), **channels(site))
    assert ran.status != 0
    assert "second" in ran.text.partition("UNREACHABLE")[0][-20:]
    assert "Run the stage announce" not in ran.text
    assert not (site.top / "first/public").exists()
    assert not (site.state / "mail").exists()


@pytest.mark.parametrize("name", ["x.tar", "baserock-26.47-x.tar"])
def test_a_server_with_other_files_ends_the_release_for_all_before_anything_is_uploaded(site: Site, name: str) -> None:
    wrong = site.top / "second/public/baserock-26.47" / name
    wrong.parent.mkdir(parents=True)
    wrong.write_text("other bytes")
    ran = site.run("26.47", servers=servers(site), **channels(site))
    assert ran.status != 0
    assert f"{name} is not a file of this release" in ran.text.replace("\n", " ")
    assert "Run the stage announce" not in ran.text
    assert not (site.top / "first").exists()


def test_a_server_that_is_left_out_is_named(site: Site) -> None:
    site.done("26.47", "--tags", "package")
    ran = site.run("26.47", "--limit", "here,first", servers=servers(site), **channels(site))
    assert ran.status != 0
    assert "second failed before, or was left out" in " ".join(ran.text.split())
    assert not (site.top / "first").exists()


def test_a_stage_alone_says_that_the_plan_is_missing(tmp_path: Path) -> None:
    shared = {
        "release_key",
        "release_mirrors",
        "release_stage",
        "release_upload",
        "release_verify",
        "release_vm",
        "release_watch",
    }  # of no release
    stages = sorted({path.name for path in (ROOT / "roles").glob("release_*")} - shared)
    tasks = [
        {
            "block": [{"ansible.builtin.include_role": {"name": f"slipway.release.{stage}"}}],
            "rescue": [{"ansible.builtin.debug": {"msg": f"{stage}: {{{{ ansible_failed_result.msg }}}}"}}],
        }
        for stage in stages
    ]
    book = [{"name": "Use stages", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(book))
    text = " ".join(play(tmp_path / "play.yml", "-i", "localhost,").text.split())
    assert len(stages) > 10
    for stage in stages:
        assert f"{stage}: Could not begin this stage; missing: release_plan, made by the role release." in text, text
    assert "is undefined" not in text


def test_people_get_pages_with_the_face_of_the_site(site: Site) -> None:
    site.done("26.47", release_current_index_support={"26.47": "2028-05-31"})
    page = (site.public / "baserock-26.47.html").read_text()
    assert '<span class="badge">Latest</span>' in page
    assert "<code>baserock-26.47</code>" in page
    assert "2028-05-31" in page
    own = site.top / "face"
    own.mkdir()
    layout = own / "page.html.j2"
    layout.write_text('{% extends "slipway/page.html.j2" %}{% block footer %}<p>{{ title }}</p>{% endblock %}')
    face = {"release_current_index_templates": str(own)}
    title = "Ours & {{ theirs }} <b>"
    assert site.done("26.47", **face, release_current_index_title={"__ansible_unsafe": title}).changed == 1
    assert "<p>Ours &amp; {{ theirs }} &lt;b&gt;</p>" in (site.public / "index.html").read_text()

    before = tree(site.public)
    for fault, where in (("{{ nothing.here }}", "page.html.j2 line 1: UndefinedError"), ("{% if %}", "line 1: ")):
        layout.write_text(fault)
        ran = site.run("26.47", **face)
        assert ran.status != 0
        text = " ".join(ran.text.split())
        assert "Could not render the pages from" in text
        assert where in text
        assert "Nothing was changed. Correct the template and run again." in text
        assert tree(site.public) == before


def test_the_key_beside_the_releases_follows_a_new_one_and_is_never_exchanged(site: Site, tmp_path: Path) -> None:
    site.done("26.47")
    (old,) = list_fingerprints(site.state / "gnupg")
    key = site.public / "release-key.asc"
    first = key.read_bytes()
    new = make_key(site.state / "gnupg", "Next year <test@localhost>")
    would = site.done("26.48", "--check", "--diff", release_package_signing_key=new)
    assert "release-key.asc" in would.text
    assert key.read_bytes() == first
    site.done("26.48", release_package_signing_key=new)
    both = key.read_bytes()
    reader = tmp_path / "reader"
    reader.mkdir(mode=0o700)
    subprocess.run(["gpg", "--homedir", reader, "--batch", "--quiet", "--import", key], check=True)
    assert list_fingerprints(reader) == {old, new}
    for version in ("26.47", "26.48"):
        directory = site.public / f"baserock-{version}"
        words = [
            "gpg",
            "--homedir",
            reader,
            "--batch",
            "--verify",
            directory / "SHA256SUMS.asc",
            directory / "SHA256SUMS",
        ]
        subprocess.run(words, check=True, capture_output=True)
    again = site.done("26.47", release_package_signing_key=new)
    assert again.changed == 0, again.text

    stranger = tmp_path / "stranger"
    theirs = export_public_key(stranger, make_key(stranger, "Eve <eve@localhost>"))
    key.write_bytes(theirs)
    for words in ((), ("--check",)):
        ran = site.run("26.48", *words)
        assert ran.status != 0
        text = " ".join(ran.text.split())
        assert "Could not publish release-key.asc" in text
        assert hashlib.sha256(theirs).hexdigest() in text
    assert key.read_bytes() == theirs
    key.unlink()
    site.done("26.48", "--check")
    assert not key.exists()
    key.write_bytes(both)
    assert site.done("26.48").changed == 0

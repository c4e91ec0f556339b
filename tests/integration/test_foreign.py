# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A mirror that is pushed to over SSH, and clients of others, unchanged, that update a host from it.

Both hosts are a Debian 13 of the lab's. What is released is small; what makes it current, pushes, serves and reads it
is the real thing.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import foreign
import pytest
import tampering
import verifying
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_certificate
from labs import ROOT, Lab, lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can run hosts on this machine")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
URL = "http://{{ lab_address }}"
HOSTS = {
    "coordinator": {"localhost": LOCAL},
    "download_servers": {"localhost": {}},
    "mirrors": {"mirror-1": {"lab_number": 32, "lab_suite": "trixie", "mirror_url": URL}},
    "clients": {
        "client": {
            "lab_number": 34,
            "lab_suite": "trixie",
            "lab_packages": ["systemd-container", "gpg", "sqv", "curl", "python3-venv", "faketime"],
        }
    },
}
ROLE = """
- hosts: mirrors
  gather_facts: false
  roles: [slipway.release.mirror]
"""


@dataclass
class Mirrored:
    """A project's public directory on this machine, its mirror, and a client."""

    made: verifying.Made
    lab: Lab

    @property
    def url(self) -> str:
        hosts = self.lab.settings["hosts"]
        return "http://" + next(host["address"] for host in hosts if host["name"] == "mirror-1")

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        return self.lab.call("exec", "client", "--", "sh", "-c", line)

    def play(self, playbook: Path, *words: str) -> tuple[int, str]:
        top = self.made.top
        tree = {"name": "download", "server": "localhost", "directory": str(self.made.public)}
        settings = {
            "mirror_ssh_host": "{{ lab_address }}",
            "mirror_push_directory": str(top / "push"),
            "mirror_trees": [{**tree, "work": str(top / "private/.mirrors")}],
            "release_project": self.made.project,
            "release_state_directory": str(top / "state"),
            "release_publish_public_dir": str(self.made.public),
            "release_package_gnupghome": str(self.made.home),
            "release_mirrors_timeout": 0,
        }
        command = ["ansible-playbook", "-i", str(self.lab.inventory), str(playbook), "-e", json.dumps(settings), *words]
        done = subprocess.run(
            command, env=self.lab.environment, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def push(self, *words: str) -> tuple[int, str]:
        return self.play(ROOT / "playbooks/mirror.yml", *words)

    def pushed(self) -> None:
        status, said = self.push()
        assert status == 0, said

    def release(self, version: str, serial: int, *before: str) -> None:
        verifying.release(self.made, version, {foreign.LOCATION: version.encode() * 1000}, serial=serial)
        foreign.make_views(self.made, *before, version)

    def listing(self) -> dict[str, list[dict[str, str]]]:
        found = json.loads((self.made.public / "mirrors.json").read_bytes())
        said: dict[str, list[dict[str, str]]] = json.loads(base64.b64decode(found["payload"]))
        return said

    def get_url(self, version: str) -> foreign.Verdict:
        environment = [f"{name}={self.lab.environment[name]}" for name in ("ANSIBLE_CONFIG", "SLIPWAY_LAB", "PATH")]
        words = ["env", *environment, "ansible-playbook", "-i", str(self.lab.inventory), "-l", "client"]
        return foreign.judge_get_url(words, self.url, self.made, version, self.made.top / "client.yml")

    def judge(self, version: str) -> dict[str, foreign.Verdict]:
        return {
            "sysupdate": foreign.judge_sysupdate(self.shell),
            "tuf": foreign.judge_tuf(self.shell, self.url),
            "recipe": foreign.judge_recipe(self.shell, self.url),
            "get_url": self.get_url(version),
        }

    def installed(self) -> list[str]:
        """The version that each client has put in its place."""
        place = foreign.PLACE
        reads = [
            f"head -c 4 {place}/sysupdate/current.img",
            f"zcat $(ls -t {place}/tuf/targets/* | head -n 1) | head -c 4",
            f"head -c 4 {place}/recipe/current.img",
            f"zcat {place}/got.img.gz | head -c 4",
        ]
        return self.shell("; echo; ".join(reads)).stdout.split()


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """A host that is a mirror, and one that clients are on, with the first release."""
    top = tmp_path_factory.mktemp("foreign")
    made = verifying.make_project(top / "made")
    playbook = top / "role.yml"
    playbook.write_text(ROLE)
    (top / "lab").mkdir()
    with lab(top / "lab", HOSTS) as up:
        found = Mirrored(made, up)
        status, said = found.play(playbook)
        assert status == 0, said
        found.release("26.1", 1)
        found.pushed()
        foreign.prepare_sysupdate(found.shell, found.url, made)
        foreign.prepare_tuf(found.shell, made)
        foreign.prepare_recipe(found.shell, made)
        yield found


def test_every_client_updates_a_host_and_refuses_what_is_spoilt(mirrored: Mirrored) -> None:
    verdicts = mirrored.judge("26.1")
    assert all(each.took for each in verdicts.values()), verdicts
    mirrored.release("26.2", 2, "26.1")
    mirrored.pushed()
    verdicts = mirrored.judge("26.2")
    assert all(each.took for each in verdicts.values()), verdicts
    assert mirrored.installed() == ["26.2"] * 4
    assert [each["url"] for each in mirrored.listing()["mirrors"]] == [mirrored.url]
    listed = mirrored.lab.on("mirror-1", "cat /srv/mirror/download/public/mirrors.json").encode()
    assert listed == (mirrored.made.public / "mirrors.json").read_bytes().strip()
    mirrored.release("26.3", 3, "26.2")
    mirrored.pushed()
    label = mirrored.made.label("26.3")
    name = f"/srv/mirror/download/public/{label}/{label}-{foreign.LOCATION}.gz"
    mirrored.lab.on("mirror-1", f"cp -p {name} /var/good; echo other | gzip >{name}; touch -r /var/good {name}")
    verdicts = mirrored.judge("26.3")
    assert not any(each.took for each in verdicts.values()), verdicts
    assert "has been tampered with" in verdicts["sysupdate"].said
    assert "did not match" in verdicts["get_url"].said
    assert mirrored.installed() == ["26.2"] * 4, "nothing was put in the place of what was there"
    # The push finds it and sends it again.
    mirrored.pushed()
    verdicts = mirrored.judge("26.3")
    assert all(each.took for each in verdicts.values()), verdicts
    assert mirrored.installed() == ["26.3"] * 4


def test_a_mirror_that_cannot_be_reached_is_named_and_one_that_lies_is_left_out(mirrored: Mirrored) -> None:
    other = mirrored.made.copied(mirrored.made.top.parent / "liar")
    path = (other.public / "current").resolve() / "SHA256SUMS"
    path.write_text(path.read_text().replace("a", "b"))
    urls = yaml.safe_dump([other.url], default_flow_style=True).strip()
    mirrored.lab.do("partition", "mirror-1")
    try:
        status, said = mirrored.push("-e", f"{{release_mirrors_others: {urls}}}")
    finally:
        mirrored.lab.do("heal", "mirror-1")
    assert status != 0
    assert "too few mirrors serve" in said
    left = {each["url"]: each["reason"] for each in mirrored.listing()["left_out"]}
    assert "it does not answer" in left[mirrored.url]
    assert "it serves other bytes" in left[other.url]
    mirrored.pushed()
    assert mirrored.listing()["left_out"] == []


def test_of_what_is_tampered_with_clients_notice_what_the_table_says(mirrored: Mirrored, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "kinds").mkdir()
    place = tampering.make_site(tmp_path / "place")
    place.address = mirrored.lab.settings["gateway"]
    keys = [export_certificate(made.home, made.fingerprint) for made in (mirrored.made, place.made)]
    foreign.put(mirrored.shell, "/etc/systemd/import-pubring.gpg", b"".join(keys))
    words = ["ansible", "client", "-i", str(mirrored.lab.inventory), "-m", "ansible.builtin.get_url", "-a"]

    def judge_by_sysupdate(changed: tampering.Place) -> str:
        with changed.served() as url:
            return foreign.describe_sysupdate(mirrored.shell, url, changed.days)

    known: dict[tuple[bytes | None, ...], str] = {}

    def judge_by_get_url(changed: tampering.Place) -> str:
        """It reads two files and looks at no date, so that with the same two files it says the same."""
        paths = (changed.made.public / tampering.DEVEL, changed.made.public / "baserock-26.47/SHA256SUMS")
        read = tuple(path.read_bytes() if path.exists() else None for path in paths)
        if read not in known:
            known[read] = ask_get_url(changed)
        return known[read]

    def ask_get_url(changed: tampering.Place) -> str:
        with changed.served() as url:
            label = f"{url}/baserock-26.47"
            name = f"{label}/{tampering.DEVEL.rpartition('/')[2]}"
            asked = f"url={name} checksum=sha256:{label}/SHA256SUMS dest={foreign.PLACE}/table.gz force=true"
            done = subprocess.run(
                [*words, asked], env=mirrored.lab.environment, capture_output=True, cwd=ROOT, check=False
            )
        return tampering.UNSEEN if done.returncode == 0 else "refuses"

    judges = {"systemd-sysupdate": judge_by_sysupdate, "`get_url`": judge_by_get_url}
    found = tampering.fill_table(place, tampering.RELEASE_KINDS, judges, tmp_path / "kinds")
    assert set(found.pop("nothing")) == {tampering.UNSEEN}
    assert "refuses" in found["a file is changed"]
    tampering.compare_table("clients on a host", found, list(judges))

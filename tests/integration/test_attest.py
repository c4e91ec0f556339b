# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several coordinators make a release, each with a key of its own, and what is current moves when enough agree."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_within
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.attestations import Given, push_attestation
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.signers import read_quorum
from signedtags import Keyring

from integration.conftest import Ran, Site, git

ATTEST = "playbooks/attest.yml"
VERSION, LABEL = "26.48", "baserock-26.48"


class Coordinators:
    """The one that releases, ada, and two more who make again what ada publishes."""

    def __init__(self, released: Site, provisioned: Site, top: Path) -> None:
        self.ada = released.copied(top / "ada")
        self.repository = top / "attestations.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.repository)], check=True)
        keys = {"ada": (self.ada.state / "release-key.asc").read_text()}
        prints = {"ada": self._fingerprint(self.ada.state / "gnupg")}
        self.others = {name: provisioned.copied(top / name) for name in ("bob", "eve")}
        for name, site in self.others.items():
            shutil.rmtree(site.state / "gnupg")
            keyring = Keyring(site.state / "gnupg")
            prints[name] = keyring.make(name)
            keys[name] = keyring.export(name)
            keyring.close()
        self.settings: dict[str, Any] = {
            "release_signers": {name: {"fingerprint": prints[name], "key_text": keys[name]} for name in keys},
            "release_attestation_threshold": 2,
            "release_attestation_repository": str(self.repository),
        }

    @staticmethod
    def _fingerprint(home: Path) -> str:
        words = ["gpg", "--homedir", str(home), "--with-colons", "--list-keys"]
        listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def release(self, **more: Any) -> Ran:
        return self.ada.release(VERSION, **self.settings, **more)

    def attest(self, name: str, version: str = VERSION, **more: Any) -> Ran:
        site = self.others[name]
        where = f"file://{self.ada.public}/baserock-{version}"
        return site.play(
            ATTEST, version=version, attest_as=name, release_reproduce_reference=where, **self.settings, **more
        )

    def attest_before(self, name: str, version: str) -> None:
        """What a signer attested of a release that is long made."""
        sums = (self.ada.public / f"baserock-{version}/SHA256SUMS").read_bytes()
        quorum = read_quorum(self.settings["release_signers"], repository=str(self.repository))
        attestor = next(each for each in quorum.attestors if each.name == name)
        with provide_environment(self.others[name].state / "gnupg") as environment:
            (self.repository / "sums").write_bytes(sums)
            signature = sign_within(environment, attestor.fingerprint, data=self.repository / "sums")
        push_attestation(
            str(self.repository), attestor=attestor, version=version, given=Given(sums, signature),
            person=Person(name, f"{name}@example.org", 0),
        )  # fmt: skip

    def require(self, name: str) -> dict[str, str]:
        """That the release is made again first, by the verdict of a signer."""
        verdict = self.others[name].state / f"reproduced/releases/{VERSION}/reproduction.json"
        return {"release_reproduction": "required", "release_reproduce_verdict": str(verdict)}

    @property
    def current(self) -> str:
        return (self.ada.public / "current").resolve().name


@pytest.fixture
def coordinators(released: Site, provisioned: Site) -> Iterator[Coordinators]:
    with tempfile.TemporaryDirectory(prefix="co-", dir="/var/tmp") as top:  # agents' sockets want a short path
        yield Coordinators(released, provisioned, Path(top))


def test_of_three_coordinators_one_lies_and_one_lags_and_nothing_wrong_becomes_current(
    coordinators: Coordinators,
) -> None:
    three = coordinators
    assert three.current == "baserock-26.47"
    three.attest_before("bob", "26.47")
    ran = three.release()
    assert ran.status != 0
    assert "1 of 3 signers attests exactly what is published (ada), and 2 must" in ran.message
    assert "bob lags: nothing of 26.48 is attested, the last that bob attested is 26.47" in ran.message
    assert "eve is missing: no version was ever attested by eve" in ran.message
    assert (three.ada.public / LABEL / "SHA256SUMS").exists(), "its bytes are public, for others to make them again"
    assert three.current == "baserock-26.47"
    lie = {"release_package_level": 1}
    ran = three.attest("eve", **lie)
    assert ran.status != 0
    assert "Nothing was signed" in ran.message
    assert "input: manifest.compression.level was 6, is 1" in ran.message
    assert git("ls-tree", "-r", "--name-only", "main", cwd=three.repository).count(VERSION) == 2, "ada's two files"
    ran = three.attest("eve", release_attestation_dissent=True, **lie)
    assert ran.status == 0, ran.text
    ran = three.release(tags="current")
    assert ran.status != 0
    assert "bob lags" in ran.message
    assert f"eve attests something else: {LABEL}-" in ran.message
    assert three.current == "baserock-26.47"
    assert not (three.ada.public / "signers.asc").exists()
    ran = three.release(tags="current", **three.require("eve"))
    assert ran.status != 0
    assert "what was made again is not the same: baserock-26.48-" in ran.message
    ran = three.attest("bob")
    assert ran.status == 0, ran.text
    ran = three.release(**three.require("bob"))
    assert ran.status == 0, ran.text
    assert three.current == LABEL
    outputs = json.loads((three.ada.release_directory(VERSION) / "records/attestation.json").read_text())["outputs"]
    assert (outputs["agreed"], outputs["others"]) == (["ada", "bob"], ["eve"])
    assert (three.ada.public / "signers.asc").read_text().count("BEGIN PGP PUBLIC KEY BLOCK") == 3
    page = (three.ada.public / f"{LABEL}.html").read_text()
    assert "2 of 3 signers attest exactly these files" in page
    assert outputs["signers"]["bob"] in page
    assert outputs["signers"]["eve"] not in page

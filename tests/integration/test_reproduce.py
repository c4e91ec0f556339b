# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A published release is made again from what it says of itself, and what differs is named."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from integration.conftest import Site, git, tree

PLAYBOOK = "playbooks/reproduce.yml"


def test_a_release_is_made_again_with_the_same_bytes_and_a_changed_input_is_named(
    released: Site, tmp_path: Path
) -> None:
    site = released.copied(tmp_path)
    said = json.loads((site.public / "baserock-26.47.inputs.json").read_text())
    assert said["definitions"]["commit"] == git("rev-parse", "refs/tags/baserock-26.47^{commit}", cwd=site.definitions)
    assert said["definitions"]["url"] is None, "a directory of this machine"
    assert {"bst", "pigz"} <= said["tools"].keys()
    assert all(system["key"] for system in said["systems"])
    before = tree(site.public), git("for-each-ref", cwd=site.definitions)
    ran = site.play(PLAYBOOK, version="26.47", release_reproduce_key=str(site.state / "release-key.asc"))
    assert ran.status == 0, ran.text
    assert "baserock-26.47 is reproduced: all " in ran.text.replace("\n", " ")
    made = site.state / "reproduced/releases/26.47/artifacts/SHA256SUMS"
    assert made.read_bytes() == (site.public / "baserock-26.47/SHA256SUMS").read_bytes()
    assert (tree(site.public), git("for-each-ref", cwd=site.definitions)) == before
    verdict = json.loads((site.state / "reproduced/releases/26.47/reproduction.json").read_text())
    said = json.loads(base64.b64decode(verdict["payload"]))
    assert (said["same"], said["clean"], said["label"]) == (True, True, "baserock-26.47")
    assert not (site.state / "reproduced/releases/26.47/cache").exists()
    # Somebody else's definitions, in which one byte is changed.
    clone = tmp_path / "clone"
    git("clone", "-q", "--no-tags", str(site.definitions), str(clone), cwd=tmp_path)
    element = clone / "elements/hello.bst"
    element.write_text(element.read_text().replace("hello from", "hallo from"))
    git("-c", "user.name=D", "-c", "user.email=d@example.org", "commit", "-qam", "One byte", cwd=clone)
    ran = site.play(
        PLAYBOOK, version="26.47", release_reproduce_directory=str(tmp_path / "other"), release_package_level=1,
        release_definitions_url=str(clone), release_definitions_mirror_url=str(clone), release_reproduce_ref="master",
    )  # fmt: skip
    assert ran.status != 0
    assert "input: manifest.compression.level was 6, is 1" in ran.message
    assert "source: elements/hello.bst differs between " in ran.message
    where = "baserock-26.47-tiny-system-x86_64.tar.gz: etc/hello differs, which hello.bst makes"
    assert where in ran.message
    assert where.replace(".tar.gz", ".img.gz") in ran.message
    shown = tmp_path / "other/releases/26.47/logs/difference-baserock-26.47-tiny-system-x86_64.tar.gz.txt"
    assert "hallo from x86_64" in shown.read_text()
    assert (tree(site.public), git("for-each-ref", cwd=site.definitions)) == before

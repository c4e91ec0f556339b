# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever is tampered with is named from outside; what others notice of it is in the documentation, and stays true."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tampering import (
    ARCHIVE_JUDGES,
    ARCHIVE_KINDS,
    RELEASE_JUDGES,
    RELEASE_KINDS,
    UNSEEN,
    Place,
    compare_table,
    fill_table,
    make_archive,
    make_site,
    read_recipe,
)

from integration.conftest import Site

Kinds = Mapping[str, Callable[[Place], object]]
Judges = Mapping[str, Callable[[Place], str]]


@pytest.mark.parametrize(
    ("name", "make", "kinds", "judges"),
    [
        ("releases", make_site, RELEASE_KINDS, RELEASE_JUDGES),
        ("archives", make_archive, ARCHIVE_KINDS, ARCHIVE_JUDGES),
    ],
)
def test_the_table_of_who_notices_what_is_what_is_found(
    tmp_path: Path, name: str, make: Callable[[Path], Place], kinds: Kinds, judges: Judges
) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "place").mkdir()
    found = fill_table(make(tmp_path / "place"), kinds, judges, tmp_path / "kinds")
    assert set(found.pop("nothing")) == {UNSEEN}
    assert [kind for kind, verdicts in found.items() if verdicts[0] == UNSEEN] == [], "verify.yml names all of it"
    compare_table(name, found, list(judges))


def test_a_real_release_is_right_for_the_playbook_and_for_the_recipe(released: Site, tmp_path: Path) -> None:
    site = released.copied(tmp_path)
    key, url = site.public / "release-key.asc", f"file://{site.public}"
    assert 10 < len(read_recipe("recipe").splitlines()) <= 20
    words = ["bash", "-c", read_recipe("recipe"), "recipe", url, str(key)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "baserock-26.47 is right"), done.stderr
    remembered = tmp_path / "seen.json"
    wanted = {"url": url, "key": str(key), "release_verify_state": str(remembered)}
    ran = site.play("playbooks/verify.yml", **wanted)
    assert ran.status == 0, ran.text
    assert remembered.exists()
    (site.public / "baserock-26.47/SHA256SUMS.asc").unlink()
    ran = site.play("playbooks/verify.yml", **wanted)
    assert ran.status != 0
    assert "missing: baserock-26.47/SHA256SUMS.asc: expected a file, found nothing" in " ".join(ran.message.split())

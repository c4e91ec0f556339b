# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that roles install find all of the logic that they stand on beside them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.lookup.logic_files import LookupModule

ROLES = Path(__file__).resolve().parents[3] / "roles"
QUERY = re.compile(r"query\('slipway\.release\.logic_files'([^)]*)\)")
INSTALLS = {path.parts[-3]: QUERY.search(path.read_text()) for path in ROLES.glob("*/tasks/install.yml")}


@pytest.mark.parametrize("role", sorted(name for name, found in INSTALLS.items() if found))
def test_a_program_can_be_imported_with_what_its_role_installs(role: str, tmp_path: Path) -> None:
    packages = []
    for word in re.findall(r"[\w*]+", INSTALLS[role][1]):  # type: ignore[index]
        known = word.startswith("*") and yaml.safe_load((ROLES / role / "vars/main.yml").read_text())[word[1:]]
        packages += known or [word]
    for file in LookupModule().run(packages):
        (tmp_path / file["path"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file["path"]).write_text(file["content"])
    (program,) = (ROLES / role / "files").glob("*.py")
    done = subprocess.run(
        ["/usr/bin/python3", "-Bc", f"import {program.stem}"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tmp_path}:{program.parent}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")

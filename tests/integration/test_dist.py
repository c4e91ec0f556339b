"""That the collection is checked in the form in which it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_wrong_type_in_the_documentation_of_a_module_is_found(tmp_path: Path) -> None:
    """ansible-test looks through no link, and says of modules behind one that they are right."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    present = [name for name in names if name and os.path.lexists(ROOT / name)]
    for command in (["cp", "-a", "--parents", *present, tmp_path], ["git", "init", "-q", tmp_path]):
        subprocess.run(command, cwd=ROOT, check=True)
    module = tmp_path / "library/release_record.py"
    module.write_text(module.read_text().replace("type: path", "type: str", 1))
    found = subprocess.run(
        [tmp_path / "scripts/dist", "validate-modules"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "plugins/modules/release_record.py:0:0: doc-type-does-not-match-spec" in found.stdout

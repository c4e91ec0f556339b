"""What a change can affect is found, and in doubt it is everything."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = "ansible_collections.slipway.release.plugins"
TREE = {
    "module_utils/slipway/files.py": "",
    "module_utils/slipway/deb/version.py": "from ..files import write\n",
    "module_utils/slipway/deb/alone.py": "",
    "library/debs_stamp.py": f"from {PLUGINS}.module_utils.slipway.deb import version\n",
    "roles/trove/files/trove_status.py": "import slipway.files\n",
    "scripts/other.py": "",
    "tests/sshd.py": "",
    "tests/unit/test_house.py": "",
    "tests/unit/deb/test_version.py": f"from {PLUGINS}.module_utils.slipway.deb.version import Version\n",
    "tests/unit/deb/test_child.py": "CODE = 'from slipway.deb import alone'\n",
    "tests/unit/modules/test_stamp.py": "import sshd\nrun_module('debs_stamp')\n",
    "tests/unit/roles/test_trove.py": "import trove_status\nROLE = ROOT / 'roles/trove'\n",
    "roles/trove/tasks/main.yml": "",
    "roles/web/tasks/main.yml": "",
    "lookup_plugins/odd.py": "",
    "docs/lab.md": "",
}


@pytest.fixture
def affected(monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location("affected", ROOT / "tests/affected.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "affected", module)
    spec.loader.exec_module(module)
    return module.find_affected


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "tests"),
    [
        ("module_utils/slipway/files.py", ["deb/test_version", "modules/test_stamp", "roles/test_trove"]),
        ("module_utils/slipway/deb/version.py", ["deb/test_version", "modules/test_stamp"]),
        ("module_utils/slipway/deb/alone.py", ["deb/test_child"]),
        ("library/debs_stamp.py", ["modules/test_stamp"]),
        ("roles/trove/files/trove_status.py", ["roles/test_trove"]),
        ("roles/trove/tasks/main.yml", ["roles/test_trove"]),
        ("tests/sshd.py", ["modules/test_stamp"]),
        ("tests/unit/deb/test_child.py", ["deb/test_child"]),
        ("docs/lab.md", []),
        ("scripts/other.py", []),
    ],
)
def test_what_uses_a_file_is_affected_by_it(affected, tree: Path, change: str, tests: list[str]) -> None:
    assert affected([change], tree) == [*(f"tests/unit/{name}.py" for name in tests), "tests/unit/test_house.py"]


@pytest.mark.parametrize(
    "change",
    ["pyproject.toml", "constraints.txt", "tests/conftest.py", "lookup_plugins/odd.py", "roles/web/tasks/main.yml"],
)
def test_in_doubt_everything_is_affected(affected, tree: Path, change: str) -> None:
    assert affected([change, "docs/lab.md"], tree) == ["tests/unit"]


def test_without_a_change_nothing_is_affected(affected, tree: Path) -> None:
    assert affected([], tree) == []


def test_files_that_are_gone_affect_who_names_them(affected, tree: Path) -> None:
    (tree / "roles/trove/tasks/main.yml").unlink()
    assert "tests/unit/roles/test_trove.py" in affected(["roles/trove/tasks/main.yml"], tree)

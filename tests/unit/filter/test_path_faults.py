from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.slipway.release.plugins.filter.path_faults import path_faults

ROOT = Path(__file__).parents[3]


def read_options(kind: str) -> set[str]:
    """The variables of all roles that are of this type."""
    specs = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    entries = [entry for spec in specs for entry in spec["argument_specs"].values()]
    return {name for entry in entries for name, option in entry.get("options", {}).items() if option["type"] == kind}


def test_every_path_of_a_role_is_looked_at() -> None:
    listed = yaml.safe_load((ROOT / "playbooks/vars/paths.yml").read_text())["path_variables"]
    assert len(listed) == len(set(listed))
    assert set(listed) - read_options("str") == read_options("path") | {"slipway_cache", "slipway_state"}


@pytest.mark.parametrize(
    "path", ["/srv/slipway", "/a b", "/it's", "/a#1", "/100%41", "/a@2,=+;&()[]~!ë", "", None, 7, ["$"]]
)
def test_paths_that_only_need_to_be_quoted_are_usable(path: Any) -> None:
    assert path_faults({"here": {"x": path}}, ["x", "absent"]) == []


@pytest.mark.parametrize("character", ["$", ":", "\\", '"', "`", "{", "}"])
def test_a_character_that_cannot_be_quoted_is_named_with_its_variable(character: str) -> None:
    hosts = {host: {"x": f"/a{character}b", "y": "/a"} for host in ("one", "two")}
    (fault,) = path_faults(hosts, ["x", "y"])
    assert fault.startswith(f"x is {hosts['one']['x']!r}, which holds {character!r}: ")


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/a\nb", "holds a control character"),
        ("/a ", "begins or ends with a space"),
        ("/\udcff", "holds a control character"),
    ],
)
def test_what_nobody_sees_is_refused(path: str, fault: str) -> None:
    assert path_faults({"here": {"x": path}}, ["x"]) == [f"x is {path!r}, which {fault}"]


def test_what_is_known_later_only_is_left_out() -> None:
    class Later(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            raise AnsibleError(f"{key} is made of what is undefined, and not {default}")

    assert path_faults({"here": Later(x="{{ fact }}")}, ["x"]) == []


@pytest.mark.parametrize("playbook", ["playbooks/provision.yml", "release.yml", "playbooks/stamp.yml"])
def test_a_run_refuses_such_a_path_before_anything_is_made(tmp_path: Path, playbook: str) -> None:
    state = tmp_path / "$HOME" / "a:b"
    done = subprocess.run(
        ["ansible-playbook", playbook, "-e", "version=26.47"],
        cwd=ROOT,
        env={**os.environ, "SLIPWAY_STATE": str(state), "SLIPWAY_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "Could not begin, because programs would take a path for something else." in said
    assert "slipway_state is" in said
    assert "which holds ':'" in said
    assert list(tmp_path.iterdir()) == []


def test_a_checkout_that_ansible_cannot_start_from_is_refused_by_name(tmp_path: Path) -> None:
    place = tmp_path / "my job"
    others = shutil.ignore_patterns(".*", "tests", "benchmarks", "build", "molecule", "docs")
    shutil.copytree(ROOT, place, symlinks=True, ignore=others)
    done = subprocess.run(
        ["ansible-playbook", "playbooks/provision.yml"],
        cwd=place,
        env={**os.environ, "SLIPWAY_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert (
        f'because the directory of the playbook is {place / "playbooks"}, which holds " ". Nothing was changed.' in said
    )
    assert not (tmp_path / "state").exists()

"""What the role trove installs on hosts is what this checkout was tested with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def pins(path):
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return {
        name.lower().replace("_", "-"): version for name, _, version in (line.partition("==") for line in lines if line)
    }


@pytest.mark.parametrize("path", sorted((ROOT / "roles/trove/files").glob("*.txt")), ids=lambda path: path.name)
def test_versions_are_those_of_the_constraints(path):
    known = pins(ROOT / "constraints.txt")
    assert pins(path) == {name: known[name] for name in pins(path)}


def test_what_reads_repositories_for_the_web_server_can_write_nowhere():
    unit = (ROOT / "roles/trove/templates/slipway-trove-http.service.j2").read_text()
    assert "{{ _trove_hardening -}}" in unit
    assert "ReadWritePaths" not in [line.partition("=")[0] for line in unit.splitlines()]
    assert (
        "ProtectSystem=strict" in yaml.safe_load((ROOT / "roles/trove/vars/main.yml").read_text())["_trove_hardening"]
    )

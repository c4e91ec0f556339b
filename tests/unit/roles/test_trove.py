"""What the role trove installs on hosts is what this checkout was tested with."""

from __future__ import annotations

from pathlib import Path

import pytest

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

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventories that are complete set what the roles of their playbooks require."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = ("debs_create", "debs_source", "debs_import", "debs_excuses", "debs_jobs")
#: What playbooks/vars/debs.yml knows of the run.
FACTS = {"debs_release", "debs_created", "debs_sources"}


@pytest.mark.parametrize("inventory", ["lab", "local"])
def test_an_inventory_sets_what_the_playbooks_of_source_packages_require(inventory: str) -> None:
    texts = [path.read_text() for path in (ROOT / "inventory" / inventory / "group_vars").rglob("*.yml")]
    given = {name for text in texts for name in yaml.safe_load(text)}
    plays = "".join((ROOT / "playbooks" / f"{name}.yml").read_text() for name in PLAYBOOKS)
    required = set()
    for role in sorted(set(re.findall(r"slipway\.release\.(debs\w*)", plays))):
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
        options = specs["argument_specs"]["main"]["options"]
        required |= {name for name, option in options.items() if option.get("required")}
    assert required >= FACTS
    assert required - FACTS - given == set()

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As whom a host does its part of a release, where an inventory sets release_user for all of its hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

VARIABLES = Path(__file__).resolve().parents[3] / "playbooks/vars"


def becomes(name: str, **known: Any) -> bool:
    text = yaml.safe_load((VARIABLES / f"{name}.yml").read_text())["ansible_become"]
    become = Templar(loader=DataLoader(), variables=known).template(trust_as_template(text))
    assert isinstance(become, bool)
    return become


@pytest.mark.parametrize("name", ["stage", "account"])
def test_only_coordinators_and_build_hosts_have_the_account_that_releases(name: str) -> None:
    known = {"release_user": "slipway", "ansible_connection": "ssh"}
    assert becomes(name, group_names=["coordinator", "release_hosts"], **known)
    assert becomes(name, group_names=["build_hosts"], **known)
    assert not becomes(name, group_names=["download_servers"], **known)
    assert not becomes(name, group_names=["coordinator"])

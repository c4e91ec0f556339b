# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the web server of a mirror shows: of archives the names of suites and snapshots, as their own server does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[3] / "roles/mirror"
TREES = [{"name": "download"}, {"name": "debs", "path": "debs"}]


def find_shown() -> dict[str, re.Pattern[str]]:
    """The addresses that show what is there, by the directory that they are shown from."""
    known = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    known |= {"_mirror_tls": False, "mirror_trees": TREES}
    template = (ROLE / "templates/nginx.conf.j2").read_text()
    text = str(Templar(DataLoader(), known).template(trust_as_template(template)))
    blocks = re.findall(r"location ~ (\S+) \{\s+(?:alias (\S+);\s+)?autoindex on;", text)
    assert text.count("autoindex on;") == len(blocks)
    return {place: re.compile(pattern.replace("(?<", "(?P<")) for pattern, place in blocks}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("dists/", True),
        ("shadow/dists/", True),
        ("fixed/snapshots/", True),
        ("fixed/snapshots/d-r1/dists/", True),
        ("shadow/dists", False),
        ("shadow/", False),
        ("shadow/pool/", False),
        ("shadow/dists/bookworm/", False),
        ("snapshots.html", False),
    ],
)
def test_only_suites_and_snapshots_are_shown(path: str, shown: bool) -> None:
    found = find_shown()
    debs = found["/srv/mirror/debs/public/$shown"]
    assert bool(found[""].match(f"/{path}")) is shown
    assert bool(match := debs.match(f"/debs/{path}")) is shown
    assert not match or match["shown"] == path
    assert not debs.match(f"/other/debs/{path}")

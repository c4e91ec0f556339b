"""A release has bills of materials, and what they say is judged before anything of it is public."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .conftest import Site

POLICY = {
    "products": {
        "baserock": {"bills": {"stated": {"base": ["ISC"]}}, "gates": {"bill": {"licences": {"forbidden": ["ISC"]}}}}
    }
}


def test_each_system_has_two_bills_and_a_forbidden_licence_stops_the_release(released: Site, tmp_path: Path) -> None:
    site = released.copied(tmp_path)
    ran = site.release("26.48", release_bills=True, release_policy=POLICY)
    assert ran.status != 0
    assert "licences: ISC is forbidden, and base.bst is under it" in " ".join(ran.text.split())
    assert not (site.public / "baserock-26.48").exists()
    artifacts = site.release_directory("26.48") / "artifacts"
    listed = {each["name"]: each["type"] for each in json.loads((artifacts / "manifest.json").read_bytes())["files"]}
    bills = sorted(name for name, kind in listed.items() if kind == "bill")
    assert bills
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in bills} == {"cdx", "spdx"}
    sums = (artifacts / "SHA256SUMS").read_text()
    assert all(name in sums for name in bills)
    record = json.loads((site.release_directory("26.48") / "records" / f"extra-{bills[0][15:]}.json").read_bytes())
    assert {"buildstream-sbom", "debsbom", "spdx-tools"} <= record["tools"].keys()
    program = Path(sys.executable).with_name("pyspdxtools")
    for name in bills:
        if name.endswith(".spdx.json"):
            checked = subprocess.run([program, "-i", artifacts / name], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stderr

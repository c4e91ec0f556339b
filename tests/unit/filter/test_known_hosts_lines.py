from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.release.plugins.filter.known_hosts_lines import known_hosts_lines

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVHcnzQCPDfjlLJlrJTAd3U1hBGf7RXgyHOh4uHtqkX"


def test_every_name_of_a_host_with_a_key_is_known(tmp_path: Path) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "trove": {"slipway_host_key": f"{KEY} root@trove\n", "ansible_host": "192.0.2.7"},
        "odd": {"slipway_host_key": [KEY], "ansible_port": 2222, "slipway_host_names": ["git.example.org"]},
        "silent": {},
    }
    lines = known_hosts_lines(hosts, hosts)
    assert lines == sorted([f"trove,192.0.2.7 {KEY}", f"[odd]:2222,git.example.org {KEY}"])
    (tmp_path / "known_hosts").write_text("".join(f"{line}\n" for line in lines))
    for name in ("trove", "192.0.2.7", "[odd]:2222", "git.example.org"):
        subprocess.run(["ssh-keygen", "-F", name, "-f", tmp_path / "known_hosts"], check=True, capture_output=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slipway_host_key": f"* {KEY}"},
        {"slipway_host_key": f"{KEY}\n@cert-authority * {KEY}"},
        {"slipway_host_key": "no key"},
        {"slipway_host_key": KEY, "slipway_host_names": ["*"]},
        {"slipway_host_key": KEY, "ansible_host": "one two"},
    ],
)
def test_what_is_no_key_or_no_name_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="Could not make trove known to others"):
        known_hosts_lines(["trove"], {"trove": wrong})

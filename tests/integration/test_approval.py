"""A release that needs a second person's approval waits for it, from its beginning to its publication."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .conftest import Site, git


def test_a_release_needs_the_approval_of_somebody_else_until_it_is_public(site: Site, tmp_path: Path) -> None:
    key = tmp_path / "anne"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], check=True, capture_output=True, text=True)
    fingerprint = shown.stdout.split()[1]
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[user]\nname = Anne\nemail = anne@example.org\nsigningKey = {key}.pub\n[gpg]\nformat = ssh\n")
    anne = {"name": "anne", "fingerprint": fingerprint, "accounts": ["anne1"]}
    asked: dict[str, Any] = {
        "release_policy": {"approval": {"signers": [anne]}},
        "release_approval_releaser": ["ben"],
    }
    commit = git("rev-parse", "refs/heads/master", cwd=site.definitions)

    refused = site.release(tags="preflight", **asked)
    assert "baserock-26.47 must be approved by 1 of anne before it is begun, and nobody did" in refused.message
    assert f"approve/baserock-26.47/NAME {commit}" in refused.message
    assert not site.release_directory("26.47").exists()

    site.environment["GIT_CONFIG_GLOBAL"] = str(settings)
    approved = site.play("playbooks/approve.yml", version="26.47", approve_as="anne", **asked)
    assert approved.status == 0, approved.text
    assert git("rev-parse", "refs/tags/approve/baserock-26.47/anne^{commit}", cwd=site.definitions) == commit

    # The stages between are left out, so that it ends where their records are missing, after what is to be seen here.
    site.release(tags="preflight,publish", **asked)
    record = json.loads((site.release_directory("26.47") / "records/approval.json").read_text())
    (approval,) = record["outputs"]["approvals"]
    assert (approval["name"], approval["fingerprint"], approval["commit"]) == ("anne", fingerprint, commit)
    assert record["inputs"] == {"commit": commit, "needed": 1, "releaser": ["ben"]}

    own = site.release(tags="publish", **{**asked, "release_approval_releaser": ["anne1"]})
    assert "Could not publish baserock-26.47. Nothing of it is public." in own.message
    assert "anne releases it (as anne1), and somebody else must approve" in own.message

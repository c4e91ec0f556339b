"""An approval counts that a signer gave to the very commit, in time, and not to what they release themselves."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.approval.find import (
    Approvals,
    find_approvals,
    find_faults,
    format_command,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.approval import Approval, read_approval
from publishing import run_module
from signedtags import DATE, Keyring, Repository, silent_server

LABEL = "baserock-26.47"
DAY = 86400


class People:
    """Those who sign in these tests; Sue has a key of ssh."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.keyring = Keyring(top / "gpg")
        self.anne = self.keyring.make("anne")
        self.sub = self.keyring.add_subkey(self.anne)
        self.ben = self.keyring.make("ben")
        self.mallory = self.keyring.make("mallory")
        self.late = self.keyring.make("late", expires="1d", at="20200101T000000")
        self.revoked = self.keyring.make("revoked")
        self.ssh = top / "sue"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sue", "-f", str(self.ssh)]
        subprocess.run(words, check=True)
        shown = subprocess.run(["ssh-keygen", "-l", "-f", str(self.ssh)], check=True, capture_output=True, text=True)
        self.sue = shown.stdout.split()[1]

    def policy(self, **more: Any) -> dict[str, Any]:
        names = ("anne", "ben", "late", "revoked")
        keys = {name: {"fingerprint": getattr(self, name), "key": self.keyring.export(name)} for name in names}
        signers = [{"name": name, **key, "accounts": [f"{name}1"]} for name, key in keys.items()]
        return {"signers": [*signers, {"name": "sue", "fingerprint": self.sue}], **more}

    def rule(self, **more: Any) -> Approval:
        rule, faults = read_approval(self.policy(**more), "approval")
        assert faults == []
        return rule


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with tempfile.TemporaryDirectory(prefix="ok-", dir="/tmp") as top:  # the agent's socket wants a short path
        found = People(Path(top))
        yield found
        found.keyring.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "definitions.git")


def find(repository: Repository, rule: Approval, **more: Any) -> Approvals:
    asked = {"label": LABEL, "commit": repository.commit, "releaser": ["ben1"], "now": DATE + 3 * DAY, **more}
    return find_approvals(str(repository.path), rule=rule, **asked)


def refusal(repository: Repository, rule: Approval, **more: Any) -> str:
    found = find(repository, rule, **more)
    assert found.given == []
    (sentence,) = found.refused
    return sentence


def test_a_signer_approves_with_the_one_command_that_is_shown(people: People, repository: Repository) -> None:
    clone = people.top / "clone"
    repository.git("clone", "-q", str(repository.path), str(clone))
    base = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(people.top)}
    person = "[user]\nname = A\nemail = a@example.org\n"
    settings = {
        "anne": f"{person}signingKey = {people.anne}\n",
        "sue": f"{person}signingKey = {people.ssh}.pub\n[gpg]\nformat = ssh\n",
    }
    for name, text in settings.items():
        (people.top / ".gitconfig").write_text(text)
        command = format_command(LABEL, repository.commit, str(repository.path), name=name)
        assert command.startswith(f"git tag --sign --message 'Approve {LABEL}' approve/{LABEL}/{name} ")
        environment = {**base, "GNUPGHOME": str(people.keyring.home)}
        subprocess.run(["bash", "-c", command], cwd=clone, env=environment, check=True, capture_output=True)
    found = find(repository, people.rule(needed=2), now=time.time())
    assert found.refused == []
    anne, sue = found.given
    assert (anne["name"], anne["fingerprint"], anne["key"]) == ("anne", people.anne, people.sub)
    assert (sue["name"], sue["fingerprint"]) == ("sue", people.sue)
    assert anne["commit"] == sue["commit"] == repository.commit
    assert anne["object"] == repository.git("rev-parse", f"refs/tags/approve/{LABEL}/anne")
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", anne["date"])


def test_two_tags_of_one_are_one_approval(people: People, repository: Repository) -> None:
    for name in ("anne", "anne-2"):
        repository.tag(f"approve/{LABEL}/{name}", people.keyring, people.anne)
    rule = people.rule(needed=2)
    found = find(repository, rule)
    assert [each["name"] for each in found.given] == ["anne"]
    (fault,) = find_faults(found, label=LABEL, commit=repository.commit, url="/x", rule=rule)
    assert fault.startswith(
        f"{LABEL} must be approved by 2 of anne, ben, late, revoked, sue before it is begun, and only anne did: ben or "
        "late or revoked or sue says, in a clone of the definitions that has the commit, `git tag --sign"
    )


def test_two_keys_of_one_person_are_one_approval(people: People, repository: Repository) -> None:
    policy = people.policy(needed=2)
    policy["signers"][1]["accounts"] = ["anne1", "anne2"]  # Anne's other key
    rule, faults = read_approval(policy, "approval")
    assert faults == []
    repository.tag(f"approve/{LABEL}/a", people.keyring, people.anne)
    repository.tag(f"approve/{LABEL}/b", people.keyring, people.ben)
    found = find(repository, rule)
    assert [each["name"] for each in found.given] == ["anne"]
    assert found.refused == [
        f"the approval approve/{LABEL}/b does not count: ben and anne have an account in common, and so are one person"
    ]
    _, faults = read_approval({**policy, "needed": 5}, "approval")
    assert faults == ["approval.needed: 5 must approve, and there are only 5 signers, who are 4 by their accounts"]


def test_an_approval_counts_for_its_own_label_and_days(people: People, repository: Repository) -> None:
    repository.tag(f"approve/{LABEL}/a", people.keyring, people.anne)
    rule = people.rule(valid={"days": 3})
    assert len(find(repository, rule, now=DATE + 3 * DAY).given) == 1
    assert refusal(repository, rule, now=DATE + 3 * DAY + 1) == (
        f"the approval approve/{LABEL}/a does not count: it was given at 2023-11-14T22:13:20Z, and counts for 3 days"
    )
    assert "which is not yet" in refusal(repository, rule, now=DATE - DAY)
    assert find(repository, rule, label="baserock-26.4") == Approvals()


def test_one_of_another_commit_does_not_count(people: People, repository: Repository) -> None:
    repository.tag(f"approve/{LABEL}/a", people.keyring, people.anne)
    other = "f" * 40
    assert refusal(repository, people.rule(), commit=other).endswith(
        f"does not count: it is of the commit {repository.commit}, and {other} is to be released"
    )


def test_ones_own_approval_does_not_count_unless_the_policy_says_so(people: People, repository: Repository) -> None:
    repository.tag(f"approve/{LABEL}/b", people.keyring, people.ben)
    sentence = "does not count: ben releases it (as ben1), and somebody else must approve"
    assert refusal(repository, people.rule()).endswith(sentence)
    assert refusal(repository, people.rule(), releaser=["ben"]).endswith(
        "ben releases it (as ben), and somebody else must approve"
    )
    assert len(find(repository, people.rule(not_by_releaser=False)).given) == 1


def test_the_key_that_signs_every_release_approves_none(people: People, repository: Repository) -> None:
    repository.tag(f"approve/{LABEL}/a", people.keyring, people.anne)
    fault = refusal(repository, people.rule(), own_keys=[people.anne])
    assert fault.endswith(f"it is signed by {people.anne}, with which every release is signed")


def test_keys_that_are_unknown_expired_or_revoked_do_not_count(people: People, repository: Repository) -> None:
    tags = {"m": people.mallory, "r": people.revoked}
    for name, key in tags.items():
        repository.tag(f"approve/{LABEL}/{name}", people.keyring, key)
    repository.tag(f"approve/{LABEL}/l", people.keyring, people.late, "--faked-system-time", "20200101T010000")
    people.keyring.revoke(people.revoked)
    found = find(repository, people.rule())
    assert found.given == []
    assert [sentence.partition("does not count: ")[2] for sentence in found.refused] == [
        f"its signature is by the key {people.late}, which expired on 2020-01-02",
        f"its signature is by the key {people.mallory}, which is none of those that are known here",
        f"its signature is by the key {people.revoked}, which is revoked",
    ]


def test_a_tag_that_nobody_signed_or_that_is_a_copy_does_not_count(people: People, repository: Repository) -> None:
    repository.git("tag", f"approve/{LABEL}/light", repository.commit)
    text = repository.text("approve/baserock-26.46/a")
    repository.put(f"approve/{LABEL}/old", text + people.keyring.sign(text, people.anne))
    repository.put(f"approve/{LABEL}/plain", repository.text(f"approve/{LABEL}/plain"))
    light, old, plain = find(repository, people.rule()).refused
    assert "it is no annotated tag" in light
    assert "says that it is 'approve/baserock-26.46/a': it was made for something else" in old
    assert plain.endswith("it is not signed")


def test_a_flood_of_tags_is_not_looked_at(people: People, repository: Repository) -> None:
    for number in range(52):
        repository.git("update-ref", f"refs/tags/approve/{LABEL}/{number:03}", repository.commit)
    found = find(repository, replace(people.rule(), signers=people.rule().signers[-1:]))
    assert found.refused[0] == f"there are 52 tags approve/{LABEL}/*, and only the last 50 are looked at"
    assert len(found.refused) == 51


def test_a_server_that_says_nothing_is_no_refusal_of_somebody(people: People) -> None:
    with silent_server() as url, pytest.raises(SlipwayError, match="Could not look for approvals at"):
        find_approvals(url, label=LABEL, commit="a" * 40, rule=people.rule(), releaser=[], now=DATE, timeout=0.5)


def test_where_nobody_knows_who_releases_nobody_else_can_be_told_from_them(
    people: People, repository: Repository
) -> None:
    rule = people.rule()
    repository.tag(f"approve/{LABEL}/a", people.keyring, people.anne)
    faults = find_faults(
        find(repository, rule, releaser=[]), label=LABEL, commit=repository.commit, url="/x", rule=rule
    )
    (fault,) = faults
    assert fault.startswith(f"it is not known who releases {LABEL}, so nobody is somebody else: set ")


def test_the_module_says_what_is_missing(people: People, repository: Repository) -> None:
    asked = {"repository": str(repository.path), "label": LABEL, "commit": repository.commit}
    nobody = run_module("release_approval_info", {**asked, "policy": {}})
    assert (nobody["approvals"], nobody["needed"]) == ([], 0)
    wanted = {**asked, "policy": people.policy(before="publish"), "releaser": ["ben1"]}
    refused = run_module("release_approval_info", wanted)
    assert refused["failed"]
    assert f"Could not release {LABEL}: {LABEL} must be approved by 1 of" in refused["msg"]
    told = run_module("release_approval_info", {**wanted, "required": False})
    assert told["missing"][0].startswith(f"{LABEL} must be approved by 1 of anne")
    assert told["before"] == "publish"
    assert shlex.split(told["command"])[:3] == ["git", "tag", "--sign"]
    wrong = run_module("release_approval_info", {**asked, "policy": {"signers": [], "needed": 1}})
    assert "release_policy.approval.signers: it is empty, not a list of those who may approve" in wrong["msg"]

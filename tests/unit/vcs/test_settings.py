"""A person's settings of the clients change no byte and start nothing; how servers are reached stays the person's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.checkout import check_out
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.client import provide_client
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.source import read_source
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.tags import TagRequest, ensure_tag
from publishing import tree
from vcs import make_stack

TEAM = Person("Team", "team@example.org", 1_700_000_000)
#: Settings that would start a program, or change what is exported.
SETTINGS = {
    "hg": {
        ".hgrc": "[extensions]\nevil = {top}/evil.py\n[hooks]\npre-clone = {evil}\npre-archive = {evil}\n"
        "pre-push = {evil}\noutgoing = {evil}\ncommit = {evil}\n[decode]\n** = tr a-z A-Z\n[ui]\nusername = me\n"
        "[alias]\nclone = !{evil}\ntags = !{evil}\n[defaults]\narchive = -X stack.xml\n[phases]\nnew-commit = secret\n",
        "evil.py": "open({evil_mark!r}, 'w')\n",
    },
    "svn": {
        ".subversion/config": "[helpers]\neditor-cmd = {evil}\n[tunnels]\nevil = {evil}\n[miscellany]\n"
        "global-ignores = *.xml\nenable-auto-props = yes\nuse-commit-times = yes\n",
    },
    "bzr": {
        ".config/breezy/breezy.conf": "[ALIASES]\nexport = tags\ntags = version\n[DEFAULT]\nemail = me <me@x>\n"
        "create_signatures = always\ngpg_signing_command = {evil}\n",
        ".config/breezy/plugins/evil.py": "open({evil_mark!r}, 'w')\n",
        ".config/breezy/rules": "[name *]\neol = crlf\n",
        ".bazaar/plugins/evil.py": "open({evil_mark!r}, 'w')\n",
    },
    "git": {".gitconfig": "[core]\nautocrlf = true\nhooksPath = {top}/hooks\n", "hooks/pre-push": "{evil_text}"},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_that_change_bytes_or_start_programs_do_neither(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, home, mark = make_stack(kind, tmp_path / "stack"), tmp_path / "home", tmp_path / "evil-was-here"
    revision = stack.commit("one\n")
    source = read_source(kind, stack.values)
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    check_out(source, tmp_path / "plain")
    evil, text = tmp_path / "evil.sh", f"#!/bin/sh\ntouch {mark}\nexit 1\n"
    for name, content in {**SETTINGS[kind], "../evil.sh": "{evil_text}"}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content.format(top=home, evil=evil, evil_mark=str(mark), evil_text=text))
        (home / name).chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    for name in ("HGRCPATH", "BRZ_HOME", "BRZ_PLUGIN_PATH", "HGMERGE", "EDITOR", "VISUAL", "SVN_EDITOR"):
        monkeypatch.setenv(name, str(evil))
    check_out(source, tmp_path / "mine")
    for purpose in ("release", "distro"):
        assert ensure_tag(source, TagRequest(purpose, revision, "Tag", TEAM)).changed
    assert tree(tmp_path / "mine") == tree(tmp_path / "plain")
    assert not mark.exists()


def test_credentials_of_the_person_are_used_and_stay_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        ".subversion/servers": "[global]\nhttp-proxy-host = proxy\n",
        ".subversion/auth/svn.simple/x": "secret",
        ".hgrc": "[auth]\nx.password = secret\n",
        ".config/breezy/authentication.conf": "[x]\npassword = secret\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("SVN_SSH", "my-ssh")
    with provide_client("svn", timeout=9) as svn, provide_client("hg", timeout=9) as hg:
        assert (svn.home / "settings/auth/svn.simple/x").read_text() == "secret"
        assert (svn.home / "settings/servers").read_text() == files[".subversion/servers"]
        assert svn.environment["SVN_SSH"] == "my-ssh"
        hgrc = hg.home / "hgrc"
        assert "x.password = secret" in hgrc.read_text().splitlines()
        assert hgrc.stat().st_mode & 0o777 == 0o600
        homes = [svn.home, hg.home]
    with provide_client("bzr", timeout=9) as bzr:
        assert (bzr.home / "breezy/authentication.conf").read_text() == files[".config/breezy/authentication.conf"]
    assert not any(home.exists() for home in homes)
    assert {name: (tmp_path / name).read_text() for name in files} == files


def test_breezy_runs_from_an_environment_of_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with provide_client("bzr", timeout=60) as client:
        assert "Breezy" in client.run("brz", "version", attempt="look at", on="brz").stdout

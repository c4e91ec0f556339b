# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached, try_signing
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import verify_signature
from publishing import run_module, tree

ANNE = "Anne Release <anne@example.org>"


def agents_of(home: Path) -> list[int]:
    """Processes that have this home (or a link to it) on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(os.path.realpath(os.fsdecode(word)) == os.path.realpath(home) for word in words if word[:1] == b"/"):
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("length", range(103, 110))
def test_a_home_whose_path_is_about_as_long_as_sockets_may_be_works(tmp_path: Path, length: int) -> None:
    room = length - len(f"{tmp_path}//S.gpg-agent.browser")
    assert room > 0
    home = tmp_path / ("h" * room)
    assert len(f"{home}/S.gpg-agent.browser") == length
    assert make_key(home, "Release <release@example.org>")


def test_a_home_whose_path_is_too_long_for_sockets_works_and_leaves_no_agent(tmp_path: Path) -> None:
    home = tmp_path / ("state" * 20) / ("gnupg" * 10)
    assert len(str(home)) > 150
    fingerprint = make_key(home, ANNE, expires="0")
    assert find_signing_key(home).expires is None
    data, signature = tmp_path / "data", tmp_path / "data.asc"
    data.write_text("x")
    sign_detached(home, fingerprint, data=data, signature=signature)
    assert verify_signature(home, data=data, signature=signature) is not None
    assert [path.name for path in home.iterdir() if path.is_socket()] == []
    assert agents_of(home) == []


def socket_of(home: Path) -> Path:
    """Where the agent listens: in its home, or below /run/user where a session has that."""
    words = ["gpgconf", "--homedir", home, "--list-dirs", "agent-socket"]
    return Path(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())


def test_an_agent_that_was_there_before_stays(tmp_path: Path) -> None:
    home = tmp_path / "gnupg"
    make_key(home, ANNE)
    agent = subprocess.Popen(["gpg-agent", "--homedir", home, "--daemon", "sleep", "60"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket_of(home).is_socket():
                break
            time.sleep(0.05)
        find_signing_key(home)
        assert socket_of(home).is_socket()
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        agent.kill()
        agent.wait()


def test_a_secret_key_that_only_a_running_agent_has_is_found(tmp_path: Path) -> None:
    home, away = tmp_path / "g", tmp_path / "away"
    fingerprint = make_key(home, ANNE)
    agent = subprocess.Popen(["gpg-agent", "--homedir", home, "--daemon", "sleep", "60"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket_of(home).is_socket():
                break
            time.sleep(0.05)
        away.mkdir(mode=0o700)
        (away / "pubring.kbx").write_bytes((home / "pubring.kbx").read_bytes())
        with pytest.raises(SlipwayError, match="no secret key"):
            find_signing_key(away, fingerprint)
        subprocess.run(["gpgconf", "--homedir", away, "--create-socketdir"], check=False)  # fails where none is needed
        socket_of(away).symlink_to(socket_of(home))
        assert find_signing_key(away, fingerprint).fingerprint == fingerprint
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        agent.kill()
        agent.wait()


def test_the_module_imports_a_key_that_there_is(home: Path, tmp_path: Path) -> None:
    words = ["gpg", "--homedir", home, "--batch", "--armor", "--export-secret-keys"]
    secret = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    name, address = ANNE.removesuffix(">").split(" <")
    arguments = {"gnupghome": str(tmp_path / "g"), "name": name, "email": address, "secret_key": secret}
    assert run_module("openpgp_key", arguments, check=True)["changed"]
    assert tree(tmp_path) == {}
    for change, why in (({"name": "Ben"}, f"it is of {ANNE}"), ({"secret_key": "none"}, "no valid OpenPGP data found")):
        refused = run_module("openpgp_key", {**arguments, **change})
        assert why in refused["msg"]
        assert tree(tmp_path) == {}
    made = run_module("openpgp_key", arguments)
    assert (made["changed"], made["fingerprint"]) == (True, find_signing_key(home).fingerprint)
    again = run_module("openpgp_key", {**arguments, "secret_key": "none"})
    assert (again["changed"], again["fingerprint"]) == (False, made["fingerprint"])
    try_signing(tmp_path / "g", made["fingerprint"])
    assert agents_of(tmp_path / "g") == []


def test_why_an_agent_does_not_start_is_told(tmp_path):
    home = tmp_path / "gnupg"
    (home / "S.gpg-agent/in the way").mkdir(parents=True)
    home.chmod(0o700)
    with pytest.raises(SlipwayError, match=r"gpg-agent ended with status 2; .*S\.gpg-agent"):
        make_key(home, "Release <release@example.org>")

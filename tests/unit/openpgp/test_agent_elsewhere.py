# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A signing key whose secret part is on another machine, whose agent is forwarded by a real sshd."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp import agent
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import (
    export_public_key,
    provide_keyring,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import (
    clearsign_within,
    sign_detached,
    sign_within,
    try_signing,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import (
    open_clearsigned,
    verify_signature,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust import dsse
from sshd import Sshd, sshd

ANNE = "Anne Release <anne@example.org>"


def find_socket(home: Path, name: str) -> Path:
    words = ["gpgconf", "--homedir", home, "--list-dirs", name]
    return Path(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())


class Elsewhere:
    """A machine with the secret key and its agent, and the coordinator's home, which has the public half."""

    def __init__(self, top: Path, server: Sshd) -> None:
        self.away, self.home, self.server = top / "away", top / "home", server
        self.key = make_key(self.away, ANNE)
        self.home.mkdir(mode=0o700)
        words = ["gpg", "--homedir", self.home, "--batch", "--no-autostart", "--import"]
        public = export_public_key(self.away, self.key)
        subprocess.run(words, input=public, check=True, capture_output=True)
        subprocess.run(["gpgconf", "--homedir", self.away, "--launch", "gpg-agent"], check=True)
        subprocess.run(["gpgconf", "--homedir", self.home, "--create-socketdir"], check=False, capture_output=True)
        self.here = find_socket(self.home, "agent-socket")

    @contextlib.contextmanager
    def connect(self) -> Iterator[subprocess.Popen[bytes]]:
        """Forward the agent's extra socket to the coordinator until the end of the block."""
        options = [word for option in self.server.options for word in ("-o", option)]
        forward = f"{self.here}:{find_socket(self.away, 'agent-extra-socket')}"
        words = ["ssh", *options, "-p", str(self.server.port), "-N", "-o", "ExitOnForwardFailure=yes", "-R", forward]
        with contextlib.suppress(FileNotFoundError):  # sshd does so itself with StreamLocalBindUnlink
            self.here.unlink()
        ssh = subprocess.Popen([*words, f"{self.server.user}@{self.server.host}"])
        try:
            for _ in range(200):
                if self.here.is_socket():
                    break
                time.sleep(0.05)
            yield ssh
        finally:
            ssh.kill()
            ssh.wait()

    def close(self) -> None:
        """End the agent."""
        subprocess.run(["gpgconf", "--homedir", self.away, "--kill", "all"], check=True)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    top = tmp_path_factory.mktemp("elsewhere")
    with sshd(top / "ssh") as server:
        made = Elsewhere(top, server)
        try:
            yield made
        finally:
            made.close()


def test_all_that_is_signed_is_signed_by_a_key_that_never_came_here(elsewhere: Elsewhere, tmp_path: Path) -> None:
    home, key = elsewhere.home, elsewhere.key
    data, signature = tmp_path / "SHA256SUMS", tmp_path / "SHA256SUMS.asc"
    data.write_text("abc  x\n")
    with elsewhere.connect():
        assert find_signing_key(home).fingerprint == key
        try_signing(home, key)
        sign_detached(home, key, data=data, signature=signature)
        line = dsse.sign_envelope(b"{}", dsse.LATEST, gnupghome=home, fingerprint=key)
        with provide_environment(home) as environment:
            inrelease = clearsign_within(environment, key, b"Origin: x\n", on="InRelease")
            sign_within(environment, key, data=data)
            git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
            for words in (
                ["init", "-q"],
                ["commit", "-q", "--allow-empty", "-m", "x"],
                ["tag", "-u", key, "-m", "x", "t"],
            ):
                run([*git, *words], attempt="tag", env=environment)
        assert elsewhere.here.is_socket(), "the agent elsewhere goes on"
    assert verify_signature(home, data=data, signature=signature) is not None
    envelope = dsse.read_envelope(line, payload_type=dsse.LATEST, attempt="read", on="latest.json")
    assert [each.fault for each in dsse.judge_envelope(envelope, gnupghome=home)] == [None]
    opened = open_clearsigned(inrelease, gnupghome=home)
    assert opened is not None
    assert opened[0].fingerprint == key
    subprocess.run(
        ["git", "-C", tmp_path, "tag", "-v", "t"],
        env={"GNUPGHOME": str(home), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )
    assert not list(home.glob("private-keys-v1.d/*")), "no secret is here"


def test_an_agent_that_is_away_is_told_with_what_to_do_and_none_takes_its_place(elsewhere: Elsewhere) -> None:
    home, key = elsewhere.home, elsewhere.key
    with elsewhere.connect():
        dsse.sign_envelope(b"{}", dsse.LATEST, gnupghome=home, fingerprint=key)
    assert elsewhere.here.is_socket(), "a connection that was killed leaves its socket behind"
    signing = {"gnupghome": home, "fingerprint": key}
    for act in (
        lambda: find_signing_key(home, key),
        lambda: find_signing_key(home),
        lambda: dsse.sign_envelope(b"{}", dsse.LATEST, **signing),
    ):
        with pytest.raises(
            SlipwayError, match=r"the connection to the agent that was forwarded to .* is broken"
        ) as told:
            act()
        assert "forward its agent to here again" in told.value.do_next
        assert "goes on where it ended" in told.value.do_next
    elsewhere.here.unlink()
    with pytest.raises(SlipwayError, match=f"no agent of another machine is forwarded to {elsewhere.here}"):
        dsse.sign_envelope(b"{}", dsse.LATEST, **signing)
    assert not elsewhere.here.exists()
    with elsewhere.connect():  # the same once more
        dsse.sign_envelope(b"{}", dsse.LATEST, **signing)


def test_an_agent_without_the_key_is_told(elsewhere: Elsewhere, tmp_path: Path) -> None:
    make_key(tmp_path / "g", "Ben <ben@example.org>")
    other = find_signing_key(tmp_path / "g").fingerprint
    public = export_public_key(tmp_path / "g", other)
    with provide_keyring({"ben": public}) as home:
        place = find_socket(home, "agent-socket")
        place.unlink(missing_ok=True)
        place.symlink_to(find_socket(elsewhere.away, "agent-socket"))
        with pytest.raises(
            SlipwayError, match=f"no secret key has this fingerprint; the agent at {place} does not have it"
        ):
            find_signing_key(home, other)
        place.unlink()


def test_a_connection_that_takes_everything_and_answers_nothing_ends(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "AGENT_SILENCE", 0.2)
    elsewhere.here.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(elsewhere.here))
        silent.listen()
        with pytest.raises(SlipwayError, match="is broken"):
            find_signing_key(elsewhere.home)
    elsewhere.here.unlink()

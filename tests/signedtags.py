# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signed tags as people make them with git and gpg, and tags as somebody makes them who wants to be taken for one."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TAGGER = "Anne Maintainer <anne@example.org>"
DATE = 1_700_000_000


class Keyring:
    """A person's GnuPG home in a short path; keys have no passphrase."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)

    def run(self, *words: str, stdin: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--pinentry-mode", "loopback", *words]
        return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout

    def make(self, name: str, *, expires: str = "0", at: str | None = None) -> str:
        """A new key; its fingerprint. ``at`` is a time long ago."""
        dated = [] if at is None else ["--faked-system-time", at]
        user = f"{name} <{name}@example.org>"
        self.run(*dated, "--passphrase", "", "--quick-generate-key", user, "ed25519", "sign,cert", expires)
        return self.fingerprints(name)[0]

    def add_subkey(self, fingerprint: str, *, expires: str = "0") -> str:
        self.run("--passphrase", "", "--quick-add-key", fingerprint, "ed25519", "sign", expires)
        return self.fingerprints(fingerprint)[-1]

    def fingerprints(self, name: str) -> list[str]:
        """Of a key and its subkeys."""
        listed = self.run("--with-colons", "--list-keys", name).decode()
        return re.findall(r"^fpr:+([0-9A-F]{40}):$", listed, re.MULTILINE)

    def revoke(self, fingerprint: str) -> None:
        """With the certificate that GnuPG laid by, which begins with a colon so that nobody uses it by accident."""
        certificate = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()
        self.run("--import", stdin=certificate.replace(b":-----BEGIN", b"-----BEGIN"))

    def export(self, *names: str) -> str:
        return self.run("--armor", "--export", *names).decode()

    def sign(self, text: bytes, fingerprint: str, *options: str) -> bytes:
        return self.run(*options, "--local-user", f"{fingerprint}!", "--armor", "--detach-sign", stdin=text)

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True)


class Repository:
    """A bare repository with one commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "-q", "--bare", "-b", "main", str(path), cwd=path.parent)
        self.blob = self.git("hash-object", "-w", "--stdin", stdin=b"a file\n")
        self.tree = self.git("mktree", stdin=f"100644 blob {self.blob}\tfile\n".encode())
        self.commit = self.git("commit-tree", self.tree, "-m", "The first", "-m", "text")
        self.git("update-ref", "refs/heads/main", self.commit)

    def git(self, *words: str, stdin: bytes | None = None, cwd: Path | None = None) -> str:
        people = {f"GIT_{who}_{what}": each for who in ("AUTHOR", "COMMITTER") for what, each in _PERSON.items()}
        clean = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **people}
        done = subprocess.run(["git", *words], cwd=cwd or self.path, env=clean, input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def text(self, name: str, *, on: str = "", kind: str = "commit", message: str = "", extra: str = "") -> bytes:
        """What a person signs."""
        lines = [f"object {on or self.commit}", f"type {kind}", f"tag {name}", f"tagger {TAGGER} {DATE} +0000"]
        return ("\n".join(lines) + f"\n{extra}\n{message or name}\n").encode()

    def put(self, ref: str, data: bytes) -> str:
        """Make a tag object of these bytes, whatever they are, and a tag that names it."""
        made = self.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", stdin=data)
        path = self.path / "refs/tags" / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{made}\n")  # git itself makes no ref for an object that it cannot read
        return made

    def tag(self, name: str, keyring: Keyring, fingerprint: str, *options: str, message: str = "") -> str:
        """A signed tag; the tag object."""
        text = self.text(name, message=message)
        return self.put(name, text + keyring.sign(text, fingerprint, *options))


_PERSON = {"NAME": "Anne Maintainer", "EMAIL": "anne@example.org", "DATE": f"@{DATE} +0000"}


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a git server that takes connections, as the kernel does for it, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"git://127.0.0.1:{server.getsockname()[1]}"

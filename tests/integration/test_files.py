"""Files that something else made: what docs/files.md says is published, and nothing of the rules is undone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key

from integration.conftest import ROOT, tree

EXAMPLE = ROOT / "examples/files"
BIN = Path(sys.executable).parent
MIB = 1 << 20


class Site:
    """The directory of the recipe, and what mkosi leaves in it."""

    def __init__(self, top: Path) -> None:
        shutil.copytree(EXAMPLE, top)
        self.top, self.output, self.state = top, top / "mkosi.output", top / "state"
        self.public = self.state / "download/public"
        self.output.mkdir()
        self.put("image.raw", b"disk")
        with open(self.output / "image.raw", "ab") as stream:
            stream.truncate(64 * MIB)
        self.put("image.efi", b"kernel")
        self.put("image.manifest", b"{}")
        (self.output / "image").symlink_to("image.raw")

    def put(self, name: str, content: bytes) -> None:
        (self.output / name).write_bytes(content)

    def run(self, version: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.play("release.yml", "-e", f"version={version}", *words)

    def plays(self, playbook: str, *words: str) -> str:
        ran = self.play(f"slipway.release.{playbook}", *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def play(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "ansible-playbook", *words],
            cwd=self.top,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_STDOUT_CALLBACK": "slipway.release.stages",
                "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def done(self, version: str, *words: str) -> str:
        ran = self.run(version, *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def fails(self, version: str, *words: str) -> str:
        ran = self.run(version, *words)
        assert ran.returncode != 0, ran.stdout
        assert "Traceback" not in ran.stdout + ran.stderr
        return " ".join(ran.stdout.split())

    def content(self) -> dict[str, tuple[object, ...]]:
        """All but locks, logs and what gpg keeps."""
        passing = re.compile(r"gnupg/|.*/logs/|.*\.lock$")
        return {name: said for name, said in tree(self.state).items() if not passing.match(f"{name}")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site on which 1.0 is released, after what that would do was asked."""
    site = Site(tmp_path_factory.mktemp("files") / "acme")
    make_key(site.state / "gnupg", "Release team <release@localhost>")
    before = tree(site.state)
    would = site.done("1.0", "--check", "--diff", "--tags", "deploy,package")
    assert tree(site.state).keys() == before.keys()
    for words in ("acme-1.0-image.raw.gz", "SHA256SUMS.asc", hashlib.sha256(b"kernel").hexdigest()):
        assert words in would
    said = site.done("1.0")
    assert "acme-1.0 is released." in said
    assert f"not released of {site.output}: image (a link to image.raw)" in said
    assert "sha256sum -c SHA256SUMS\n  next    ansible-playbook release.yml -e version=1.1" in said
    return site


def test_the_recipe_is_the_example_and_is_short() -> None:
    recipe = (ROOT / "docs/files.md").read_text()
    files = [path for path in sorted(EXAMPLE.rglob("*")) if path.is_file()]
    for path in files:
        assert f"`{path.relative_to(EXAMPLE)}`:\n\n```" in recipe
        assert f"\n{path.read_text()}```\n" in recipe
    assert sum(1 for path in files for line in path.read_text().splitlines() if line.strip()) < 40


def test_what_is_public_is_what_was_made_and_can_be_verified(site: Site, tmp_path: Path) -> None:
    published = site.public / "acme-1.0"
    names = {path.name for path in published.iterdir()}
    files = {"acme-1.0-image.efi", "acme-1.0-image.raw.gz"}
    beside = {"SHA256SUMS", "SHA256SUMS.asc", "manifest.json"}
    assert names == files | beside | {f"{name}.sha256" for name in files}
    assert (published / "acme-1.0-image.efi").read_bytes() == (site.output / "image.efi").read_bytes()
    script = """
        export GNUPGHOME=$PWD/gnupg; mkdir -m 700 gnupg; trap 'gpgconf --kill all' EXIT
        gpg --quiet --batch --import "$1/release-key.asc"
        gpg --quiet --batch --verify "$1/current/SHA256SUMS.asc" "$1/current/SHA256SUMS"
        (cd "$1/current" && sha256sum --strict --quiet -c SHA256SUMS)
        gunzip -c "$1/acme-current-image.raw.gz" | cmp - "$2"
    """
    words = ["bash", "-euc", script, "verify", site.public, site.output / "image.raw"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Good signature" in done.stderr


def test_page_list_mail_and_report_tell_of_it(site: Site) -> None:
    page = (site.public / "acme-1.0.html").read_text()
    assert '<td data-label="x86_64">' in page
    assert "Unified kernel image" in page
    (release,) = json.loads((site.public / "releases.json").read_text())["releases"]
    assert {file["type"] for file in release["files"]} >= {"rawdisk", "efi"}
    (mail,) = (site.state / "mail/new").iterdir()
    text = mail.read_text()
    assert f"SHA-256: {hashlib.sha256(b'kernel').hexdigest()}" in text
    assert "Systems" not in text
    assert "commit" not in text
    report = (site.state / "releases/1.0/report.html").read_text()
    assert "Released: every stage is done." in report


def test_again_changes_nothing_also_when_the_files_are_gone(site: Site) -> None:
    before = site.content()
    aside = site.output.rename(site.top / "aside")
    try:
        assert "  changed nothing\n" in site.done("1.0")
    finally:
        aside.rename(site.output)
    assert site.content() == before


def test_other_bytes_under_the_same_version_are_named_and_the_next_version_tells_them(site: Site) -> None:
    before, was = site.content(), hashlib.sha256(b"kernel").hexdigest()
    site.put("image.efi", b"newer kernel")
    said = site.fails("1.0")
    now = hashlib.sha256(b"newer kernel").hexdigest()
    assert (
        f"acme-1.0-image.efi has sha256 {now} (12 bytes) instead of {was} (6 bytes); its file is 'image.efi'." in said
    )
    assert "What is on record never changes: put it back, or release what is there now under another version." in said
    assert site.content() == before
    os.mkfifo(site.output / "pipe.raw")
    (site.output / "out").symlink_to("/etc/passwd")
    site.put("a b.raw", b"x")
    assert "limits a release of what definitions say" in site.fails("1.1", "-e", "products=acme")
    said = site.fails("1.1", "--tags", "preflight")
    assert f"Could not plan acme-1.1 from the files in {site.output}: 3 faults. Nothing was changed." in said
    for fault in (
        "'pipe.raw' is a FIFO",
        "'out' is a link that leads out of it",
        "'a b.raw' is not usable as the name",
    ):
        assert fault in said
    for name in ("pipe.raw", "out", "a b.raw"):
        (site.output / name).unlink()
    site.put("image.vmlinuz", b"bare kernel")
    names = [path.name for path in site.output.iterdir()]
    made = subprocess.run(["sha256sum", *names], cwd=site.output, check=True, capture_output=True).stdout
    site.put("SHA256SUMS", made)
    site.done("1.1", "--skip-tags", "announce", "-e", "release_files_sums=SHA256SUMS")
    assert (site.public / "current").resolve().name == "acme-1.1"
    assert site.content().items() >= {name: said for name, said in before.items() if "acme-1.0/" in name}.items()
    notes = (site.public / "acme-1.1.md").read_text()
    assert notes == (
        "## Changes\n\nSince acme-1.0:\n\n* `acme-1.1-image.efi` changed, and has 12 B, 6 B more\n"
        "* `acme-1.1-image.vmlinuz` is new, 11 B\n* 1 file is the same\n"
    )
    assert "<h3>Changes</h3>" in (site.public / "acme-1.1.html").read_text()


def test_a_withdrawn_release_is_named_everywhere_and_does_not_come_back_by_itself(site: Site) -> None:
    reason, before = "The disk does not boot.", tree(site.state)
    said = site.plays("withdraw", "-e", "version=1.1", "-e", f"reason={reason}", "--check", "--diff")
    assert "acme-current-image.efi -> acme-1.0/acme-1.0-image.efi" in said
    assert reason in said
    cut = site.play("slipway.release.withdraw", "-e", "version=1.1", "-e", "reason=It has {{ braces }}.", "--check")
    assert "'braces' is undefined" in cut.stdout
    assert tree(site.state).keys() == before.keys()
    said = site.plays("withdraw", "-e", "version=1.1", "-e", f"reason={reason}")
    assert "acme-1.1 is withdrawn.\n" in said
    assert (site.public / "current").resolve().name == "acme-1.0"
    listed = json.loads((site.public / "releases.json").read_text())
    assert (listed["current"], listed["releases"][0]["withdrawn"]["reason"]) == ("1.0", reason)
    mail = (site.state / "releases/1.1/withdrawal.txt").read_text()
    assert f"Why: {reason}\n" in mail
    before = site.content()
    assert "changed nothing" in site.plays("withdraw", "-e", "version=1.1")
    assert site.content() == before
    said = site.fails("1.1", "--tags", "preflight,publish")
    assert f"was withdrawn on {listed['releases'][0]['withdrawn']['date'][:10]} by acme release team: {reason}" in said
    assert site.content() == before


def test_a_refresh_signs_what_is_current_once_more_and_names_a_server_that_was_rolled_back(site: Site) -> None:
    def read_serial() -> int:
        return int(json.loads(base64.b64decode(json.loads(latest.read_text())["payload"]))["serial"])

    latest, before = site.public / "latest.json", site.content()
    old, serial = latest.read_bytes(), read_serial()
    site.plays("refresh")
    changed = {name for name, said in site.content().items() if before.get(name) != said}
    assert not [name for name in changed if name.startswith("download/public/acme-")]
    assert read_serial() == serial + 1
    latest.write_bytes(old)
    ran = site.play("slipway.release.refresh")
    assert ran.returncode != 0
    assert f"has the serial {serial}, and was rolled back: on record is {serial + 1}" in " ".join(ran.stdout.split())
    assert latest.read_bytes() == old
    site.plays("refresh", "-e", "release_current_settle=record")
    assert read_serial() == serial + 2
    assert "failed" not in site.plays("expiry")


def test_what_was_withdrawn_in_error_comes_back_with_the_same_bytes(site: Site) -> None:
    kept = {name: (site.public / name).read_bytes() for name in ("acme-1.0/SHA256SUMS", "acme-1.0/acme-1.0-image.efi")}
    how = json.dumps({"reason": "It's wrong: a=b.", "release_withdraw_remove": True, "release_withdraw_by": "Ada"})
    assert "It's wrong: a=b." in site.plays("withdraw", "-e", "version=1.0", "-e", how)
    assert sorted(path.name for path in site.public.iterdir() if path.is_symlink() and "1.1" not in path.name) == [
        ".current"
    ]
    assert not (site.public / "acme-1.0").exists()
    for name in ("SHA256SUMS", "image.vmlinuz"):
        (site.output / name).unlink()
    site.put("image.efi", b"kernel")
    site.done("1.0", "-e", "release_reinstate=true")
    assert {name: (site.public / name).read_bytes() for name in kept} == kept
    assert (site.public / "current").resolve().name == "acme-1.0"
    assert [
        each["withdrawn"] is None for each in json.loads((site.public / "releases.json").read_text())["releases"]
    ] == [
        False,
        True,
    ]

"""A whole release of a tiny distribution, with real git, BuildStream, gpg, genimage and grokmirror."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import Site, git, tiny_site, tree

LABEL = "baserock-26.47"
BRANCH = f"baserock/release/{LABEL}"
STAGES = [
    *("preflight", "branch", "promote", "build", "deploy", "package"),
    *("publish", "current", "tag", "notes", "announce"),
]
FILES = ("tiny-system-x86_64.tar.gz", "tiny-system-x86_64.img.gz", "tiny-system-x86_32.tar.gz")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, released: Site) -> Site:
    """A site on which 26.47 is released; tests only look at it, or put back what they disturb."""
    return released.copied(tmp_path_factory.mktemp("finished"))


def sums(site: Site, label: str = LABEL) -> str:
    return (site.public / label / "SHA256SUMS").read_text()


def mails(site: Site) -> list[Path]:
    return [path for name in ("new", "cur") for path in (site.state / "mail" / name).glob("*")]


def untouched(site: Site) -> dict[str, tuple]:
    """What a run must not touch when nothing is to be done; locks and caches of tools are no content."""
    tools = ("cache/", "gnupg/", "releases/26.47/logs/", "releases/26.47/source/.git/")
    return {
        name: stat
        for name, stat in tree(site.state).items()
        if not name.startswith(tools) and not name.endswith(".lock") and not (site.state / name).is_dir()
    }


def test_every_file_is_public_and_passes_sha256sum(finished: Site):
    for directory in (finished.public, finished.public / LABEL):
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=directory, check=True, capture_output=True, text=True
        )
        for name in FILES:
            assert f"{LABEL}-{name}: OK" in done.stdout.splitlines()
    for name in FILES:
        listed = (finished.public / LABEL / f"{LABEL}-{name}.sha256").read_text().split()
        assert listed[0] == hashlib.sha256((finished.public / f"{LABEL}-{name}").read_bytes()).hexdigest()


@pytest.fixture
def reader(finished: Site, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who has nothing but the public key beside the releases."""
    home = tmp_path / "reader"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    key = str(finished.public / "release-key.asc")
    subprocess.run(["gpg", "--batch", "--import", key], check=True, capture_output=True, env=environment)
    yield environment
    subprocess.run(["gpgconf", "--kill", "all"], check=True, env=environment)


def test_the_signature_verifies_with_the_public_key_alone(finished: Site, reader: dict[str, str]):
    done = subprocess.run(
        ["gpg", "--batch", "--verify", "SHA256SUMS.asc", "SHA256SUMS"],
        cwd=finished.public, check=True, capture_output=True, env=reader,
    )  # fmt: skip
    assert b"Good signature" in done.stderr


def test_the_current_links_resolve_to_this_release(finished: Site):
    assert (finished.public / "current").resolve() == finished.public / LABEL
    for name in FILES:
        link = finished.public / f"baserock-current-{name}"
        assert link.is_symlink()
        assert link.resolve() == finished.public / LABEL / f"{LABEL}-{name}"


def test_branch_and_tag_are_on_the_public_trove_and_the_mirror_has_the_branch(finished: Site):
    head = git("rev-parse", f"refs/heads/{BRANCH}", cwd=finished.definitions)
    assert git("rev-parse", f"refs/tags/{LABEL}^{{commit}}", cwd=finished.definitions) == head
    mirror = finished.state / "trove/local/baserock/baserock/definitions.git"
    assert git("rev-parse", f"refs/heads/{BRANCH}", cwd=mirror) == head


def test_the_tag_is_signed(finished: Site, reader: dict[str, str]):
    subprocess.run(["git", "verify-tag", LABEL], cwd=finished.definitions, check=True, capture_output=True, env=reader)


def test_the_images_hold_the_system_and_the_initramfs(finished: Site, tmp_path: Path):
    packed = finished.public / f"{LABEL}-tiny-system-x86_64.tar.gz"
    with tarfile.open(packed) as archive:
        names = archive.getnames()
        boot = next(name for name in names if name.endswith("boot/initramfs.gz"))
        initramfs = gzip.decompress(archive.extractfile(boot).read())
        release = archive.extractfile(next(name for name in names if name.endswith("etc/os-release"))).read()
    assert initramfs.startswith(b"070701")
    assert b"26.47" in release
    disk = tmp_path / "disk"
    disk.write_bytes(gzip.decompress((finished.public / f"{LABEL}-tiny-system-x86_64.img.gz").read_bytes()))
    table = json.loads(subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True).stdout)
    assert len(table["partitiontable"]["partitions"]) >= 1


def test_notes_announcement_and_page_tell_of_every_file(finished: Site):
    page = (finished.public / f"{LABEL}.html").read_text()
    notes = git("show", f"main:releases/{LABEL}.mdwn", cwd=finished.state / "wiki.git")
    (mail,) = mails(finished)
    for line in sums(finished).splitlines():
        digest, name = line.split("  ")
        assert digest in notes
        assert name in notes
        assert digest in page
        assert name in page
    assert LABEL in mail.read_text()
    assert "<h3>Changes</h3>" in page
    (release,) = json.loads((finished.public / "releases.json").read_text())["releases"]
    assert [file["architecture"] for file in release["files"]].count("x86_32") == 1


def test_no_lock_and_no_private_file_is_left(finished: Site):
    assert not (finished.state / "release.lock").exists()
    assert list(finished.private.rglob("*")) == []
    left = [name for name in untouched(finished) if name.endswith((".tmp", ".part"))]
    assert left == []


def test_secrets_are_readable_by_their_owner_only(finished: Site):
    assert (finished.state / "gnupg").stat().st_mode & 0o077 == 0


def test_again_changes_nothing(finished: Site):
    before = untouched(finished)
    again = finished.released()
    assert again.changed == []
    assert untouched(finished) == before
    assert len(mails(finished)) == 1


def test_it_is_stated_of_each_public_file_how_it_was_made(finished: Site):
    record = json.loads((finished.release_directory("26.47") / "records/statement.json").read_text())["outputs"]
    content = (finished.public / "baserock-26.47.intoto.jsonl").read_bytes()
    assert record["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    branch = json.loads((finished.release_directory("26.47") / "records/branch.json").read_text())
    commit = branch["outputs"]["commit"]
    stated = {}
    for line in content.splitlines():
        said = json.loads(base64.b64decode(json.loads(line)["payload"]))
        (subject,) = said["subject"]
        stated[subject["name"]] = subject["digest"]["sha256"]
        assert said["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"] == {"gitCommit": commit}
    release = finished.public / "baserock-26.47"
    assert stated == {name: hashlib.sha256((release / name).read_bytes()).hexdigest() for name in stated}
    assert stated.keys() >= {line.split()[1] for line in (release / "SHA256SUMS").read_text().splitlines()}


def test_provisioning_again_changes_nothing(finished: Site):
    assert finished.provision().changed == []


# Four stand for all; each of the eleven is run by itself below, where nothing is done yet.
@pytest.mark.parametrize("stage", ["branch", "build", "publish", "announce"])
def test_a_stage_alone_confirms_what_is_done(finished: Site, stage: str):
    assert finished.released(tags=stage).changed == []


def test_check_mode_after_the_release_says_nothing_would_change(finished: Site):
    before = tree(finished.state)
    ran = finished.released(check=True)
    assert ran.changed == []
    assert tree(finished.state) == before


def test_check_mode_before_the_release_changes_nothing_and_says_what_would_happen(site: Site):
    before = tree(site.state)
    ran = site.released(check=True)
    assert tree(site.state) == before
    assert len(ran.changed) >= len(STAGES) - 1
    for word in (BRANCH, f"{LABEL}-tiny-system-x86_64.img", f"{LABEL}-tiny-system-x86_32.tar.gz", "current"):
        assert word in ran.text


def test_stage_by_stage_on_another_site_gives_the_same_release(
    tmp_path: Path, cache: Path, tiny_definitions: Path, finished: Site
):
    site = tiny_site(tmp_path, cache, tiny_definitions)
    site.provision()
    for stage in STAGES:
        site.released(tags=stage)
    assert sums(site) == sums(finished)
    assert site.released().changed == []


def test_a_stage_whose_predecessor_is_missing_names_it(site: Site):
    ran = site.release(tags="tag")
    assert ran.status != 0
    assert "no current record" in ran.message


EXTRAS = {
    "tiny-system-x86_64-manifest.txt": "baseline-manifest",
    "tiny-system-x86_32-manifest.txt": "baseline-manifest",
    "tiny-system-x86_64-license-manifest.txt": "licence-manifest",
    "tiny-system-x86_64-kernel": "kernel",
    "README": "file",
    "files.lst": "command",
}
POLICY = {
    "products": {
        "baserock": {
            "extras": [
                {"type": "baseline-manifest", "name": "{system}-manifest.txt"},
                {"type": "licence-manifest", "name": "{system}-license-manifest.txt", "systems": ["*x86_64"]},
                {"type": "kernel", "name": "{system}-kernel", "systems": ["*x86_64"], "paths": ["bin/busybox"]},
                {"type": "file", "name": "README", "path": "files/README"},
                {"type": "command", "name": "files.lst", "command": ["ls", "{images}"], "compression": "gzip"},
            ]
        }
    }
}


@pytest.fixture(scope="module")
def next_one(tmp_path_factory: pytest.TempPathFactory, released: Site) -> Site:
    """A site on which 26.48 is released after 26.47, with extra files."""
    site = released.copied(tmp_path_factory.mktemp("next"))
    site.variables = {**site.variables, "release_policy": POLICY}
    site.released("26.48")
    return site


def test_the_next_version_moves_the_links_and_leaves_the_older_one(next_one: Site, released: Site):
    assert tree(next_one.public / LABEL) == tree(released.public / LABEL)
    assert (next_one.public / "current").resolve().name == "baserock-26.48"
    notes = git("show", "main:releases/baserock-26.48.mdwn", cwd=next_one.state / "wiki.git")
    assert f"since {LABEL}" in notes
    assert len(mails(next_one)) == 2


def test_extra_files_that_a_policy_asks_for_are_published_like_all_others(next_one: Site):
    public, label = next_one.public, "baserock-26.48"
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=public, capture_output=True, text=True)
    releases = json.loads((public / "releases.json").read_text())["releases"]
    listed = {file["name"]: file["type"] for file in releases[0]["files"]}
    for name, kind in EXTRAS.items():
        packed = f"{name}.gz" if kind == "command" else name
        assert f"{label}-{packed}: OK" in done.stdout.splitlines()
        assert listed[f"{label}-{packed}"] == kind
        assert (public / f"baserock-current-{packed}").resolve() == public / label / f"{label}-{packed}"
    manifest = (public / f"{label}-tiny-system-x86_64-manifest.txt").read_text()
    assert [line.split(".")[1] for line in manifest.splitlines()[1:]] == ["system", "stratum", "chunk"]
    licences = (public / f"{label}-tiny-system-x86_64-license-manifest.txt").read_text()
    assert licences.startswith("baserock/baserock/definitions:files/base\n----")
    tar = gzip.decompress((public / f"{label}-tiny-system-x86_64.tar.gz").read_bytes())
    assert (public / f"{label}-tiny-system-x86_64-kernel").read_bytes() in tar
    assert (public / f"{label}-README").read_bytes() == (
        Path(__file__).parent / "definitions/files/README"
    ).read_bytes()


def test_extra_files_again_change_nothing_and_drift_is_told_with_both_digests(next_one: Site):
    assert next_one.released("26.48", tags="extras,package").changed == []
    image = next_one.release_directory("26.48") / "images/baserock-26.48-README"
    image.write_bytes(b"another")
    ran = next_one.release("26.48", tags="extras")
    assert ran.status != 0
    assert hashlib.sha256(b"another").hexdigest() in ran.message

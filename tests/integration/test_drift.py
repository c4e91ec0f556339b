"""What drifted since a release is named or made again, and a build that fails keeps everything back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from integration.conftest import Ran, Site, git

LABEL = "baserock-26.47"
BRANCH = f"baserock/release/{LABEL}"
FILE = f"{LABEL}-tiny-system-x86_64.tar.gz"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, released: Site) -> Site:
    """A site on which 26.47 is released; tests put back what they disturb."""
    return released.copied(tmp_path_factory.mktemp("finished"))


def disturbed(site: Site) -> Ran:
    ran = site.release()
    assert ran.status != 0, ran.text
    return ran


def test_a_flipped_byte_in_a_published_file_is_named_with_both_digests(finished: Site):
    path = finished.public / LABEL / FILE
    good = path.read_bytes()
    mode = path.stat().st_mode
    flipped = bytes([*good[:100], good[100] ^ 1, *good[101:]])
    path.chmod(0o644)
    path.write_bytes(flipped)
    try:
        message = disturbed(finished).message
    finally:
        path.write_bytes(good)
        path.chmod(mode)
    assert FILE in message
    assert hashlib.sha256(good).hexdigest() in message
    assert hashlib.sha256(flipped).hexdigest() in message
    assert path.read_bytes() == good


def test_an_edited_record_is_named(finished: Site):
    path = finished.release_directory("26.47") / "records/package.json"
    good = path.read_text()
    path.write_text(good.replace("26.47", "26.46", 1))
    try:
        message = disturbed(finished).message
    finally:
        path.write_text(good)
    assert str(path) in message
    assert "edited" in message


def test_a_moved_branch_is_named_with_both_commits(finished: Site):
    head = git("rev-parse", BRANCH, cwd=finished.definitions)
    tree_object = git("rev-parse", f"{BRANCH}^{{tree}}", cwd=finished.definitions)
    other = git(
        "-c", "user.name=x", "-c", "user.email=x@example.org", "commit-tree", tree_object, "-p", head, "-m", "More",
        cwd=finished.definitions,
    )  # fmt: skip
    git("update-ref", f"refs/heads/{BRANCH}", other, cwd=finished.definitions)
    try:
        message = disturbed(finished).message
    finally:
        git("update-ref", f"refs/heads/{BRANCH}", head, cwd=finished.definitions)
    assert BRANCH in message
    assert head in message
    assert other in message


def test_a_deleted_package_is_made_again_with_the_same_bytes(finished: Site):
    path = finished.release_directory("26.47") / "artifacts" / FILE
    good = path.read_bytes()
    path.unlink()
    ran = finished.released()
    assert path.read_bytes() == good
    assert len(ran.changed) == 1, ran.changed


def test_a_deleted_public_file_is_put_back_and_nothing_else_happens(finished: Site):
    path = finished.public / LABEL / FILE
    good = path.read_bytes()
    path.unlink()
    finished.released()
    assert path.read_bytes() == good
    assert list(finished.private.rglob("*")) == []
    assert finished.released().changed == []


def test_a_deleted_record_is_written_again(finished: Site):
    path = finished.release_directory("26.47") / "records/branch.json"
    good = json.loads(path.read_text())
    path.unlink()
    finished.released()
    again = json.loads(path.read_text())
    assert again["outputs"] == good["outputs"]
    assert finished.released().changed == []


def test_a_failing_system_is_named_with_its_log_the_others_finish_and_nothing_is_published(site: Site, tmp_path: Path):
    work = tmp_path / "work"
    git("clone", "--quiet", str(site.definitions), str(work), cwd=tmp_path)
    with (work / "elements/hello.bst").open("a") as element:
        element.write(
            "(?):\n- arch == 'x86_32':\n    config:\n      build-commands:\n      - echo it is broken >&2; false\n"
        )
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qam", "Break it", cwd=work)
    git("push", "--quiet", "origin", "HEAD:master", cwd=work)
    ran = site.release()
    assert ran.status != 0
    assert "hello.bst" in ran.message
    assert "x86_32" in ran.message
    logs = [
        word.strip(".,:;()'\"") for word in ran.message.split() if str(site.release_directory("26.47") / "logs") in word
    ]
    assert any("it is broken" in Path(log).read_text() for log in logs if Path(log).is_file()), ran.message
    records = {path.stem for path in (site.release_directory("26.47") / "records").glob("*.json")}
    assert "package" not in records
    assert not site.public.exists() or list(site.public.iterdir()) == []
    text = next((site.release_directory("26.47") / "logs").glob("*x86_64*")).read_text()
    assert "SUCCESS" in text

"""The collection is checked in the form in which it is installed, and released only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from exports import export

#: Makes a tarball without a look at it.
DIST = "#!/bin/sh\nmkdir -p build/dist && echo tarball > build/dist/slipway-release-$VERSION.tar.gz\n"


def run(tree: Path, *words: str, version: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{f"GIT_{who}_{what}": "tests@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        **({} if version is None else {"VERSION": version}),
    }
    return subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def git(tree: Path, *words: str) -> str:
    done = run(tree, "git", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_wrong_type_in_the_documentation_of_a_module_is_found(tmp_path: Path) -> None:
    """ansible-test looks through no link, and says of modules behind one that they are right."""
    tree = export(tmp_path / "tree")
    module = tree / "library/release_record.py"
    module.write_text(module.read_text().replace("type: path", "type: str", 1))
    found = run(tree, "tests/dist/check", "validate-modules")
    assert found.returncode == 1
    assert "plugins/modules/release_record.py:0:0: doc-type-does-not-match-spec" in found.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The working tree at version 9.0.0 with a fragment, and a tests/dist/check that always agrees."""
    made = export(tmp_path / "tree")
    galaxy = yaml.safe_load((made / "galaxy.yml").read_text())
    (made / "galaxy.yml").write_text(yaml.safe_dump({**galaxy, "version": "9.0.0"}))
    (made / "changelogs/fragments/pages.yml").write_text("bugfixes: [Pages no longer turn yellow.]\n")
    (made / "tests/dist/check").write_text(DIST)
    git(made, "commit", "--quiet", "--all", "--message", "Begin 9.0.0")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--allow-empty", "--message", "Say what changed")
    return made


def test_a_release_is_tagged_and_built_and_nothing_leaves_the_machine(tree: Path) -> None:
    done = run(tree, "scripts/release-collection", version="9.0.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(tree, "rev-parse", "9.0.0^{commit}") == git(tree, "rev-parse", "HEAD")
    assert git(tree, "status", "--porcelain") == ""
    text = (tree / "CHANGELOG.rst").read_text()
    assert "v9.0.0" in text
    assert "Pages no longer turn yellow." in text
    assert git(tree, "ls-files", "changelogs/fragments") == ""
    assert run(tree / "build", "sha256sum", "--check", "slipway-release-9.0.0.tar.gz.sha256").returncode == 0
    assert "git push" in done.stdout

    again = run(tree, "scripts/release-collection", version="9.0.0")
    assert "Could not release slipway.release 9.0.0: the tag 9.0.0 is there already." in again.stderr


@pytest.mark.parametrize(
    ("version", "before", "said"),
    [
        (None, "true", "release slipway.release without a version: a version has three numbers."),
        ("9.0", "true", "a version has three numbers."),
        ("9.0.0-rc1", "true", "a version has three numbers."),
        ("9.0.0", "echo more >> README.md", "the working tree has changes that are not committed."),
        ("9.0.0", "touch new", "the working tree has changes that are not committed."),
        ("9.1.0", "true", "galaxy.yml says 9.0.0."),
        ("9.0.0", "git tag 10.0.0", "10.0.0 was released before."),
        ("9.0.0", "git rm -qr changelogs/fragments && git commit -qm x", "there is no fragment"),
        (
            "9.0.0",
            "echo ': [' > changelogs/fragments/a.yml && git add . && git commit -qm x",
            "a fragment cannot be read",
        ),
        ("9.0.0", "echo false >> tests/dist/check && git commit -qam x", "the collection has findings"),
    ],
)
def test_what_cannot_be_released_is_refused_in_a_sentence_and_stays(
    tree: Path, version: str | None, before: str, said: str
) -> None:
    assert run(tree, "sh", "-c", before).returncode == 0
    head, status = git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain")
    refused = run(tree, "scripts/release-collection", version=version)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain")) == (head, status)

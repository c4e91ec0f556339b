"""A fix on the release branch goes into the release until it is public, and never afterwards."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from integration.conftest import Site, git, tree

VERSION = "26.48"
LABEL = f"baserock-{VERSION}"
BRANCH = f"baserock/release/{LABEL}"
BEGIN = "preflight,branch,promote,build,deploy,package"
FILE = f"{LABEL}-tiny-system-x86_64.tar.gz"


def fix(site: Site, tmp_path: Path, text: str, *, ref: str = BRANCH) -> str:
    """Push a change of a file that the systems have, upon the release branch, to a branch; return the commit."""
    clone = tmp_path / f"clone-{text}"
    git("clone", "--quiet", "--branch", BRANCH, str(site.definitions), str(clone), cwd=tmp_path)
    path = clone / "elements/hello.bst"
    path.write_text(path.read_text().replace("ID=tiny\\n", f"ID=tiny\\nFIX={text}\\n", 1))
    who = ("-c", "user.name=Somebody", "-c", "user.email=x@example.org")
    git(*who, "commit", "--quiet", "--all", "--message", f"Mend {text}", cwd=clone)
    git("push", "--quiet", "origin", f"HEAD:refs/heads/{ref}", cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, released: Site) -> Site:
    """A site on which everything of 26.48 is made, and nothing is public."""
    site = released.copied(tmp_path_factory.mktemp("begun"))
    site.released(VERSION, tags=BEGIN)
    return site


def test_a_fix_until_publication_is_released_and_one_afterwards_is_refused(begun: Site, tmp_path: Path) -> None:
    release = begun.release_directory(VERSION)
    before = git("rev-parse", BRANCH, cwd=begun.definitions)
    now = fix(begun, tmp_path, "one")

    there = tree(begun.state)
    looked = begun.release(VERSION, check=True)
    assert looked.status == 0, looked.text
    assert tree(begun.state) == there
    for said in (f"{now[:12]} Mend one (Somebody)", "Made anew", "deploy-tiny", before):
        assert said in looked.text

    # The branch moves once more while the files are packaged.
    moving = fix(begun, tmp_path, "two", ref="next")
    move = f"git --git-dir={begun.definitions} update-ref refs/heads/{BRANCH} {moving} && echo 6"
    ran = begun.release(VERSION, release_package_level=f"{{{{ lookup('ansible.builtin.pipe', '{move}') }}}}")
    assert ran.status != 0
    assert f"Could not publish {LABEL}: its branch moved while this run went on" in ran.message
    assert now in ran.message
    assert not (begun.public / LABEL).exists()

    begun.released(VERSION)
    with tarfile.open(begun.public / LABEL / FILE) as image:
        name = next(each for each in image.getnames() if each.endswith("os-release"))
        content = image.extractfile(name)
        assert content is not None
        assert b"FIX=two\nFIX=one" in content.read()
    record = json.loads((release / "records/branch.json").read_text())
    assert record["outputs"]["commit"] == moving
    assert record["outputs"]["fixed_since"] == [before, now]
    assert (release / f"replaced/{before[:12]}/package.json").exists()
    assert git("rev-parse", f"{LABEL}^{{commit}}", cwd=begun.definitions) == moving
    assert begun.released(VERSION).changed == []

    later = fix(begun, tmp_path, "three")
    ran = begun.release(VERSION)
    assert ran.status != 0
    assert f"was created at {moving}, but is at {later}, and {LABEL} is public already" in ran.message

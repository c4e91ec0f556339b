"""A project of one's own: what its definitions lack is told, and its directory is written whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan import project
from ansible_collections.slipway.release.plugins.modules import project_directory
from yaml import safe_dump

CONF = "name: acme\nmin-version: 2.0\n"
CLUSTER = safe_dump(
    {
        "name": "release",
        "kind": "cluster",
        "systems": [{"morph": "tiny.bst", "deploy": {"tiny": {"type": "tar", "location": "tiny.tar"}}}],
    }
)
SYSTEM = "kind: import\npublic: {slipway: {arch: x86_64}}\n"
FILES = {"project.conf": CONF, "clusters/release.morph": CLUSTER, "tiny.bst": SYSTEM}


def git(directory: Path, *words: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def definitions(tmp_path: Path) -> Any:
    """Make a repository of files, without those that are None."""

    def make(changed: dict[str, str | None] | None = None, *, branch: str = "main") -> Path:
        top = tmp_path / "definitions"
        top.mkdir()
        git(top, "init", "--quiet", f"--initial-branch={branch}")
        for name, text in {**FILES, **(changed or {})}.items():
            if text is not None:
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_text(text)
        git(top, "add", "--all")
        git(top, "commit", "--quiet", "--allow-empty", "--message", "Begin")
        return top

    return make


def refused(url: object, **options: str) -> str:
    with pytest.raises(SlipwayError) as error:
        project.survey_definitions(str(url), **options)
    return str(error.value)


def test_definitions_are_released_from_their_default_branch(definitions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    top = definitions(branch="trunk")
    git(top, "branch", "other")
    found = project.survey_definitions(str(top))
    assert (found.ref, found.commit) == ("trunk", git(top, "rev-parse", "trunk"))
    assert (found.cluster, found.architectures, found.options) == ("clusters/release.morph", ["x86_64"], {})
    assert [system["name"] for system in found.systems] == ["tiny"]
    monkeypatch.chdir(top.parent)
    assert project.survey_definitions("definitions").url == str(top)
    assert project.survey_definitions(str(top), ref="other").ref == "other"


def test_the_only_cluster_is_found_under_any_name(definitions: Any) -> None:
    top = definitions({"clusters/release.morph": None, "clusters/all.morph": CLUSTER, "note.yml": "kind: note"})
    assert project.survey_definitions(str(top)).cluster == "clusters/all.morph"


def test_the_option_for_architectures_is_found(definitions: Any) -> None:
    conf = (
        f"{CONF}options: {{target: {{type: enum, values: [aarch64, x86-64]}}, debug: {{type: bool, default: false}}}}\n"
    )
    assert project.survey_definitions(str(definitions({"project.conf": conf}))).options == {
        "x86_64": {"target": "x86-64"}
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"project.conf": None},
            "there is no project.conf, so it is no BuildStream project. Make a BuildStream project",
        ),
        ({"project.conf": None, "x/project.conf": CONF}, "x/project.conf is not at the top."),
        ({"project.conf": "- a"}, "project.conf is not a mapping. Correct it"),
        ({"project.conf": "a: ["}, "project.conf: "),
        ({"clusters/release.morph": None}, "there is none, which would say what a release is made of"),
        ({"clusters/release.morph": CLUSTER.replace("kind: cluster", "kind: stratum")}, "it is of the kind stratum"),
        ({"clusters/release.morph": "kind: cluster"}, "the cluster lists no systems"),
        ({"tiny.bst": None}, "there is no file tiny.bst"),
        ({"tiny.bst": "kind: import"}, "tiny.bst does not say its architecture"),
        (
            {"clusters/release.morph": None, "a.morph": CLUSTER, "b.morph": CLUSTER},
            "there are 2: a.morph, b.morph. Say which one (CLUSTER=PATH)",
        ),
        (
            {
                "clusters/release.morph": CLUSTER.replace("tiny.bst", "tiny.morph"),
                "tiny.morph": "name: tiny\nkind: system\narch: x86_64\nstrata: []\n",
            },
            "BuildStream does not build tiny.morph. Morph's networks do",
        ),
    ],
)
def test_definitions_that_cannot_be_released_are_refused(definitions: Any, changed: Any, said: str) -> None:
    assert said in refused(definitions(changed))


def test_repositories_that_are_none_or_empty_are_refused(definitions: Any, tmp_path: Path) -> None:
    assert "does not appear to be a git repository" in refused(tmp_path / "nowhere.git")
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    assert "there is no commit yet. Push some" in refused(tmp_path / "empty.git")
    top = definitions()
    assert "it has no branch or tag of this name. Its branches are main" in refused(top, ref="nothing")
    assert "there is no clusters/none.morph" in refused(top, cluster="clusters/none.morph")
    git(top, "branch", "other")
    git(top, "symbolic-ref", "HEAD", "refs/heads/gone")
    assert "its HEAD names none that is there (main, other). Say which branch" in refused(top)


@pytest.mark.parametrize("url", ["-u", "a\nb", 'x"y', "{{ x }}", "http://[::1"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    assert "it is none" in refused(url)


def test_a_password_is_neither_written_nor_shown() -> None:
    said = refused("https://me:secret@git.example.org/x.git")
    assert "it has a password, which would be written into a file" in said
    assert "secret" not in said


def make(top: Path, *, write: bool = True, **options: Any) -> dict[str, Any]:
    given = {
        "path": str(top),
        "project": "acme",
        "files": [{"path": "group_vars/all.yml", "content": "a: 1\n", "program": False}],
        "definitions": [
            {"path": "project.conf", "content": CONF, "program": False},
            {"path": "files/hello", "content": "#!/bin/sh\n", "program": True},
        ],
        "branch": "main",
        "epoch": 1686355200,
        **options,
    }
    return project_directory.act(given, write=write)


def test_a_directory_is_written_with_definitions_that_are_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    assert make(tmp_path / "acme", write=False) == {"changed": True, "path": str(tmp_path / "acme"), "commit": ""}
    assert list(tmp_path.iterdir()) == []
    commit = make(tmp_path / "acme")["commit"]
    top = tmp_path / "acme/definitions"
    assert git(top, "rev-parse", "main") == commit
    assert git(top, "status", "--porcelain") == ""
    assert git(top, "log", "--format=%an <%ae> %at") == "acme release team <release@localhost> 1686355200"
    assert (top / "files/hello").stat().st_mode & 0o777 == 0o755
    assert make(tmp_path / "again")["commit"] == commit
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Me\n\temail = me@example.org\n")
    make(tmp_path / "mine")
    assert git(tmp_path / "mine/definitions", "log", "--format=%an <%ae>") == "Me <me@example.org>"


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    make(tmp_path / "taken")  # it is empty
    for path, advice in ((tmp_path / "taken", ", or go on with this one: make -C"), (tmp_path / "file", ".")):
        if not path.exists():
            path.write_text("mine")
        with pytest.raises(SlipwayError) as error:
            make(path)
        assert f"in {path}: it is there already. Choose another directory{advice}" in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "a b", "-acme", "acme/x", "acme.", "{{ x }}", "a" * 200])
def test_a_name_that_cannot_begin_a_release_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlipwayError, match=r"Could not use the project .* Give a name such as acme"):
        make(tmp_path / "acme", project=name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="x"):
        make(
            tmp_path / "acme",
            files=[{"path": name, "content": "", "program": False} for name in ("x", "x/y")],
        )
    assert list(tmp_path.iterdir()) == []

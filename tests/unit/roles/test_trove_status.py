"""The status page says how each repository of a Trove stands."""

from __future__ import annotations

import gzip
import html.parser
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import trove_status
from ansible_collections.slipway.release.plugins.module_utils.slipway import http
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import (
    FILE,
    Entry,
    commit_tree,
    read_refs,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.manifest import compute_fingerprint

WHO = Person("Team", "team@example.org", 1_700_000_000)
LOG = """\
pull[7] 2026-11-21 07:00:00,001 - INFO -     fetch: /delta/tree.git
pull[7] 2026-11-21 07:00:01,001 - WARNING - Stderr ({top}/delta/tree.git): error: <b>old</b>
pull[7] 2026-11-21 07:00:02,001 - INFO -     fetch: /delta/tree.git
pull[8] 2026-11-21 07:00:02,001 - INFO -     fetch: /delta/lua.git
pull[8] 2026-11-21 07:00:03,001 - WARNING - Stderr ({top}/delta/lua.git): remote: no
fatal: <b>early EOF</b>
pull[8] 2026-11-21 07:00:04,001 - INFO -      done: /delta/lua.git
"""


@pytest.fixture
def troves(tmp_path):
    """A public Trove with three repositories, of which the local one has one, and one older."""
    (tmp_path / "page").mkdir()
    entries = {}
    for name in ("delta/lua", "delta/tree", "delta/<x>"):
        repository = tmp_path / "public" / f"{name}.git"
        put(repository, "1")
        entries[f"/{name}.git"] = {
            "fingerprint": compute_fingerprint(read_refs(repository)),
            "modified": 1_700_000_000,
        }
    put(tmp_path / "local/delta/tree.git", "1")
    put(tmp_path / "local/delta/lua.git", "0")
    (tmp_path / "public/manifest.js.gz").write_bytes(gzip.compress(json.dumps(entries).encode()))
    (tmp_path / "log").write_text(LOG.format(top=tmp_path / "local"))
    return tmp_path


def put(repository, text):
    commit_tree(repository, {b"a": Entry(FILE, text.encode())}, refs=["refs/heads/master"], message="m\n", person=WHO)


def settings(troves, **changed):
    return {
        "name": "Trove <local>",
        "directory": str(troves / "page"),
        "toplevel": str(troves / "local"),
        "upstream": f"file://{troves}/public",
        "log": str(troves / "log"),
        "services": [],
        **changed,
    }


def states(found):
    return {one["path"]: one["state"] for one in found["repositories"]}


def test_each_repository_is_mirrored_queued_or_failed(troves):
    found = trove_status.make_status(settings(troves), {}, now=1_800_000_000)
    assert states(found) == {"delta/lua": "failed", "delta/<x>": "queued", "delta/tree": "mirrored"}
    assert [one["state"] for one in found["repositories"]] == ["failed", "queued", "mirrored"]
    assert found["repositories"][0]["message"] == "fatal: <b>early EOF</b>"
    assert found["counts"] == {"failed": 1, "queued": 1, "mirrored": 1, "published": 0}


def test_the_time_of_mirroring_stays_until_something_new_is_mirrored(troves):
    first = trove_status.make_status(settings(troves), {}, now=1_800_000_000)
    repository = troves / "local/delta/tree.git"
    subprocess.run(["git", "pack-refs", "--all"], cwd=repository, check=True)
    (repository / "packed-refs").touch()
    second = trove_status.make_status(settings(troves), first, now=1_900_000_000)
    times = [
        next(one["mirrored"] for one in found["repositories"] if one["path"] == "delta/tree")
        for found in (first, second)
    ]
    assert times[0] == times[1] is not None


def test_a_public_trove_lists_what_it_has(troves):
    found = trove_status.make_status(settings(troves, toplevel=str(troves / "public"), upstream="", log=""), {}, now=1)
    assert set(states(found).values()) == {"published"}
    assert "Mirrored" not in trove_status.render_page(found)


def test_an_upstream_that_does_not_answer_is_trouble_and_what_is_there_is_still_shown(troves):
    (troves / "local/manifest.js.gz").write_bytes((troves / "public/manifest.js.gz").read_bytes())
    found = trove_status.make_status(settings(troves, upstream="http://127.0.0.1:1/git"), {}, now=1)
    assert len(found["repositories"]) == 3
    assert found["trouble"][0].startswith("http://127.0.0.1:1/git cannot be asked: ")


def test_names_and_messages_are_text_and_no_markup(troves):
    page = trove_status.render_page(trove_status.make_status(settings(troves), {}, now=1))
    tags = set()
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, _attributes: tags.add(tag)
    parser.feed(page)
    assert not tags & {"b", "x", "local", "script"}
    assert "delta/&lt;x&gt;" in page
    assert "fatal: &lt;b&gt;early EOF" in page


def test_the_program_runs_by_itself(troves):
    """Only the files of module_utils/slipway itself are beside it, not the packages below."""
    (troves / "settings.json").write_text(json.dumps(settings(troves)))
    (troves / "program/slipway").mkdir(parents=True)
    program = shutil.copy(trove_status.__file__, troves / "program")
    for file in Path(http.__file__).parent.glob("*.py"):
        shutil.copy(file, troves / "program/slipway")
    for _time in range(2):
        words = ["/usr/bin/python3", "-B", program, str(troves / "settings.json")]
        subprocess.run(words, check=True, cwd="/")
    assert states(json.loads((troves / "page/status.json").read_text()))["delta/tree"] == "mirrored"
    assert "delta/tree" in (troves / "page/index.html").read_text()
    assert sorted(path.name for path in (troves / "page").iterdir()) == ["index.html", "status.json"]


def test_a_manifest_with_strange_names_shows_none_of_them():
    entries = {"/../x.git": {}, "/a/.b.git": {}, "/a": {}, "/ok.git": {"fingerprint": "0"}}
    assert list(trove_status.parse_manifest(gzip.compress(json.dumps(entries).encode()))) == ["ok"]

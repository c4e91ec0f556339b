"""The manifest of a Trove says what is there, and mirrors believe nothing else."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import subprocess
import threading

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import (
    FILE,
    Entry,
    commit_tree,
    read_refs,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.manifest import (
    EXPORTED,
    compute_fingerprint,
    find_stale,
    parse_manifest,
    read_manifest,
    update_manifest,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.mirror import (
    Difference,
    find_remote_differences,
    mirror_site,
)

WHO = Person("Team", "team@example.org", 1_700_000_000)
KNOWN = {"fingerprint": "0"}
CONFIGURATION = """\
[core]
toplevel = {top}/local
manifest = ${{toplevel}}/manifest.js.gz
log = {top}/grok.log
[remote]
site = {site}
manifest = {site}/manifest.js.gz
[pull]
refresh = 300
pull_threads = 2
retries = 1
"""


def put(top, path, text="1", *, public=True):
    repository = top / f"{path}.git"
    commit_tree(repository, {b"a": Entry(FILE, text.encode())}, refs=["refs/heads/master"], message="m\n", person=WHO)
    # What git needs to be read over plain HTTP.
    subprocess.run(["git", "update-server-info"], cwd=repository, check=True)
    if public:
        (repository / EXPORTED).touch()
    return repository


@pytest.fixture
def public(tmp_path):
    top = tmp_path / "public"
    put(top, "delta/tree")
    put(top, "baserock/definitions")
    put(top, "private/secret", public=False)
    return top


@pytest.fixture
def site(public):
    handler = functools.partial(Quiet, directory=str(public.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/public"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


def renewed(top):
    update_manifest(top, find_stale(top))


def test_a_fingerprint_is_that_of_git_itself(public):
    repository = public / "delta/tree.git"
    said = subprocess.run(["git", "show-ref"], cwd=repository, check=True, capture_output=True).stdout
    summed = subprocess.run(["sha1sum"], input=said, check=True, capture_output=True, text=False).stdout
    assert compute_fingerprint(read_refs(repository)) == summed.split()[0].decode()
    assert compute_fingerprint({}) is None


def test_what_anybody_may_read_is_listed_once_it_changed(public):
    assert find_stale(public) == ["baserock/definitions", "delta/tree"]
    renewed(public)
    assert find_stale(public) == []
    put(public, "delta/tree", "2")
    assert find_stale(public) == ["delta/tree"]
    renewed(public)
    assert find_stale(public) == []


def test_what_is_gone_or_private_leaves_the_manifest(public):
    renewed(public)
    (public / "delta/tree.git").rename(public / "delta/tree.old")
    (public / "baserock/definitions.git" / EXPORTED).unlink()
    assert find_stale(public) == ["baserock/definitions", "delta/tree"]
    renewed(public)
    assert read_manifest(public) == {}


@pytest.mark.parametrize(
    "entries",
    [{"/../x.git": KNOWN}, {"/a/.b.git": KNOWN}, {"/a": KNOWN}, {"/a.git": 1}, [1]],
)
def test_a_manifest_that_leads_elsewhere_is_refused(entries):
    with pytest.raises(SlipwayError, match="Could not read the manifest"):
        parse_manifest(gzip.compress(json.dumps(entries).encode()), "somewhere")


def test_what_is_no_manifest_is_refused():
    for packed in (b"", b"<html>", gzip.compress(b"{}")[:-4], gzip.compress(b"\xff")):
        with pytest.raises(SlipwayError, match="Could not read the manifest somewhere"):
            parse_manifest(packed, "somewhere")


def go(public, site, **options):
    top = public.parent
    (top / "grokmirror.conf").write_text(CONFIGURATION.format(top=top, site=site))
    return mirror_site(site, top / "local", configuration=top / "grokmirror.conf", timeout=20.0, **options)


def test_a_trove_elsewhere_is_mirrored_once_and_then_what_changed(public, site):
    renewed(public)
    local = public.parent / "local"
    assert go(public, site, write=False) == [Difference("the whole Trove", "all of it")]
    local.mkdir()
    assert [one.path for one in go(public, site)] == ["baserock/definitions", "delta/tree"]
    assert go(public, site) == []
    put(public, "delta/tree", "2")
    renewed(public)
    assert go(public, site, write=False) == [Difference("delta/tree", "what is new")]
    assert go(public, site) == [Difference("delta/tree", "what is new")]
    assert read_refs(local / "delta/tree.git") == read_refs(public / "delta/tree.git")
    assert find_remote_differences(site, local) == []


def test_a_mirror_that_stays_behind_is_told_with_the_log(public, site):
    renewed(public)
    (public.parent / "local").mkdir()
    for path in (public / "delta/tree.git/objects").glob("*/*"):
        path.unlink()
    with pytest.raises(SlipwayError, match=r"delta/tree lacks all of it.*The log is .*grok\.log"):
        go(public, site)


def test_a_trove_that_does_not_answer_is_named(public, site):
    (public.parent / "local").mkdir()
    with pytest.raises(SlipwayError, match=r"fetch the manifest of the Trove at http://.*404"):
        go(public, site)


def test_a_configuration_of_another_upstream_is_refused(public, site):
    renewed(public)
    (public.parent / "local").mkdir()
    (public.parent / "grokmirror.conf").write_text(CONFIGURATION.format(top=public.parent, site="http://elsewhere/git"))
    with pytest.raises(SlipwayError, match="mirrors another Trove, http://elsewhere/git"):
        mirror_site(site, public.parent / "local", configuration=public.parent / "grokmirror.conf")

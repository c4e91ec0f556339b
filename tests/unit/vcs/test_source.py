"""What a distro file says of a source is refused before a program sees it, where it could mean more than a place."""

from __future__ import annotations

import time

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.client import select_settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.source import (
    KINDS,
    accept_epoch,
    find_address_fault,
    normalise_url,
    read_source,
)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        *((kind, address) for kind in KINDS for address in (
            *("-x", "--upload-pack=evil", "", " https://h/x", "https://h/x\n", "https://h/\x1b[2J", "relative/path"),
            *("https://-oProxyCommand=evil/x", "https://h:port/x", "https:///x", "https://[/x", "https://h/x#y"),
            *("ext::sh -c evil", "fd::17", "data://x/y", "https://h;evil/x"),
        )),
        *((kind, "https://me:secret@h/x") for kind in ("svn", "hg", "bzr", "dsc")),
        ("git", "ssh://-oProxyCommand=evil/x"),
        ("git", "ssh://me@-oProxyCommand=evil/x"),
        ("git", "ssh://-oProxyCommand=evil@h/x"),
        ("git", "-oProxyCommand=evil:x"),
        ("git", "me@-oProxyCommand=evil:x"),
        ("git", "ssh://me:secret@h/x"),
        ("hg", "ssh://-oProxyCommand=evil/x"),
        ("hg", "bundle:/x"),
        ("hg", "union:/x+/y"),
        ("bzr", "bzr+ssh://-oProxyCommand=evil/x"),
        ("bzr", "lp:--evil x"),
        ("svn", "svn+ssh://-oProxyCommand=evil/x"),
        ("svn", "svn+evil://h/x"),
        ("svn", "/srv/svn"),
        ("svn", "https://h/x?y"),
        ("dsc", "ssh://h/x.dsc"),
    ],
)  # fmt: skip
def test_an_address_that_is_more_than_a_place_is_refused(kind: str, address: str) -> None:
    assert find_address_fault(kind, address) is not None
    with pytest.raises(SlipwayError, match=r"Could not use the rules of a stack's source .*Correct the distro file"):
        read_source(kind, {"uri": address, "dev": address, "dev-branch": "main"})


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        *((kind, "https://me@code.example.org:8443/a%20b/c") for kind in KINDS),
        *((kind, "/srv/a b/x.git") for kind in ("git", "hg", "bzr", "dsc")),
        *((kind, "file:///srv/x") for kind in KINDS),
        ("git", "git@code.example.org:team/x.git"),
        ("git", "ssh://git@[::1]:22/x"),
        ("git", "https://me:secret@h/x"),
        ("hg", "ssh://hg@code.example.org//srv/x"),
        ("svn", "svn+ssh://me@code.example.org/x"),
        ("bzr", "lp:~me/project/trunk"),
    ],
)
def test_a_usual_address_is_taken(kind: str, address: str) -> None:
    assert find_address_fault(kind, address) is None


@pytest.mark.parametrize("kind", ["git", "hg", "bzr"])
@pytest.mark.parametrize("name", ["-f", "--config=hooks.pre-log=evil", "", "a\nb", "a\x00b", " a", "a:b", "a\\b"])
@pytest.mark.parametrize("key", ["dev-branch", "release-tag", "distro-tag"])
def test_a_name_that_could_be_an_option_or_more_is_refused(kind: str, name: str, key: str) -> None:
    with pytest.raises(SlipwayError, match=f"{key}: it"):
        read_source(kind, {"uri": "/x", "dev-branch": "main", key: name})


@pytest.mark.parametrize("name", ["tip", "null", ".", "12", "x') or all("])
def test_what_mercurial_reads_as_something_else_is_no_name(name: str) -> None:
    with pytest.raises(SlipwayError, match="means something else there"):
        read_source("hg", {"uri": "/x", "dev-branch": "default", "release-tag": name})


@pytest.mark.parametrize("branch", ["../other", "/abs", "a/../../b"])
def test_a_branch_of_bazaar_leads_nowhere_else(branch: str) -> None:
    with pytest.raises(SlipwayError, match="not a path below the repository"):
        read_source("bzr", {"uri": "/x", "dev-branch": branch})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SlipwayError) as caught:
        read_source("svn", {"dev": None, "release-tag": 1.0, "distro-tag": "https://h/a/../b"})
    assert caught.value.findings == [
        "dev: it is missing",
        "release-tag: it is 1.0 and not text",
        "distro-tag: it leads out of its place",
    ]
    with pytest.raises(SlipwayError, match="it is of no known kind. Use git, svn, hg, bzr, dsc"):
        read_source("cvs", {})


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://Code.Example.org:443//a//b/", "https://code.example.org/a/b"),
        ("https://me@h/a@7", "https://me@h/a%407"),
        ("file:///srv/a b/%7Ex", "file:///srv/a%20b/~x"),
        ("svn://h:3690/x", "svn://h/x"),
        ("svn://h:3691", "svn://h:3691/"),
    ],
)
def test_a_url_of_subversion_has_one_form(url: str, normal: str) -> None:
    assert normalise_url(url) == normal
    assert normalise_url(normal) == normal


# Processes that share these tests name them alike, so that the time is no part of a name.
@pytest.mark.parametrize("epoch", [None, -1, 0, 315_532_799, pytest.param(int(time.time()) + 2 * 86400, id="ahead")])
def test_an_absurd_time_of_a_revision_is_none(epoch: int | None) -> None:
    assert accept_epoch(epoch) is None


@pytest.mark.parametrize("epoch", [315_532_800, pytest.param(int(time.time()) + 3600, id="ahead")])
def test_a_time_of_a_revision_is_kept_though_a_clock_may_be_ahead(epoch: int) -> None:
    assert accept_epoch(epoch) == epoch


def test_of_an_hgrc_only_the_way_to_servers_is_kept() -> None:
    text = (
        "%include ~/evil\n[ui]\nusername = me\n"
        "ssh = ssh -i key\n  -v\neditor = evil\n  more\n"
        "[extensions]\nevil = ~/e.py\n[hooks]\npre-clone = evil\n"
        "[auth]\n# note\nx.prefix = h\nx.password = p\n%unset y\n[defaults]\nlog = -v\n"
    )
    assert list(select_settings(text)) == [
        *("[ui]", "ssh = ssh -i key", "  -v", "[auth]", "x.prefix = h", "x.password = p"),
    ]

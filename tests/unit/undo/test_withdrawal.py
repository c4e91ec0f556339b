# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from ansible_collections.slipway.release.plugins.action.release_index import render_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.preflight import find_withdrawal
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.directory import (
    Server,
    probe_release,
    publish_release,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import Release, update_links
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.pages import update_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.releases import Site, describe_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import Artifact
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.tombstone import (
    find_tombstone,
    list_tombstones,
    parse_tombstone,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.undo.withdrawal import (
    Demand,
    inspect_withdrawal,
    make_tombstone,
    remove_release,
    withdraw_release,
)
from publishing import put, run_module, tree

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = str(ROOT / "roles/release_current/templates")
SCHEMA = json.loads((ROOT / "docs/releases.schema.json").read_text())
ATOM = "{http://www.w3.org/2005/Atom}"
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("signer") / "gnupg"
    make_key(home, "Ada <ada@example.org>", expires="0")
    return home


def released(public: Path, version: str, products: dict[str, str]) -> Release:
    """Publish a release with a file of each location, which is of a product, and have the links name it."""
    label = f"baserock-{version}"
    files = [{"name": f"{label}-{location}", "product": product} for location, product in products.items()]
    contents = {f"{label}-{location}": f"{version} {location}".encode() for location in products}
    contents["manifest.json"] = json.dumps({"files": files, "commit": "c" * 40}).encode()
    contents["SHA256SUMS"] = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in contents.items()
    ).encode()
    put(public / label, contents)
    for name in contents:
        if name.startswith(label):
            (public / name).symlink_to(f"{label}/{name}")
    return Release(public, "baserock", label, sorted(contents))


def links(public: Path) -> dict[str, str]:
    """What each link for readers leads to; one that dangles is a failure."""
    visible = [path for path in public.iterdir() if path.is_symlink() and not path.name.startswith((".", "baserock-2"))]
    return {path.name: os.path.relpath(path.resolve(strict=True), public.resolve()) for path in visible}


def withdrawn(public: Path, signer: Path, version: str, **more: Any) -> dict[str, str | None]:
    """Withdraw a release on one server; what was signed."""
    demand = Demand("baserock", version, f"baserock-{version}", **{"reason": "It does not boot.", **more})
    found = [inspect_withdrawal(public, "baserock", demand.label)]
    made = make_tombstone(demand, found, gnupghome=signer, now=NOW)
    signed = {"tombstone": made.text, "signature": made.signature}
    withdraw_release(public, signed, project="baserock", label=demand.label, check=False)
    return signed


def test_links_go_back_to_the_newest_release_that_is_not_withdrawn_and_vanish_with_the_last(
    tmp_path: Path, signer: Path
) -> None:
    public = tmp_path / "public"
    for version in ("26.45", "26.46", "26.47"):
        update_links(released(public, version, {"a.tar": "", "b.img": ""} if version == "26.45" else {"a.tar": ""}))
    withdrawn(public, signer, "26.47")
    assert links(public) == {
        "current": "baserock-26.46",
        "baserock-current-a.tar": "baserock-26.46/baserock-26.46-a.tar",
        "SHA256SUMS": "baserock-26.46/SHA256SUMS",
        "manifest.json": "baserock-26.46/manifest.json",
    }
    with pytest.raises(SlipwayError, match=r"baserock-26.47 was withdrawn on 2027-01-15 by .*: It does not boot"):
        update_links(Release(public, "baserock", "baserock-26.47", ["manifest.json"]))
    withdrawn(public, signer, "26.46")
    assert links(public)["baserock-current-b.img"] == "baserock-26.45/baserock-26.45-b.img"
    withdrawn(public, signer, "26.45")
    assert links(public) == {}
    update_links(released(public, "26.48", {"a.tar": ""}))
    assert links(public)["current"] == "baserock-26.48"


def test_a_release_that_is_not_current_loses_no_link(tmp_path: Path, signer: Path) -> None:
    for version in ("26.46", "26.47"):
        update_links(released(tmp_path, version, {"a.tar": ""}))
    before = links(tmp_path)
    withdrawn(tmp_path, signer, "26.46")
    assert links(tmp_path) == before
    assert [each.version for each in list_tombstones(tmp_path, "baserock")] == ["26.46"]


def test_each_product_goes_back_to_the_last_release_that_has_it(tmp_path: Path, signer: Path) -> None:
    released(tmp_path, "26.44", {"demo.img": "demo", "old.img": "base"})
    released(tmp_path, "26.45", {"base.img": "base"})
    update_links(released(tmp_path, "26.46", {"base.img": "base", "demo.img": "demo", "new.img": "demo"}))
    withdrawn(tmp_path, signer, "26.46")
    found = links(tmp_path)
    assert {name: target.partition("/")[0] for name, target in found.items() if name.endswith(".img")} == {
        "baserock-current-base.img": "baserock-26.45",
        "baserock-current-demo.img": "baserock-26.44",
    }
    assert found["current"] == "baserock-26.45"


def test_the_tombstone_is_signed_once_and_a_corrected_reason_keeps_its_day(tmp_path: Path, signer: Path) -> None:
    update_links(released(tmp_path, "26.47", {"a.tar": ""}))
    first = withdrawn(tmp_path, signer, "26.47", by="Ada")
    before = tree(tmp_path)
    assert withdrawn(tmp_path, signer, "26.47", reason="") == first
    assert tree(tmp_path) == before
    said = json.loads(str(first["tombstone"]))
    assert said == {
        **{"format": 1, "project": "baserock", "version": "26.47", "label": "baserock-26.47", "by": "Ada"},
        **{"withdrawn": "2027-01-15T08:00:00Z", "reason": "It does not boot.", "files": "kept", "released": None},
        **{"signed_by": None, "commit": "c" * 40},
        "sums": hashlib.sha256((tmp_path / "baserock-26.47/SHA256SUMS").read_bytes()).hexdigest(),
    }
    name = "baserock-26.47.withdrawn.json"
    words = ["gpg", "--homedir", signer, "--batch", "--verify", f"{name}.asc", name]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / f"{name}.asc").write_text("forged")
    again = withdrawn(tmp_path, signer, "26.47", reason=" It holds\na key. ")
    assert {**said, "reason": "It holds a key."} == json.loads(str(again["tombstone"]))
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("reason", "fault"), [("", "no reason was given"), (" \n", "no reason was given"), ("x" * 2001, "2001 characters")]
)
def test_a_reason_that_nobody_can_read_is_refused(tmp_path: Path, signer: Path, reason: str, fault: str) -> None:
    released(tmp_path, "26.47", {"a.tar": ""})
    before = tree(tmp_path)
    with pytest.raises(SlipwayError, match=fault):
        withdrawn(tmp_path, signer, "26.47", reason=reason)
    assert tree(tmp_path) == before


def test_what_is_nowhere_or_not_the_same_everywhere_is_refused(tmp_path: Path, signer: Path) -> None:
    demand = Demand("baserock", "26.47", "baserock-26.47", "Why not")
    found = [inspect_withdrawal(tmp_path, "baserock", "baserock-26.47")]
    with pytest.raises(SlipwayError, match="it is not public on any server"):
        make_tombstone(demand, found, gnupghome=signer, now=NOW)
    for name in ("one", "two"):
        released(tmp_path / name, "26.47", {f"{name}.tar": ""})
    found += [inspect_withdrawal(tmp_path / name, "baserock", "baserock-26.47") for name in ("one", "two")]
    with pytest.raises(SlipwayError, match="servers have different files of it"):
        make_tombstone(demand, found, gnupghome=signer, now=NOW)
    released_sums = found[2]["facts"]["sums"]
    known = make_tombstone(replace(demand, sums=released_sums), found, gnupghome=signer, now=NOW, check=True)
    assert known.tombstone.sums == released_sums
    with pytest.raises(SlipwayError, match="it is not public on any server"):
        make_tombstone(replace(demand, sums=released_sums), found[:1], gnupghome=signer, now=NOW)
    made = make_tombstone(demand, found[:2], gnupghome=signer, now=NOW, check=True)
    assert (made.tombstone.by, made.signature) == ("baserock release team", None)


def test_nothing_is_published_again_but_the_same_bytes_when_asked(tmp_path: Path, signer: Path) -> None:
    public, private = tmp_path / "public", tmp_path / "private"
    update_links(released(public, "26.47", {"a.tar": ""}))
    kept = tmp_path / "kept"
    shutil.copytree(public / "baserock-26.47", kept)
    files = [
        Artifact(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(kept.iterdir())
    ]
    server = Server(private, public, "baserock-26.47", files)
    withdrawn(public, signer, "26.47", remove=True)
    remove_release(public, private, label="baserock-26.47", check=False)
    assert sorted(path.name for path in public.iterdir() if not path.name.startswith(".")) == [
        "baserock-26.47.withdrawn.json",
        "baserock-26.47.withdrawn.json.asc",
    ]
    for act in (probe_release, publish_release):
        with pytest.raises(SlipwayError, match=r"It does not boot\. .*-e release_reinstate=true"):
            act(server)
    other = [replace(file, sha256="0" * 64) if file.name == "SHA256SUMS" else file for file in files]
    with pytest.raises(SlipwayError, match="when it was withdrawn it had"):
        probe_release(replace(server, files=other, reinstate=True))
    assert probe_release(replace(server, reinstate=True)).withdrawn
    shutil.copytree(kept, private / "baserock-26.47")
    publish_release(replace(server, reinstate=True))
    assert find_tombstone(public, "baserock-26.47") is None
    assert tree(public / "baserock-26.47") == tree(kept)
    assert not probe_release(server).changes
    assert list(private.iterdir()) == []


def test_removal_begins_where_a_killed_run_ended_and_needs_a_tombstone(tmp_path: Path, signer: Path) -> None:
    public, private = tmp_path / "public", tmp_path / "private"
    private.mkdir()
    released(public, "26.47", {"a.tar": ""})
    with pytest.raises(SlipwayError, match="it is not withdrawn"):
        remove_release(public, private, label="baserock-26.47", check=False)
    withdrawn(public, signer, "26.47", remove=True)
    put(private / ".baserock-26.47.withdrawn", {"half": b"removed"})
    before = tree(tmp_path)
    assert remove_release(public, private, label="baserock-26.47", check=True) == [
        "baserock-26.47-a.tar",
        "baserock-26.47/",
    ]
    assert tree(tmp_path) == before
    remove_release(public, private, label="baserock-26.47", check=False)
    assert list(private.iterdir()) == []
    assert remove_release(public, private, label="baserock-26.47", check=False) == []


@pytest.mark.parametrize("remove", [False, True])
def test_page_list_and_feed_say_so(tmp_path: Path, signer: Path, remove: bool) -> None:
    for version in ("26.46", "26.47"):
        release = released(tmp_path, version, {"a.tar": ""})
        data, signature = (tmp_path / release.label / name for name in ("SHA256SUMS", "SHA256SUMS.asc"))
        sign_detached(signer, find_signing_key(signer).fingerprint, data=data, signature=signature)
        update_links(release)
    site = Site(tmp_path, "baserock", support={"26.47": "2030-01-01"})
    update_pages(site, render_pages([TEMPLATES], describe_site(site)))
    released_at = json.loads((tmp_path / "releases.json").read_text())["releases"][0]["date"]
    withdrawn(tmp_path, signer, "26.47", reason="It <eats> data & more.", by="Ada", remove=remove)
    update_pages(site, render_pages([TEMPLATES], describe_site(site)))
    listed = json.loads((tmp_path / "releases.json").read_text())
    jsonschema.validate(listed, SCHEMA)
    found, older = listed["releases"]
    assert (listed["current"], older["withdrawn"], found["date"]) == ("26.46", None, released_at)
    assert found["withdrawn"] == {
        **{"date": "2027-01-15T08:00:00Z", "by": "Ada", "reason": "It <eats> data & more."},
        **{"files": "removed" if remove else "kept", "url": "baserock-26.47.withdrawn.json"},
        "signature_url": "baserock-26.47.withdrawn.json.asc",
    }
    assert (found["supported_until"], found["commit"], bool(found["files"])) == (None, "c" * 40, not remove)
    page = (tmp_path / "baserock-26.47.html").read_text()
    assert "It &lt;eats&gt; data &amp; more." in page
    assert ("SHA256SUMS" in page) is not remove
    assert "Withdrawn" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "current.html").readlink() == Path("baserock-26.46.html")
    entry = next(ElementTree.parse(tmp_path / "releases.atom").iter(f"{ATOM}entry"))  # noqa: S314  # ours
    assert entry.findtext(f"{ATOM}title") == "baserock 26.47 (withdrawn)"
    assert entry.findtext(f"{ATOM}updated") == "2027-01-15T08:00:00Z"
    assert "It <eats> data & more." in str(entry.findtext(f"{ATOM}summary"))
    withdrawn(tmp_path, signer, "26.46")
    update_pages(site, render_pages([TEMPLATES], describe_site(site)))
    assert not (tmp_path / "current.html").is_symlink()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"label": "baserock-26.47"}', '{"label": 1, "by": "\\u0000"}', "\x00"]
)
def test_a_tombstone_that_cannot_be_read_withdraws_all_the_same(tmp_path: Path, text: str) -> None:
    (tmp_path / "baserock-26.47.withdrawn.json").write_text(text)
    assert parse_tombstone(text, "baserock-26.47") is None
    found = find_tombstone(tmp_path, "baserock-26.47")
    assert found is not None
    assert found.reason == "its tombstone cannot be read"
    (finding,) = find_withdrawal("baserock-26.47", None, public=str(tmp_path))
    assert finding.startswith("baserock-26.47 was withdrawn on ")


def test_the_modules_say_what_they_would_do_and_do_it_once(tmp_path: Path, signer: Path) -> None:
    public = tmp_path / "public"
    (tmp_path / "private").mkdir()
    for version in ("26.46", "26.47"):
        update_links(released(public, version, {"a.tar": ""}))
    place = {"public": str(public), "project": "baserock", "label": "baserock-26.47"}
    made = run_module(
        "release_tombstone",
        {
            **{"project": "baserock", "version": "26.47", "reason": "It does not boot.", "remove": True},
            **{"gnupghome": str(signer), "found": [run_module("release_withdrawal_info", place)]},
        },
    )
    assert made["facts"]["files"] == "removed"
    signed = {name: made[name] for name in ("tombstone", "signature")}
    options = {**place, **signed, "private": str(tmp_path / "private"), "remove": True}
    before = tree(tmp_path)
    would = run_module("release_withdrawal", options, check=True)
    assert tree(tmp_path) == before
    done = run_module("release_withdrawal", options)
    assert would["diff"] == done["diff"]
    assert done["removed"] == ["baserock-26.47-a.tar", "baserock-26.47/"]
    assert run_module("release_withdrawal", options)["changed"] is False

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pytest
from ansible_collections.slipway.release.plugins.action.release_index import render_notes, render_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.pages import PagesUpdate, update_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.releases import (
    Site,
    describe_site,
    format_size,
)
from hypothesis import given
from hypothesis import strategies as st
from publishing import put, run_module, tree

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = str(ROOT / "roles/release_current/templates")
SCHEMA = json.loads((ROOT / "docs/releases.schema.json").read_text())
ATOM = "{http://www.w3.org/2005/Atom}"
VOID = {"meta", "br", "link", "hr"}


class Page(HTMLParser):
    """What a reader's browser sees; a tag that is not closed where it must be is a failure."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []
        assert text.startswith("<!DOCTYPE html>\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)

    @property
    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.tags if tag == "a"]

    def accessible(self) -> None:
        names = [tag for tag, _ in self.tags]
        assert ("html", {"lang": "en"}) in self.tags
        assert len(self.texts["title"]) == names.count("h1") == names.count("main") == 1
        assert "script" not in names
        assert names.count("caption") == names.count("table")
        assert all(attributes["scope"] in {"row", "col"} for tag, attributes in self.tags if tag == "th")


def rendered(site: Site) -> dict[str, str]:
    return render_pages([TEMPLATES], describe_site(site))


def renewed(site: Site) -> PagesUpdate:
    return update_pages(site, rendered(site))


def run_index(arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The module as its action plugin runs it."""
    found = run_module("release_index", arguments, check=check)
    return run_module("release_index", {**arguments, "pages": render_pages([TEMPLATES], found)}, check=check)


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, bytes]:
    """A key's fingerprint, the key, and a signature by it; pages do not verify what it is over."""
    home = tmp_path_factory.mktemp("signer") / "gnupg"
    key = make_key(home, "Ada <ada@example.org>", expires="0")
    (home.parent / "data").write_bytes(b"data")
    created = find_signing_key(home, key).created
    sign_detached(home, key, data=home.parent / "data", signature=home.parent / "sig", at=created + 86400)
    return key, export_public_key(home, key), (home.parent / "sig").read_bytes()


def published(public: Path, version: str, signature: bytes = b"signature\n", **facts: object) -> dict[str, bytes]:
    label = f"baserock-{version}"
    packed = f"{label}-a+b~c.tar.gz"
    contents = {packed: version.encode() * 1000, f"{packed}.sha256": b"x\n", "SHA256SUMS.asc": signature}
    files = [{"name": packed, "system": "systems/a-x86_64.bst", "architecture": "x86_64", "type": "tar"}]
    said = {"project": "baserock", "version": version, "files": files, **facts}
    contents["manifest.json"] = json.dumps(said).encode()
    contents["SHA256SUMS"] = "".join(
        f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in (packed, "manifest.json")
    ).encode()
    put(public / label, contents)
    return contents


@pytest.fixture
def site(tmp_path: Path, signed: tuple[str, bytes, bytes]) -> Site:
    _fingerprint, key, signature = signed
    for version in ("1.2", "1.10", "1.9", "1.10rc1"):
        published(tmp_path / "public", version, signature, commit="c" * 40)
    (tmp_path / "public/release-key.asc").write_bytes(key)
    (tmp_path / "public/current").symlink_to("baserock-1.9")
    return Site(
        tmp_path / "public",
        "baserock",
        notes_url="https://w.example.org/{version}/?a=1&b={label}",
        support={"1.9": "2028-05-31"},
    )


def read(site: Site, name: str) -> Page:
    page = Page((site.public / name).read_text())
    page.accessible()
    words = ["tidy", "-errors", "-quiet", "-utf8", site.public / name]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stderr == ""
    return page


def in_list(site: Site, label: str) -> str:
    """The row of a release in the list."""
    rows = (site.public / "index.html").read_text().partition("All releases")[2].split("<tr>")
    return next(row for row in rows if f'href="{label}.html"' in row)


def test_releases_are_listed_newest_first_and_the_latest_one_is_shown_with_its_files(site: Site) -> None:
    renewed(site)
    page = read(site, "index.html")
    labels = ["baserock-1.10", "baserock-1.10rc1", "baserock-1.9", "baserock-1.2"]
    listed = [link.removesuffix(".html") for link in page.links if link.startswith("baserock-") and link.endswith("l")]
    assert listed[-4:] == labels
    assert listed[0] == "baserock-1.9"
    assert page.texts["span"].count("Latest") == 2
    assert "Latest" in in_list(site, "baserock-1.9")
    assert "2028-05-31" in in_list(site, "baserock-1.9")
    assert [unquote(link) for link in page.links if link.endswith(".gz")] == ["baserock-1.9/baserock-1.9-a+b~c.tar.gz"]
    assert (site.public / "current.html").readlink() == Path("baserock-1.9.html")


def test_the_index_lists_mirrors_that_serve_it_and_what_says_what_is_current(site: Site) -> None:
    urls = [
        "https://mirror.example.org/pub/",
        "https://m.example.org/p?a=1&b=<b>",
        "javascript:alert(1)",
        "rsync://r.example.org",
        "https://x.example.org/\u202e",
    ]
    said = {
        "project": "baserock",
        "mirrors": [{"url": url, "since": "2026-01-01T00:00:00Z"} for url in urls],
        "left_out": [{"url": "https://liar.example.org", "reason": "is false"}],
    }
    listed = site.public / "mirrors.json"
    (site.public / "latest.json").write_text("{}")
    listed.write_text(json.dumps({"payload": base64.b64encode(json.dumps(said).encode()).decode()}))
    renewed(site)
    page, text = read(site, "index.html"), (site.public / "index.html").read_text()
    shown = [link for link in page.links if "mirror." in link or "m.example" in link]
    assert shown == [urls[0], "https://m.example.org/p?a=1&b=%3Cb%3E"]
    assert ">mirror.example.org/pub</a>" in text
    assert ">m.example.org/p</a>" in text
    assert "liar" not in text
    assert "rsync" not in text
    assert {"latest.json", "mirrors.json"} <= {*page.links}
    for broken in ("{}", "[]", "\xff", json.dumps({"payload": "e30="}), json.dumps({"payload": 3})):
        listed.write_text(broken, encoding="latin-1")
        assert renewed(site).after.keys() <= {"index.html"}
        assert "Mirrors" not in (site.public / "index.html").read_text()


def test_a_page_shows_every_file_with_size_digest_signature_date_key_and_notes(
    site: Site, signed: tuple[str, bytes, bytes]
) -> None:
    renewed(site)
    page, text = read(site, "baserock-1.2.html"), (site.public / "baserock-1.2.html").read_text()
    for file in (site.public / "baserock-1.2").iterdir():
        assert f"baserock-1.2/{file.name}" in [unquote(link) for link in page.links]
    packed = site.public / "baserock-1.2/baserock-1.2-a+b~c.tar.gz"
    assert hashlib.sha256(packed.read_bytes()).hexdigest() in page.texts["code"]
    assert f'title="{packed.stat().st_size:,} bytes">3 kB</td>' in text
    assert "OpenPGP signature of SHA256SUMS" in text
    assert signed[0] in [code.replace(" ", "") for code in page.texts["code"]]
    assert "of Ada &lt;ada@example.org&gt;" in text
    assert "gpg --import release-key.asc\ngpg --verify SHA256SUMS.asc SHA256SUMS\nsha256sum --check" in text
    assert "https://w.example.org/1.2/?a=1&b=baserock-1.2" in page.links
    assert "current.html" in page.links
    assert "This is not the latest release" not in (site.public / "baserock-1.9.html").read_text()
    for link in page.links:
        assert "://" in link or link.startswith("#") or (site.public / unquote(link)).exists()


def test_pages_load_nothing_and_times_stay_on_one_line(site: Site) -> None:
    renewed(site)
    for name in ("index.html", "baserock-1.9.html"):
        page, text = read(site, name), (site.public / name).read_text()
        assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object"}
        assert {attributes["href"] for tag, attributes in page.tags if tag == "link"} == {"releases.atom"}
        assert "default-src 'none'" in text
        assert "url(" not in text
        assert "@media (prefers-color-scheme: dark)" in text
        assert "time, .nowrap { white-space: nowrap }" in text
        assert all("data-label" in attributes for tag, attributes in page.tags if tag == "td" and attributes)


def test_the_list_for_programs_keeps_its_schema_and_names_what_is_there(
    site: Site, signed: tuple[str, bytes, bytes]
) -> None:
    renewed(site)
    text = (site.public / "releases.json").read_text()
    listing = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(listing)
    assert listing["current"] == "1.9"
    assert listing["key"] == {"url": "release-key.asc", "fingerprints": [signed[0]]}
    assert [release["version"] for release in listing["releases"]] == ["1.10", "1.10rc1", "1.9", "1.2"]
    release = listing["releases"][2]
    assert (release["supported_until"], release["signed_by"], release["commit"]) == ("2028-05-31", signed[0], "c" * 40)
    for file in release["files"]:
        assert (site.public / unquote(file["url"])).stat().st_size == file["size"]
    assert release["files"][0]["architecture"] == "x86_64"
    assert str(site.public) not in text
    for broken in ({**listing, "format": 2}, {**listing, "releases": [{**release, "date": "today"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(broken)


def test_pages_and_list_say_of_which_product_each_file_is_and_which_release_is_its_last(
    site: Site, signed: tuple[str, bytes, bytes]
) -> None:
    devel = {"name": "devel", "title": "For <developers>", "supported": {"days": 30, "until": None}}
    own = {"name": "baserock", "title": "Baserock", "supported": {"days": None, "until": "2028-01-31"}}
    published(site.public, "1.11", signed[2], products=[devel, own])
    published(site.public, "1.12", signed[2], products=[own])
    renewed(site)
    listing = json.loads((site.public / "releases.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(listing)
    assert [(each["name"], each["version"]) for each in listing["products"]] == [
        ("baserock", "1.12"),
        ("devel", "1.11"),
    ]
    release = listing["releases"][1]
    end = (datetime.fromisoformat(release["date"]) + timedelta(days=30)).date().isoformat()
    assert [each["supported_until"] for each in release["products"]] == [end, "2028-01-31"]
    assert release["supported_until"] == max(end, "2028-01-31")
    assert [file["product"] for file in release["files"][:1]] == ["baserock"]
    top, page = read(site, "index.html"), (site.public / "baserock-1.11.html").read_text()
    assert "baserock-1.11.html" in top.links
    assert "It is of For &lt;developers&gt; (supported until" in page
    assert "<small>Baserock</small>" in page


def test_the_feed_is_an_atom_feed_whose_ids_stay(site: Site, tmp_path: Path) -> None:
    published(site.public, "1.1")  # without a date, since its signature is none
    renewed(site)
    feed = ElementTree.parse(site.public / "releases.atom").getroot()  # noqa: S314  # ours
    entries = feed.findall(f"{ATOM}entry")
    versions = ("1.10", "1.10rc1", "1.9", "1.2")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [f"baserock {version}" for version in versions]
    for element in (feed, *entries):
        assert [len(element.findall(ATOM + name)) for name in ("id", "title", "updated")] == [1, 1, 1]
        assert str(element.findtext(f"{ATOM}id")).startswith("urn:uuid:")
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 4
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    for link in feed.iter(f"{ATOM}link"):
        assert (site.public / link.attrib["href"]).exists()
    (site.public / "baserock-1.10").rename(tmp_path / "gone")
    renewed(site)
    again = ElementTree.parse(site.public / "releases.atom").getroot()  # noqa: S314  # ours
    assert [entry.findtext(f"{ATOM}id") for entry in again.findall(f"{ATOM}entry")] == [
        entry.findtext(f"{ATOM}id") for entry in entries[1:]
    ]


def test_pages_are_written_once_and_change_with_what_is_public(site: Site) -> None:
    assert renewed(site).after.keys() == {
        *("index.html", "current.html", "releases.json", "releases.atom"),
        *(f"baserock-{version}.html" for version in ("1.2", "1.10", "1.9", "1.10rc1")),
    }
    before = tree(site.public)
    assert renewed(site).after == {}
    assert tree(site.public) == before
    published(site.public, "1.11", (site.public / "baserock-1.2/SHA256SUMS.asc").read_bytes())
    assert renewed(site).after.keys() == {"index.html", "releases.json", "releases.atom", "baserock-1.11.html"}
    (site.public / "current").unlink()
    (site.public / "current").symlink_to("baserock-1.11")
    changed = {"index.html", "releases.json", "current.html", "baserock-1.9.html", "baserock-1.11.html"}
    assert renewed(site).after.keys() == changed, "not the pages of all releases"
    assert "Latest" in in_list(site, "baserock-1.11")
    assert "Latest" not in in_list(site, "baserock-1.9")


def test_a_page_is_rendered_again_only_where_it_would_differ_or_was_changed(site: Site, tmp_path: Path) -> None:
    renewed(site)
    assert rendered(site).keys() == {"index.html"}
    page = site.public / "baserock-1.2.html"
    before = page.read_text()
    page.write_text(before.replace("SHA-256", "SHA-1"))
    assert renewed(site).after.keys() == {page.name}
    assert page.read_text() == before
    shutil.copytree(TEMPLATES, tmp_path / "own")
    (tmp_path / "own/parts.html.j2").write_text((tmp_path / "own/parts.html.j2").read_text().replace("Released", "Out"))
    assert len(render_pages([str(tmp_path / "own")], describe_site(site))) == 5


def test_notes_are_on_the_page_and_stay_there_without_being_given_again(site: Site) -> None:
    noted = Site(site.public, "baserock", notes={"baserock-1.9": "# Words\n\n* one `<b>`\n"})
    assert "baserock-1.9.md" in renewed(noted).after
    assert renewed(noted).after == {}
    without = Site(site.public, "baserock")
    assert renewed(without).after == {}
    page, text = read(site, "baserock-1.9.html"), (site.public / "baserock-1.9.html").read_text()
    assert "<h3>Words</h3>" in text
    assert "<li>one <code>&lt;b&gt;</code></li>" in text
    assert "#notes" in page.links
    assert 'href="baserock-1.9.html#notes"' in in_list(site, "baserock-1.9")
    (site.public / "baserock-1.9").rename(site.public.parent / "gone")
    assert {"baserock-1.9.html", "baserock-1.9.md"} <= renewed(without).after.keys()
    assert not (site.public / "baserock-1.9.md").exists()


@pytest.mark.parametrize(
    ("notes", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;"),
        ("a <img src=x onerror=alert(1)>", "&lt;img"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[x](data:text/html,x)", "[x](data:text/html,x)"),
        ("![x](https://example.org/pixel)", '!<a href="https://example.org/pixel">x</a>'),
        ("a\x1b[2J\u202eb", "a\ufffd[2J\ufffdb"),
    ],
)
def test_notes_bring_neither_scripts_nor_images(notes: str, shown: str) -> None:
    assert shown in str(render_notes(notes))


@given(st.text() | st.text("<>[]()!`*_#\n\\&;: \"'ab"))
def test_notes_of_any_kind_give_closed_tags_of_text_only(notes: str) -> None:
    page = Page(f"<!DOCTYPE html>\n{render_notes(notes)}")
    plain = {"p", "a", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "br", "hr"}
    assert {tag for tag, _ in page.tags} <= plain | {f"h{level}" for level in range(3, 7)}
    assert {name for _, attributes in page.tags for name in attributes} <= {"href", "title", "start", "class"}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (12_345, "12 kB"),
        (63_412_345, "63.4 MB"),
        (7_654_321_000, "7.65 GB"),
    ],
)
def test_sizes_are_in_units_that_people_know(size: int, text: str) -> None:
    assert format_size(size) == text


def test_a_current_link_to_a_release_that_is_gone_names_none(site: Site) -> None:
    renewed(site)
    (site.public / "baserock-1.9").rename(site.public.parent / "gone")
    renewed(site)
    assert "Latest" not in (site.public / "index.html").read_text()
    assert json.loads((site.public / "releases.json").read_text())["current"] is None
    assert "current.html" not in read(site, "baserock-1.2.html").links


def test_a_template_of_the_sites_own_replaces_one_and_can_extend_ours(site: Site, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/page.html.j2").write_text(
        '{% extends "slipway/page.html.j2" %}{% block style %}h1 { color: teal }{% endblock %}'
    )
    update_pages(site, render_pages([str(tmp_path / "own"), TEMPLATES], describe_site(site)))
    for name in ("index.html", "baserock-1.2.html"):
        assert "h1 { color: teal }</style>" in (site.public / name).read_text()
        read(site, name)


def test_check_mode_changes_nothing_and_says_what_it_would(site: Site, tmp_path: Path) -> None:
    before = tree(tmp_path)
    arguments = {
        "public": str(site.public),
        "project": "baserock",
        "notes_url": site.notes_url,
        "label": "baserock-1.12",
    }
    would = run_index(arguments, check=True)
    assert would["changed"]
    assert "baserock-1.12.html" in would["pages"]
    assert tree(tmp_path) == before
    done = run_index({**arguments, "label": "baserock-1.10"})
    assert sorted({*done["pages"], "baserock-1.12.html"}) == would["pages"]
    assert "baserock-1.12, which is to be published" in json.dumps(would["diff"])
    assert not run_index({**arguments, "label": "baserock-1.10"})["changed"]
    assert not run_index({**arguments, "label": "baserock-1.10"}, check=True)["changed"]


def test_pages_of_others_are_neither_replaced_nor_removed(site: Site) -> None:
    (site.public / "baserock-0.1.html").write_text("mine")
    renewed(site)
    assert (site.public / "baserock-0.1.html").read_text() == "mine"
    (site.public / "index.html").write_text("mine")
    published(site.public, "1.13")
    with pytest.raises(SlipwayError, match=r"index\.html: something else is there\. Move it away"):
        renewed(site)
    assert (site.public / "index.html").read_text() == "mine"
    assert not (site.public / "baserock-1.13.html").exists()


@pytest.mark.parametrize("name", ["index.html", "current.html", "baserock-1.2.html"])
def test_a_link_or_directory_in_the_place_of_a_page_is_refused(site: Site, name: str) -> None:
    outside = site.public.parent / "outside"
    outside.write_text("outside")
    if name == "current.html":
        (site.public / name).mkdir()
    else:
        (site.public / name).symlink_to(outside)
    with pytest.raises(SlipwayError, match="something else is there"):
        renewed(site)
    assert outside.read_text() == "outside"


def test_the_page_of_a_release_that_is_gone_is_removed(site: Site) -> None:
    renewed(site)
    (site.public / "baserock-1.2").rename(site.public.parent / "gone")
    assert renewed(site).after.keys() == {"index.html", "releases.json", "releases.atom", "baserock-1.2.html"}
    assert not (site.public / "baserock-1.2.html").exists()


@pytest.mark.parametrize("manifest", [b"\xff", b"[]", b'{"version": 7, "commit": ["x"]}', b"{"])
def test_a_manifest_that_cannot_be_read_costs_only_its_facts(site: Site, manifest: bytes) -> None:
    (site.public / "baserock-1.2/manifest.json").write_bytes(manifest)
    renewed(site)
    assert "a+b~c.tar.gz" in (site.public / "baserock-1.2.html").read_text()
    assert "<dl>" not in (site.public / "baserock-1.2.html").read_text()


@pytest.mark.parametrize("name", ["baserock-1.2/SHA256SUMS", "baserock-1.2/manifest.json", "release-key.asc"])
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(site: Site, name: str) -> None:
    (site.public / name).unlink(missing_ok=True)
    os.mkfifo(site.public / name)
    Page(rendered(site)["index.html"])


def test_files_that_are_no_release_files_are_not_shown(site: Site) -> None:
    directory = site.public / "baserock-1.2"
    (directory / ".secret").write_text("x")
    (directory / "<script>").write_text("x")
    (directory / "link").symlink_to("/etc/passwd")
    (directory / "sub").mkdir()
    renewed(site)
    text = (site.public / "baserock-1.2.html").read_text()
    assert not any(word in text for word in ("secret", "script", "passwd", "/sub", "/link"))


HOSTILE = st.text() | st.text("<>&\"'{}%#/ a")


@given(HOSTILE, HOSTILE, HOSTILE)
def test_words_from_outside_stay_words(commit: str, title: str, name: str) -> None:
    def pages(commit: str, title: str, name: str) -> list[list[str]]:
        file = {"name": name, "url": "u", "size": 1, "size_text": "1 B", "sha256": None, "system": name, "type": name}
        file |= {"sidecar": {"name": name, "url": "v"}, "product": f"x{name}"}
        product = {"name": f"x{name}", "title": title, "version": name, "page": "p.html", "supported_until": "s"}
        products = [{**product, "date": "d", "time": "t"}, {**product, "name": "q", "date": None}]
        key = {"fingerprint": "F", "grouped": "F", "names": [name]}
        said = {"label": "p-1.0", "page": "p-1.0.html", "version": name, "count": 1, "size": 1, "size_text": "1 B"}
        said |= {
            "current": True,
            "time": "t",
            "date": "d",
            "supported_until": "s",
            "withdrawn": None,
            "inputs": None,
            "signed": True,
            "summed": True,
            "source": None,
        }
        said |= {"facts": [{"name": "Commit", "value": commit}], "files": [file], "key": key, "notes": None}
        said["products"] = products
        said |= {"notes_url": "https://x/", "architectures": [name], "systems": [{"name": name, "cells": [[file]]}]}
        found = {
            "releases": [said],
            "products": products,
            "current": None,
            "latest": True,
            "mirrors": [{"url": "https://x/", "name": name}],
            "keys": [key],
            "title": title,
            "project": "p",
        }
        return [[tag for tag, _ in Page(page).tags] for page in render_pages([TEMPLATES], found).values()]

    assert pages(commit, title, name) == pages("x", "x", "x")


def test_pages_of_a_template_without_the_mark_or_of_other_releases_are_refused(site: Site) -> None:
    pages = rendered(site)
    before = tree(site.public)
    for name, text, why in (
        ("index.html", "<html></html>", "index.html lacks <meta"),
        ("baserock-7.html", pages["index.html"], "baserock-7.html is the page of no public release"),
    ):
        with pytest.raises(SlipwayError, match="the pages are not usable") as caught:
            update_pages(site, {**pages, name: text})
        assert any(why in finding for finding in caught.value.findings)
    with pytest.raises(SlipwayError, match="the pages are not usable"):
        update_pages(site, {"index.html": pages["index.html"]})
    assert tree(site.public) == before


@pytest.mark.parametrize("options", [{"project": "../x"}, {"public": Path("x")}, {"notes_url": "javascript:alert(1)"}])
def test_settings_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(SlipwayError):
        Site(**{"public": tmp_path, "project": "p", **options}).check()  # type: ignore[arg-type]  # passed on as they are


def test_nothing_released_is_a_page_too(tmp_path: Path) -> None:
    site = Site(tmp_path, "baserock")
    renewed(site)
    assert "Nothing is released yet." in (tmp_path / "index.html").read_text()
    read(site, "index.html")

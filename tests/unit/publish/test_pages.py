# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from ansible_collections.slipway.release.plugins.action.release_index import render_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.pages import (
    PagesUpdate,
    Site,
    describe_site,
    update_pages,
)
from hypothesis import given
from hypothesis import strategies as st
from publishing import put, run_module, tree

TEMPLATES = Path(__file__).resolve().parents[3] / "roles/release_publish/templates"
VOID = {"meta", "br", "link"}


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


def rendered(site: Site, title: str = "Releases") -> dict[str, str]:
    return render_pages(str(TEMPLATES), describe_site(site), title=title)


def renewed(site: Site) -> PagesUpdate:
    return update_pages(site, rendered(site))


def run_index(arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The module as its action plugin runs it."""
    found = run_module("release_index", arguments, check=check)
    pages = render_pages(str(TEMPLATES), found, title="Releases")
    return run_module("release_index", {**arguments, "pages": pages}, check=check)


def published(public: Path, version: str, **facts: object) -> dict[str, bytes]:
    label = f"baserock-{version}"
    packed = f"{label}-a+b~c.tar.gz"
    contents = {packed: version.encode() * 1000, f"{packed}.sha256": b"x\n", "SHA256SUMS.asc": b"signature\n"}
    contents["manifest.json"] = json.dumps({"project": "baserock", "version": version, **facts}).encode()
    contents["SHA256SUMS"] = "".join(
        f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in (packed, "manifest.json")
    ).encode()
    put(public / label, contents)
    return contents


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for version in ("1.2", "1.10", "1.9", "1.10rc1"):
        published(tmp_path / "public", version, commit="c" * 40)
    (tmp_path / "public/current").symlink_to("baserock-1.9")
    return Site(tmp_path / "public", "baserock", notes_url="https://w.example.org/{version}/?a=1&b={label}")


def read(site: Site, name: str) -> Page:
    page = Page((site.public / name).read_text())
    page.accessible()
    return page


def test_releases_are_listed_newest_first_and_the_current_one_is_marked(site: Site) -> None:
    renewed(site)
    page = read(site, "index.html")
    labels = ["baserock-1.10", "baserock-1.10rc1", "baserock-1.9", "baserock-1.2"]
    assert [link for link in page.links if "://" not in link] == [f"{label}.html" for label in labels]
    assert page.texts["strong"] == ["current"]
    assert (
        "<td><strong>current"
        in (site.public / "index.html").read_text().split("baserock-1.9.html")[1].split("</tr>")[0]
    )
    assert (site.public / "current.html").readlink() == Path("baserock-1.9.html")


def test_a_page_shows_every_file_with_size_digest_signature_and_notes(site: Site) -> None:
    renewed(site)
    page, text = read(site, "baserock-1.2.html"), (site.public / "baserock-1.2.html").read_text()
    for file in (site.public / "baserock-1.2").iterdir():
        assert f"baserock-1.2/{file.name}" in [unquote(link) for link in page.links]
    packed = site.public / "baserock-1.2/baserock-1.2-a+b~c.tar.gz"
    assert hashlib.sha256(packed.read_bytes()).hexdigest() in page.texts["code"]
    assert f'<td class="size">{packed.stat().st_size:,}</td>' in text
    assert "OpenPGP signature of SHA256SUMS" in text
    assert "https://w.example.org/1.2/?a=1&b=baserock-1.2" in page.links
    assert 'The current release is <a href="baserock-1.9.html">' in text
    for link in page.links:
        assert "://" in link or (site.public / unquote(link)).exists()


def test_pages_are_written_once_and_change_with_what_is_public(site: Site) -> None:
    assert renewed(site).after.keys() == {
        "index.html",
        "current.html",
        *(f"baserock-{version}.html" for version in ("1.2", "1.10", "1.9", "1.10rc1")),
    }
    before = tree(site.public)
    assert renewed(site).after == {}
    assert tree(site.public) == before
    published(site.public, "1.11")
    assert renewed(site).after.keys() == {"index.html", "baserock-1.11.html"}
    (site.public / "current").unlink()
    (site.public / "current").symlink_to("baserock-1.11")
    assert "current.html" in renewed(site).after
    assert "<strong>current" in (site.public / "index.html").read_text().split("1.11.html")[1].split("</tr>")[0]


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
    assert renewed(site).after.keys() == {"index.html", "baserock-1.2.html"}
    assert not (site.public / "baserock-1.2.html").exists()


@pytest.mark.parametrize("manifest", [b"\xff", b"[]", b'{"version": 7, "commit": ["x"]}', b"{"])
def test_a_manifest_that_cannot_be_read_costs_only_its_facts(site: Site, manifest: bytes) -> None:
    (site.public / "baserock-1.2/manifest.json").write_bytes(manifest)
    renewed(site)
    assert "a+b~c.tar.gz" in (site.public / "baserock-1.2.html").read_text()
    assert "<dl>" not in (site.public / "baserock-1.2.html").read_text()


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
        file = {"name": name, "url": "u", "size": 1, "sha256": None, "sidecar": {"name": name, "url": "v"}}
        facts = [{"name": "Commit", "value": commit}]
        said = {"label": "p-1.0", "version": name, "notes": "https://x/", "count": 1, "size": 1, "commands": [name]}
        found = {"releases": [{**said, "facts": facts, "files": [file]}], "current": None}
        return [
            [tag for tag, _ in Page(page).tags] for page in render_pages(str(TEMPLATES), found, title=title).values()
        ]

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
        describe_site(Site(**{"public": tmp_path, "project": "p", **options}))  # type: ignore[arg-type]  # passed on as they are


def test_nothing_released_is_a_page_too(tmp_path: Path) -> None:
    site = Site(tmp_path, "baserock")
    renewed(site)
    assert "Nothing is released yet." in (tmp_path / "index.html").read_text()
    read(site, "index.html")

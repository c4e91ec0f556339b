# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small release of two products, from drafts in git to notes, pages, blogs and the mails of three lists."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from smtpd import Smtpd, smtpd
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key

from integration.conftest import ROOT, tree

BIN = Path(sys.executable).parent
TEAM = Person("Somebody", "somebody@example.org", 1_700_000_000)
PAGES = {
    "index.mdwn": "Get acme-1.0 and not acme-1.0.1 or acme-1.05.\n",
    "guides/install.mdwn": "Fetch acme-1.0-base.raw.\n",
    "guides/history.mdwn": "acme-1.0 was the first.\n",
    "howto/genivi.mdwn": "This is tried\nwith acme-1.0.\n",
    "releases/acme-0.9.mdwn": "Older than acme-1.0.\n",
    "drafts/1.0/introduction.md": "The first one.\n",
}
DRAFTS = {
    "drafts/1.1/introduction.md": "It *boots* faster.\n",
    "drafts/1.1/known-issues.md": "* No <b>sound</b>.\n",
    "drafts/1.1/thanks.md": "# With thanks\n\nTo Zoë.\n",
    "drafts/1.1/genivi/introduction.md": "A newer demo.\n",
    "drafts/1.1/genivi/blog.md": "Dear readers: <script>alert(1)</script>\n",
}


def git(*words: str, cwd: Path) -> str:
    environment = {**os.environ, **TEAM.environment()}
    return subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout


class Site:
    """Files of two products, a wiki and a website in git, and an SMTP server of the genivi lists."""

    def __init__(self, top: Path, server: Smtpd) -> None:
        self.top, self.state, self.output, self.server = top, top / "state", top / "output", server
        self.release = self.state / "releases/1.1"
        self.others: dict[str, dict[str, str]] = {}
        self.wiki, self.website = top / "wiki.git", top / "website.git"
        for bare in (self.wiki, self.website):
            git("init", "-q", "--bare", "-b", "main", str(bare), cwd=top)
        self.commit(self.wiki, PAGES)
        self.commit(self.website, {"news.html": b"<p>\xe9: <a href='/acme-1.0/'>1.0</a>\n"})
        make_key(self.state / "gnupg", "Release team <release@localhost>")
        self.output.mkdir()
        page = {"repository": str(self.wiki), "paths": ["*.mdwn", "guides/**"], "except": ["guides/history.mdwn"]}
        policy = {
            "products": {
                "genivi": {
                    "title": "GENIVI Baseline",
                    "systems": ["genivi-*"],
                    "notes": {"required": ["introduction"], "blog": {"repository": str(self.website)}},
                    "lists": [
                        {"to": "GENIVI <dev@lists.example.org>", "subject": "{title} {version}: größer", **self.smtp()},
                        {"to": "baserock@lists.example.org", **self.smtp()},
                    ],
                }
            },
            "rules": {
                "pages": [
                    {**page, "replace": [{"from": "acme-{previous}", "to": "{label}"}]},
                    {
                        "repository": str(self.website),
                        "product": "genivi",
                        "paths": ["**"],
                        "replace": [{"from": "{previous}", "to": "{version}"}],
                    },
                ]
            },
        }
        self.variables: dict[str, Any] = {
            "release_project": "acme",
            "release_files_directory": str(self.output),
            "release_files": [
                {"path": "demo.raw", "system": "genivi-demo", "architecture": "x86_64"},
                {"path": "base.raw", "system": "base", "architecture": "x86_64"},
            ],
            "release_state_directory": str(self.state),
            "release_policy": policy,
            "release_notes_repository": str(self.wiki),
            "release_notes_required": ["known-issues"],
            "release_notes_url": "https://wiki.example.org/acme-1.1/",
            "release_announce_recipients": ["announce@lists.example.org"],
            "release_announce_timeout": 0,
        }

    def smtp(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.server.port, "tls": "none"}

    def commit(self, bare: Path, files: Mapping[str, str | bytes]) -> None:
        work = self.top / f"{bare.stem}-work"
        if not work.exists():
            git("clone", "-q", str(bare), str(work), cwd=self.top)
            git("checkout", "-q", "-B", "main", cwd=work)
        elif git("ls-remote", "--heads", "origin", cwd=work):
            git("pull", "-q", "--rebase", "origin", "main", cwd=work)
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        git("add", "-A", ".", cwd=work)
        git("commit", "-q", "-m", "Write", cwd=work)
        git("push", "-q", "origin", "main", cwd=work)

    def shown(self, name: str, bare: Path | None = None) -> str:
        done = subprocess.run(["git", "show", f"main:{name}"], cwd=bare or self.wiki, check=True, capture_output=True)
        return done.stdout.decode(errors="surrogateescape")

    def run(self, playbook: str, version: str, *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        groups = {"coordinator": {"hosts": {"here": {}}}, "download_servers": {"hosts": {"here": {}, **self.others}}}
        variables = {**self.variables, **variables}
        hosts = {"here": host} | {name: {**host, **said} for name, said in self.others.items()}
        inventory = {"all": {"hosts": hosts, "vars": variables, "children": groups}}
        (self.top / "hosts.json").write_text(json.dumps(inventory))
        words = ("-i", str(self.top / "hosts.json"), "-e", f"version={version}", *words)
        return subprocess.run(
            [BIN / "ansible-playbook", f"slipway.release.{playbook}", *words],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "slipway.release.stages", "COLUMNS": "240"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def done(self, playbook: str, version: str, *words: str, **variables: Any) -> str:
        ran = self.run(playbook, version, *words, **variables)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def fails(self, version: str, *words: str, **variables: Any) -> str:
        ran = self.run("files", version, *words, **variables)
        assert ran.returncode != 0, ran.stdout
        assert "Traceback" not in ran.stdout + ran.stderr
        return " ".join(ran.stdout.split())

    def record(self, stage: str) -> dict[str, Any]:
        return dict(json.loads((self.release / "records" / f"{stage}.json").read_text())["outputs"])

    def public(self) -> dict[str, str]:
        """What others see: the branches of both repositories, and what is served."""
        heads = {bare.stem: git("rev-parse", "main", cwd=bare) for bare in (self.wiki, self.website)}
        served = self.state / "download"
        return {**heads, "served": str(tree(served) if served.exists() else "")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on which 1.0 is released."""
    with smtpd() as server:
        site = Site(tmp_path_factory.mktemp("notes"), server)
        for name in ("demo.raw", "base.raw"):
            (site.output / name).write_bytes(name.encode())
        lenient = {"release_policy": {}, "release_notes_required": []}
        site.done("files", "1.0", "--skip-tags", "announce", **lenient)
        (site.output / "demo.raw").write_bytes(b"newer demo")
        yield site


def test_what_drafts_lack_is_told_before_anything_begins(site: Site) -> None:
    said = site.fails("1.1", "--tags", "preflight")
    assert f"there is no draft drafts/1.1/known-issues.md in {site.wiki} at main, which the notes of acme need" in said
    assert "there is no draft drafts/1.1/genivi/introduction.md" in said
    assert not (site.release / "records").exists()
    site.commit(site.wiki, DRAFTS)


def test_a_template_that_does_not_render_is_told_before_anything_begins(site: Site) -> None:
    template = site.top / "product.mdwn.j2"
    template.write_text("# {{ notes.title }} {{ nothing }}")
    genivi = site.variables["release_policy"]["products"]["genivi"]
    policy = {"products": {"genivi": {**genivi, "notes": {"template": str(template)}}}}
    said = site.fails("1.1", "--tags", "preflight", release_policy=policy)
    assert f"the templates of the notes ({template}) cannot be used: 'nothing' is undefined" in said
    assert not (site.release / "records").exists()


def test_a_preview_shows_all_of_it_and_changes_nothing_public(site: Site) -> None:
    before, mails = site.public(), len(site.server.mails)
    said = site.done("preview", "1.1")
    preview = site.release / "preview"
    assert f"{preview}/index.html shows what acme-1.1 will say" in said
    page = (preview / "index.html").read_text()
    for words in (
        "<h2>Known issues</h2>",
        "A newer demo.",
        "Mail to GENIVI &lt;dev@lists.example.org&gt;",
        "not moved",
    ):
        assert words in page
    assert "<td>index.mdwn:1</td><td>Get acme-1.0 and not acme-1.0.1 or acme-1.05.</td><td>Get acme-1.1 and" in page
    assert "<script>" not in page
    assert len(list((preview / "mails").iterdir())) == 3
    assert not (site.release / "records").exists()
    assert (site.public(), len(site.server.mails)) == (before, mails)


def test_a_release_tells_of_its_products_and_a_list_that_refuses_keeps_nobody_else_from_hearing(site: Site) -> None:
    site.server.refuses = {"dev@lists.example.org"}
    said = site.fails("1.1", "--skip-tags", "preflight")
    assert "Could not announce acme-1.1 to 1 of 3 lists." in said
    assert "dev@lists.example.org: 550 nobody here" in said
    assert not (site.release / "records/announcement.json").exists()
    (first,) = site.server.mails
    assert first[0] == ["baserock@lists.example.org"]
    assert len(list((site.state / "mail/new").iterdir())) == 1
    site.server.refuses = set()
    site.done("files", "1.1")
    assert [to for to, _ in site.server.mails] == [["baserock@lists.example.org"], ["dev@lists.example.org"]]
    before = {**site.public(), "records": str(tree(site.release / "records"))}
    assert "  changed nothing\n" in site.done("files", "1.1")
    assert {**site.public(), "records": str(tree(site.release / "records"))} == before
    assert len(site.server.mails) == 2


def test_notes_are_rendered_around_drafts_and_those_of_a_product_link_to_the_main_ones(site: Site) -> None:
    main, product = site.shown("releases/acme-1.1.mdwn"), site.shown("releases/acme-1.1-genivi.mdwn")
    order = ["# acme 1.1", "It *boots* faster.", "## Known issues", "## Files", "## GENIVI Baseline 1.1", "## Changes"]
    places = [main.index(words) for words in [*order, "## With thanks\n\nTo Zoë.\n"]]
    assert places == sorted(places)
    assert "`acme-1.1-base.raw`" in main
    assert product.startswith("# GENIVI Baseline 1.1\n\nA newer demo.\n")
    assert "whose notes are at <https://wiki.example.org/acme-1.1/>" in product
    assert "base.raw" not in product
    assert "* `acme-1.1-demo.raw` changed, and has 10 B, 2 B more" in product
    assert sorted(site.record("notes")["texts"]) == ["acme", "genivi"]
    page = (site.state / "download/public/acme-1.1.html").read_text()
    assert "<h3>Known issues</h3>" in page
    assert "No &lt;b&gt;sound&lt;/b&gt;." in page


def test_the_announcement_is_the_notes_with_a_subject_and_a_message_id_for_each_list(site: Site) -> None:
    mails = [email.message_from_bytes(mail, policy=email.policy.default) for _, mail in site.server.mails]
    (path,) = (site.state / "mail/new").iterdir()
    mails.append(email.message_from_bytes(path.read_bytes(), policy=email.policy.default))
    assert [mail["Subject"] for mail in mails] == [
        "GENIVI Baseline 1.1 is released",
        "GENIVI Baseline 1.1: größer",
        "Acme 1.1 is released",
    ]
    ids = [mail["Message-ID"].strip() for mail in mails]
    assert len(set(ids)) == 3
    assert [each["message_id"] for each in site.record("announcement")["mails"]] == [ids[2], ids[1], ids[0]]
    bodies = [mail.get_content().replace("\r\n", "\n") for mail in mails]
    assert bodies[0] == bodies[1] != bodies[2]
    assert bodies[0].startswith("GENIVI Baseline 1.1\n===================\n\nA newer demo.\n")
    assert "No <b>sound</b>." in bodies[2]
    assert all(len(line) <= 80 for body in bodies for line in body.splitlines())


def test_pages_are_moved_once_by_rules_and_what_no_rule_moves_is_listed(site: Site) -> None:
    assert site.shown("index.mdwn") == "Get acme-1.1 and not acme-1.0.1 or acme-1.05.\n"
    assert site.shown("guides/install.mdwn") == "Fetch acme-1.1-base.raw.\n"
    for name in ("guides/history.mdwn", "howto/genivi.mdwn", "releases/acme-0.9.mdwn", "drafts/1.0/introduction.md"):
        assert site.shown(name) == PAGES[name]
    assert site.shown("news.html", site.website) == "<p>\udce9: <a href='/acme-1.1/'>1.1</a>\n"
    wiki, website = site.record("notes")["pages"]
    assert (wiki["paths"], website["paths"]) == (["guides/install.mdwn", "index.mdwn"], ["news.html"])
    assert wiki["findings"] == [{"path": "howto/genivi.mdwn", "line": 2, "text": "with acme-1.0."}]
    report = (site.release / "report.html").read_text()
    assert "howto/genivi.mdwn:2" in report


def test_what_a_preview_of_a_blog_shows_is_what_is_posted(site: Site) -> None:
    posted = site.shown("blog/acme-1.1-genivi.html", site.website)
    assert (site.release / "blog/genivi.html").read_text() == posted
    preview = (site.release / "blog/genivi.preview.html").read_text()
    shown = re.search(r"<article>\n(.*)</article>", preview, re.DOTALL)
    assert shown is not None
    assert shown[1] == posted
    assert posted.startswith("<p>Dear readers: &lt;script&gt;alert(1)&lt;/script&gt;</p>\n<p>A newer demo.</p>\n")


def test_a_corrected_draft_corrects_the_notes_and_nothing_else_is_done_again(site: Site) -> None:
    later = {"guides/upgrade.mdwn": "From acme-1.0 to acme-1.1.\n"}
    site.commit(site.wiki, {"drafts/1.1/known-issues.md": "* No sound at all.\n", **later})
    assert "* No sound at all." in site.done("files", "1.1", "--check", "--diff", "--tags", "notes")
    assert "* No <b>sound</b>." in site.shown("releases/acme-1.1.mdwn")
    said = site.done("files", "1.1", "--tags", "notes,announce")
    assert "The notes of acme-1.1 were published before with other texts, and were corrected" in said
    assert "* No sound at all." in site.shown("releases/acme-1.1.mdwn")
    assert git("log", "-1", "--format=%s", "main", cwd=site.wiki) == "Correct the release notes of acme-1.1\n"
    assert site.shown("guides/upgrade.mdwn") == later["guides/upgrade.mdwn"]
    assert len(site.server.mails) == 2


def test_notes_and_every_server_say_that_a_release_is_withdrawn_also_one_that_has_other_files(site: Site) -> None:
    other = site.top / "other"
    shutil.copytree(site.state / "download", other, symlinks=True)
    with open(other / "public/acme-1.1/SHA256SUMS", "a", encoding="utf-8") as sums:
        sums.write("\n")
    site.others = {"there": {f"release_publish_{name}_dir": str(other / name) for name in ("public", "private")}}
    served = [site.state / "download/public", other / "public"]
    channels = [f"file://{public}" for public in served]
    said = site.done("withdraw", "1.1", "-e", "reason=It <eats> data.", release_publish_channels=channels)
    for words in (
        "the notes releases/acme-1.1.mdwn in the wiki, which say that it is withdrawn",
        "the post blog/acme-1.1-genivi.html: write there that the release is withdrawn",
        "the page index.mdwn, which was moved to this release: see what it names now",
        "there has other files of it than were released: find out why",
    ):
        assert words in " ".join(said.split())
    notice = (
        r"# [^\n]* 1\.1\n\n\*\*Withdrawn on [-0-9]{10}\*\* by acme release team: It &lt;eats> data\. Please [^\n]*\n\n"
    )
    for name in ("acme-1.1", "acme-1.1-genivi"):
        assert re.match(notice, site.shown(f"releases/{name}.mdwn"))
    for public in served:
        assert (public / "current").resolve().name == "acme-1.0"
        assert json.loads((public / "acme-1.1.withdrawn.json").read_text())["reason"] == "It <eats> data."
    assert "* No sound at all." in site.shown("releases/acme-1.1.mdwn")
    site.others = {}
    before = site.public()
    site.done("files", "1.1", "--tags", "notes")
    assert site.public()["wiki"] == before["wiki"]

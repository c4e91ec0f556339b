# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sections of a policy about what people read: notes, lists, and rules for pages."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.lists import MailingList, read_lists
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.notes import Blog, Notes, read_notes
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.rules import read_rules

RULE: dict[str, Any] = {
    "repository": "wiki.git",
    "paths": ["guides/**"],
    "replace": [{"from": "acme-{previous}", "to": "acme-{version}"}],
}


def test_what_is_right_is_read_and_what_is_missing_has_defaults() -> None:
    assert read_notes(None, "n") == ({}, [])
    assert read_notes({}, "n") == (Notes(), [])
    assert read_notes({"title": "{title} {version}", "required": ["known-issues"], "blog": {}}, "n") == (
        Notes(title="{title} {version}", required=("known-issues",), blog=Blog()),
        [],
    )
    assert read_lists(["a@b.c", {"to": "A <d@e.f>", "host": "mail", "port": "25", "tls": "none"}], "l") == (
        [MailingList("a@b.c"), MailingList("A <d@e.f>", host="mail", port=25, tls="none")],
        [],
    )
    rules, faults = read_rules({"pages": [RULE]}, "r")
    assert not faults
    assert rules.pages == ({**RULE, "branch": "main", "product": "", "except": [], "review": ["**"]},)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("x", "n: it is text, not a mapping"),
        ({"titel": "x"}, "n: the key 'titel' is not known (did you mean title?)"),
        ({"title": "a\nb"}, "n.title: it is 'a\\nb', not one line of text"),
        ({"title": "{verson}"}, "n.title: there is nothing to stand for {verson} (did you mean version?); known are"),
        ({"title": "{version"}, "n.title: '{version' has a brace without another one"),
        ({"title": "{title.__class__}"}, "n.title: there is nothing to stand for {title.__class__}"),
        ({"path": ".git/config"}, "n.path: '.git/config' is no path inside of a repository"),
        ({"path": "notes/"}, "n.path: 'notes/' is a directory; name the file"),
        ({"repository": "--upload-pack=x"}, "n.repository: '--upload-pack=x' is no address of a repository"),
        ({"branch": "a..b"}, "n.branch: 'a..b' is no name of a branch: it holds '..', which git refuses"),
        ({"url": "javascript:x"}, "n.url: 'javascript:x' is no address that begins with https:// or http://"),
        ({"path": "../x"}, "n.path: '../x' is no path inside of a repository"),
        ({"required": "known-issues"}, "n.required: it is 'known-issues', not a list of drafts"),
        ({"required": ["../x"]}, "n.required: it is ['../x'], not a list of drafts"),
        ({"blog": {"format": "htm"}}, "n.blog.format: 'htm' is none (did you mean html?); known are html, markdown"),
        ({"blog": {"url": "x"}}, "n.blog: the key 'url' is not known"),
    ],
)
def test_faults_of_notes_are_one_sentence_with_their_place(value: Any, fault: str) -> None:
    (found,) = read_notes(value, "n")[1]
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("a@b.c", "l: it is text, not a list of mailing lists"),
        ([{"subject": "x"}], "l[0].to: it is missing, not a mail address"),
        (["nobody"], "l[0].to: it is 'nobody', not a mail address"),
        ([{"to": "a@b.c\nBcc: d@e.f"}], "l[0].to: it is 'a@b.c\\nBcc: d@e.f', not a mail address"),
        ([{"to": "a@b.c", "subject": "x\nBcc: d@e.f"}], "l[0].subject: it is 'x\\nBcc: d@e.f', not one line of text"),
        ([{"to": "a@b.c", "sender": "x"}], "l[0].sender: 'x' is not a mail address"),
        (["a@b.c", {"to": "B <A@b.c>"}], "l[1].to: B <A@b.c> is there a second time"),
        ([{"to": "a@b.c", "host": "m", "tls": "ssl"}], "l[0].tls: 'ssl' is none"),
        ([{"to": "a@b.c", "host": "m", "port": 70000}], "l[0].port: 70000 is no port"),
        ([{"to": "a@b.c", "host": "m", "tls": False}], "l[0].tls: False is none; known are starttls, implicit, none"),
        ([{"to": "a@b.c", "host": "m x"}], "l[0].host: 'm x' is no name or address of a server"),
        ([{"to": "a@b.c", "port": 25}], "l[0].port: it is of a server, and there is no host"),
        ([{"to": "a@b.c", "password": "x"}], "l[0]: the key 'password' is not known"),
    ],
)
def test_faults_of_lists_are_one_sentence_with_their_place(value: Any, fault: str) -> None:
    (found,) = read_lists(value, "l")[1]
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"repository": None}, "r.pages[0].repository: it is missing"),
        ({"repository": "--upload-pack=x"}, "r.pages[0].repository: it is '--upload-pack=x'"),
        ({"paths": ["../**"]}, "r.pages[0].paths: '../**' is no path inside of a repository"),
        ({"branch": "a..b"}, "r.pages[0].branch: 'a..b' is no name of a branch"),
        ({"paths": []}, "r.pages[0].paths: no page is named in which that is replaced"),
        ({"pathes": []}, "r.pages[0]: the key 'pathes' is not known (did you mean paths?)"),
        ({"replace": [{"from": "x"}]}, "r.pages[0].replace[0]: it is not {from: a text, to: another}"),
        ({"replace": [{"from": "x", "to": "y"}]}, "r.pages[0].replace[0].from: 'x' does not name the release before"),
        (
            {"replace": [{"from": "{previous}", "to": "{new}"}]},
            "r.pages[0].replace[0].to: there is nothing to stand for",
        ),
    ],
)
def test_faults_of_rules_are_one_sentence_with_their_place(change: dict[str, Any], fault: str) -> None:
    (found,) = read_rules({"pages": [{**RULE, **change}]}, "r")[1]
    assert found.startswith(fault)

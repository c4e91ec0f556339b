"""What is told of the files of a release beside those of the release before."""

from __future__ import annotations

from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.changes import list_file_changes


def file(name: str, size: int | None, digest: str | None) -> dict[str, Any]:
    return {"name": name, "size": size, "sha256": digest}


BEFORE = [
    file("acme-1.0-same.raw", 5_000_000, "a"),
    file("acme-1.0-more.raw", 5_000_000, "b"),
    file("acme-1.0-patched.raw", 7_000_000, "c"),
    file("acme_1.0.efi", 3_000, "d"),
    file("acme-1.0-old.iso", 1, "e"),
    file("manifest.json", 1, "f"),
]
NOW = [
    file("acme-1.1-same.raw", 5_000_000, "a"),
    file("acme-1.1-more.raw", 6_500_000, "x"),
    file("acme-1.1-patched.raw", 7_000_000, "y"),
    file("acme_1.1.efi", 1_000, "z"),
    file("acme-1.1-new.iso", 2_000_000, "n"),
    file("manifest.json", 2, "m"),
]
PLAN = {"version": "1.1", "previous": {"version": "1.0", "label": "acme-1.0", "files": BEFORE}}


def test_each_file_that_differs_is_told_and_the_others_are_counted() -> None:
    assert list_file_changes(NOW, PLAN) == {
        "previous": "acme-1.0",
        "files": [
            {"name": "acme-1.1-more.raw", "text": "changed, and has 6.5 MB, 1.5 MB more"},
            {"name": "acme-1.1-new.iso", "text": "is new, 2.0 MB"},
            {"name": "acme-1.1-patched.raw", "text": "changed, and has 7.0 MB as before"},
            {"name": "acme_1.1.efi", "text": "changed, and has 1 kB, 2 kB less"},
            {"name": "acme-1.0-old.iso", "text": "has no successor"},
        ],
        "same": 1,
    }


def test_the_first_release_tells_no_changes() -> None:
    nothing: dict[str, Any] = {"previous": None, "files": [], "same": 0}
    assert list_file_changes(NOW, {"version": "1.1", "previous": None}) == nothing
    assert list_file_changes(NOW, {"version": "1.1"}) == nothing


def test_what_is_not_made_yet_is_told_without_sizes() -> None:
    unknown = [file("acme-1.1-more.raw", None, None), file("acme-1.1-new.raw", None, None)]
    told = {each["name"]: each["text"] for each in list_file_changes(unknown, PLAN)["files"]}
    assert told["acme-1.1-more.raw"] == "changed"
    assert told["acme-1.1-new.raw"] == "is new"

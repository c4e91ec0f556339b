"""What is published is read from its address, and what was made again is compared with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.reproduction import (
    compare_release,
    fetch_reference,
    require_same,
)

NAMES = {"manifest.json": "a" * 64, "acme-1.0-disk.img.gz": "b" * 64}
MANIFEST = {"commit": "c" * 40, "compression": {"level": 6}, "files": []}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    made = tmp_path / "with space" / "acme-1.0"
    made.mkdir(parents=True)
    (made / "SHA256SUMS").write_text("".join(f"{sha256}  {name}\n" for name, sha256 in NAMES.items()) + "no line\n")
    (made / "manifest.json").write_text(json.dumps(MANIFEST))
    return made


def test_a_release_is_read_with_its_inputs_if_they_are_published(release: Path) -> None:
    found = fetch_reference(f"file://{release}/")
    assert (found.sums, found.manifest, found.inputs) == (NAMES, MANIFEST, {})
    (release.parent / "acme-1.0.inputs.json").write_text('{"tools": {"bst": "2.7"}}')
    assert fetch_reference(f"file://{release}").inputs == {"tools": {"bst": "2.7"}}


def test_what_differs_is_named_with_the_inputs_that_do(release: Path) -> None:
    (release.parent / "acme-1.0.inputs.json").write_text('{"tools": {"bst": "2.7"}, "packing": {"level": 6}}')
    reference = fetch_reference(f"file://{release}")
    files = [{"name": name, "sha256": sha256} for name, sha256 in NAMES.items()]
    assert compare_release(reference, files, MANIFEST, {"tools": {"bst": "2.7"}, "packing": {"level": 6}}).same == (
        *sorted(NAMES),
    )
    files[1] = {"name": "other", "sha256": "b" * 64}
    changed = {**MANIFEST, "compression": {"level": 1}}
    compared = compare_release(reference, files, changed, {"tools": {"bst": "2.8"}, "packing": {"level": 1}})
    with pytest.raises(SlipwayError) as caught:
        require_same(reference, compared)
    assert caught.value.findings == [
        f"acme-1.0-disk.img.gz has sha256 nothing: it was not made and was published with {'b' * 64}",
        "other was made now, and is not published",
        "input: manifest.compression.level was 6, is 1",
        'input: tools.bst was "2.7", is "2.8"',
    ], "what both say is told once"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("manifest.json", None, "there is no manifest.json"),
        ("manifest.json", "[]", "it is no mapping"),
        ("SHA256SUMS", None, "its SHA256SUMS does not list manifest.json"),
        ("../acme-1.0.inputs.json", "{", "it is no JSON"),
    ],
)
def test_what_is_no_release_is_refused(release: Path, name: str, text: str | None, fault: str) -> None:
    (release / name).unlink(missing_ok=True)
    if text is not None:
        (release / name).write_text(text)
    with pytest.raises(SlipwayError, match=fault):
        fetch_reference(f"file://{release}")


@pytest.mark.parametrize("url", ["", "acme-1.0", "ftp://example.org/acme-1.0"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SlipwayError, match="these are not addresses"):
        fetch_reference(url)

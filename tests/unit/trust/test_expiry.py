# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of that which is published ends when, as somebody outside finds it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.dsse import LATEST, sign_envelope
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.expiry import list_ends_published
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.latest import Pointer, make_latest

NOW = int(time.time())
DAY = 86400


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel whose key ends in ten days, and whose latest.json is to be believed for twenty."""
    top = tmp_path_factory.mktemp("top")
    key = make_key(top / "keys", "Release <release@example.org>", expires=f"seconds={10 * DAY}")
    (top / "public").mkdir()
    (top / "public/release-key.asc").write_bytes(export_public_key(top / "keys", key))
    made = make_latest("x", None, Pointer("1.0", "x-1.0", "0" * 64), serial=1, now=NOW, believe_until=NOW + 20 * DAY)
    line = sign_envelope(made.format(), LATEST, gnupghome=top / "keys", fingerprint=key)
    (top / "public/latest.json").write_bytes(line)
    return top / "public"


def test_a_key_that_ends_before_what_it_signed_is_told_and_what_is_over_is_over(public: Path) -> None:
    found = list_ends_published([f"file://{public}"], now=NOW, warn_days=14)
    assert [end.state for end in found] == ["soon", "soon", "good"]
    told = [end.explain(NOW) for end in found]
    assert any("before latest.json, which it signed" in each for each in told)
    assert f"latest.json of file://{public} ends at" in told[2]
    late = list_ends_published([f"file://{public}"], now=NOW + 21 * DAY, warn_days=14)
    assert [end.state for end in late] == ["over", "over"]
    assert "ended at" in late[0].explain(NOW + 21 * DAY)
    assert late[0].as_dict(NOW + 21 * DAY)["days"] < 0


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("Suite: x\nValid-Until: Thu, 01 Jan 2026 00:00:00 UTC\n", "over"),
        ("Suite: x\n", "good"),
        ("Valid-Until: soon\n", "unreadable"),
        (None, "unreadable"),
    ],
)
def test_an_archive_is_believed_until_it_says(tmp_path: Path, said: str | None, state: str) -> None:
    if said is not None:
        (tmp_path / "InRelease").write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{said}")
    (end,) = list_ends_published([], [f"file://{tmp_path}"], now=NOW, warn_days=14)
    assert (end.what, end.state) == ("InRelease", state)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("latest.json", "[]"),
        ("keys.json", "\xff"),
        ("tuf/timestamp.json", json.dumps({"signed": {"expires": "never"}})),
        ("release-key.asc", "no key"),
    ],
)
def test_what_cannot_be_read_is_as_bad_as_what_is_over(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, encoding="latin-1")
    (end,) = list_ends_published([f"file://{tmp_path}"], now=NOW, warn_days=14)
    assert (end.what, end.state) == (name, "unreadable")
    assert end.fault

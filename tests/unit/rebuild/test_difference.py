# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild import difference
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.difference import ABSENT, Bounds, locate
from debs import make_deb


def test_one_changed_byte_is_told_with_its_place(tmp_path: Path) -> None:
    first = make_deb(tmp_path / "first", "tiny", "1.0", files={"usr/share/tiny/text": b"tiny\n"})
    second = make_deb(tmp_path / "second", "tiny", "1.0", files={"usr/share/tiny/text": b"tinx\n"})
    assert any("./usr/share/tiny/text: -tiny +tinx" in place for place in locate(first, second, Bounds()))


def test_diffoscope_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_deb(tmp_path / "first", "tiny", "1.0", files={"text": b"a\n"})
    second = make_deb(tmp_path / "second", "tiny", "1.0", files={"text": b"b\n"})
    assert locate(first, second, Bounds(report=10)) == ["diffoscope says more than 10 bytes about it"]
    (told,) = locate(first, second, Bounds(memory=1 << 20))
    assert told.startswith("diffoscope does not say where: ")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert locate(first, second, Bounds()) == [ABSENT]


@pytest.mark.parametrize("text", ["", "[]", '{"details": 3}', "[" * 100000, '{"details": [{"details": "x"}]}'])
def test_a_report_that_is_none_is_no_end(tmp_path: Path, text: str) -> None:
    report = tmp_path / "report.json"
    report.write_text(text)
    assert len(difference.read_report(report, 1 << 20)) == 1

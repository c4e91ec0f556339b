"""Manifests are public: what they say of repositories holds no account."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.manifest import (
    Component,
    Licences,
    format_baseline,
    format_licences,
    format_table,
)

CHUNK = Component("chunk", "tool", "tool", "https://robot:token@git.example.org/tool", "master", "0" * 40)
LICENCES = {"tool": Licences({"MIT": 1}, "MIT")}


def test_no_manifest_tells_the_account_of_a_repository() -> None:
    upstream = {"tool": "https://robot:token@example.org/tool.git"}
    made = [format_baseline([CHUNK]), format_licences([CHUNK], LICENCES)]
    assert all("https://git.example.org/tool" in text for text in made)
    tables = [format_table([CHUNK], LICENCES, known) for known in (upstream, {})]
    assert [table.strip().rpartition(",")[2] for table in tables] == [
        '"https://example.org/tool.git"',
        '"https://git.example.org/tool"',
    ]
    assert "token" not in "".join(made + tables)

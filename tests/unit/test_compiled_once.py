"""What makes Ansible quicker in tests changes nothing of what it does."""

from __future__ import annotations

import marshal
import runpy
from pathlib import Path

import jinja2
import pytest

PLUGIN = Path(__file__).parents[1] / "ansible_plugins/payloads_once.py"


def test_a_template_is_compiled_once_and_under_other_settings_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_once = runpy.run_path(str(PLUGIN))["compile_templates_once"]
    monkeypatch.setattr(jinja2.Environment, "compile", jinja2.Environment.compile)
    settings = {"optimized": False, "trim_blocks": True}
    plain = jinja2.Environment(**settings).compile("{{ name }} here")  # noqa: S701  # no HTML
    compile_once(tmp_path)

    def render(text: str, **more: bool) -> str:
        return jinja2.Environment(**{**settings, **more}).from_string(text).render(name="it")  # noqa: S701  # no HTML

    assert render("{{ name }} is") == "it is"
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(marshal.dumps(plain))
    assert render("{{ name }} is") == "it here", "what is kept is taken"
    assert render("{{ name }} is", trim_blocks=False) == "it is"
    assert len([*tmp_path.iterdir()]) == 2
    kept.write_bytes(b"half")
    assert render("{{ name }} is") == "it is"
    assert render("{{ 1 + 1 }}", optimized=True) == "2"
    assert len([*tmp_path.iterdir()]) == 2, "what may be folded is not kept"

"""What makes Ansible quicker in tests changes nothing of what it does."""

from __future__ import annotations

import marshal
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import jinja2
import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader

PLUGIN = Path(__file__).parents[1] / "ansible_plugins/payloads_once.py"
COMPILED_ONCE = Path(__file__).parents[1] / "compiled_once"
PACKED = """
from dataclasses import dataclass, field
@dataclass(frozen=True, order=True)
class Point:
    x: int
    y: list = field(default_factory=list)
points = Point(1), Point(2, [3])
try:
    points[0].x = 4
except AttributeError as error:
    fault = type(error).__name__
print(*points, points[0] < points[1], points[0] == Point(1), fault, __file__)
"""


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


def test_what_is_imported_out_of_a_zip_and_its_dataclasses_are_kept_and_stay_as_they_are(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    with zipfile.ZipFile(tmp_path / "sent.zip", "w") as sent:
        sent.writestr("points.py", PACKED)
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'sent.zip')!r}); import points"]

    def run(**variables: str) -> str:
        return subprocess.run(words, env=variables, check=True, capture_output=True, text=True).stdout

    plain = run()
    settings = {"PYTHONPATH": str(COMPILED_ONCE), "SLIPWAY_COMPILED_ONCE": str(kept)}
    assert plain.endswith("sent.zip/points.py\n")
    assert run(**settings) == plain
    (pack,) = kept.glob("*-dataclasses")
    assert len([*kept.iterdir()]) == 2
    texts = marshal.loads(pack.read_bytes())  # noqa: S302  # this test had it written
    assert any("__init__" in text for text in texts)
    assert run(**settings) == plain, "from what is kept"
    pack.write_bytes(marshal.dumps({text: marshal.dumps(compile("no", "", "exec")) for text in texts}))
    with pytest.raises(subprocess.CalledProcessError):
        run(**settings)
    pack.write_bytes(b"half")
    assert run(**settings) == plain
    kept.chmod(0o777)
    pack.write_bytes(marshal.dumps({text: marshal.dumps(compile("no", "", "exec")) for text in texts}))
    assert run(**settings) == plain, "what others could have written is not used"


def test_a_file_is_parsed_once_and_again_when_it_is_another_one(tmp_path: Path) -> None:
    parse_once = runpy.run_path(str(COMPILED_ONCE / "parsed_once.py"))["parse_once"]
    kept, file = tmp_path / "kept", tmp_path / "vars.yml"
    kept.mkdir()

    class Loader(DataLoader):  # type: ignore[misc]  # ansible-core has no types
        pass

    def load(**more: object) -> object:
        return Loader().load_from_file(str(file), **more)

    parse_once(Loader, kept, Path.write_bytes)
    file.write_text("numbers: [1, '{{ two }}']\n")
    loader = Loader()
    first, second = (loader.load_from_file(str(file)) for _again in range(2))
    assert first == second == DataLoader().load_from_file(str(file)) == {"numbers": [1, "{{ two }}"]}
    first["numbers"].append(3)
    assert loader.load_from_file(str(file)) == second, "each has a copy of its own"
    (parsed,) = kept.iterdir()
    content = parsed.read_bytes()
    file.write_text("numbers: []\n")
    assert load(cache="none") == {"numbers": []}
    assert len([*kept.iterdir()]) == 2
    file.write_text("numbers: [1, '{{ two }}']\n")
    parsed.write_bytes(content[:-9])
    assert load(cache="vaulted", unsafe=True) == second, "half a file is none"
    for fault in ("numbers: [\n", "$ANSIBLE_VAULT;1.1;AES256\n00\n"):
        file.write_text(fault)
        with pytest.raises(AnsibleError):
            load(cache="none")
    assert len([*kept.iterdir()]) == 2

"""What the documentation of each module says, its fragments included, is what the module does."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.utils.plugin_docs import add_fragments
from ansible_collections.slipway.release.plugins.module_utils.slipway.module import report

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = "ansible_collections.slipway.release.plugins"
MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
RUNTIME = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())


class Fragments:
    """Finds fragments as Ansible does, by their full name."""

    def get(self, name: str) -> object | None:
        try:
            module = importlib.import_module(f"{PLUGINS}.doc_fragments.{name.removeprefix('slipway.release.')}")
        except ModuleNotFoundError:
            return None
        texts = {key: text for key, text in vars(module.ModuleDocFragment).items() if key.isupper()}
        return SimpleNamespace(ansible_name=name, **texts)


def source(name: str) -> Path:
    return ROOT / "library" / f"{name}.py"


def texts_of(name: str) -> dict[str, Any]:
    return {
        node.targets[0].id: yaml.safe_load(node.value.value)
        for node in ast.parse(source(name).read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


def documentation(name: str) -> dict[str, Any]:
    found: dict[str, Any] = texts_of(name)["DOCUMENTATION"]
    add_fragments(found, str(source(name)), Fragments(), is_module=True)
    return found


class ArgumentsGivenError(Exception):
    """The module has told AnsibleModule what it takes."""


def specification(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {}

    def stop(**words: Any) -> None:
        given.update(words)
        raise ArgumentsGivenError

    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    for place in (module, report):
        monkeypatch.setattr(place, "AnsibleModule", stop, raising=False)
    with pytest.raises(ArgumentsGivenError):
        module.main()
    return given


def described(options: dict[str, Any], below: str) -> dict[str, Any]:
    """Of options that the documentation or a specification has, what both say in the same words."""
    return {
        name: {
            **{key: option.get(key) for key in ("type", "elements", "default", "choices")},
            "required": option.get("required", False),
            "options": described(option.get(below, {}), below),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_a_module_takes_what_it_documents(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = specification(name, monkeypatch)
    assert described(given["argument_spec"], "options") == described(documentation(name)["options"], "suboptions")
    assert given["supports_check_mode"] is True


@pytest.mark.parametrize("name", MODULES)
def test_a_module_documents_how_it_behaves(name: str) -> None:
    assert set(documentation(name)["attributes"]) == {"action_group", "check_mode", "diff_mode", "idempotent"}
    texts = texts_of(name)
    assert texts["DOCUMENTATION"]["module"] == name
    assert any(f"slipway.release.{name}" in task for task in texts["EXAMPLES"])
    assert texts["RETURN"]


def test_what_modules_with_progress_do_is_shown_and_the_others_need_no_process() -> None:
    special = {path.stem for path in (ROOT / "action_plugins").glob("*.py")}
    expected = {}
    for name in MODULES:
        if "progress" in documentation(name)["options"]:
            expected[name] = {"action_plugin": "slipway.release.live"}
        elif name not in special and "run_module(" in (ROOT / "library" / f"{name}.py").read_text():
            expected[name] = {"action_plugin": "slipway.release.in_process"}
    assert RUNTIME["plugin_routing"]["modules"] == expected


def test_modules_are_in_the_groups_that_they_document_and_all_are_in_one() -> None:
    groups = {
        f"slipway.release.{group}": [name for name in MODULES if f"slipway.release.{group}" in memberships(name)]
        for group in RUNTIME["action_groups"]
    }
    assert {f"slipway.release.{group}": names for group, names in RUNTIME["action_groups"].items()} == groups
    assert groups["slipway.release.all"] == MODULES


def memberships(name: str) -> list[str]:
    found: list[str] = documentation(name)["attributes"]["action_group"]["membership"]
    return found

"""The rules of the tree that no other tool knows: tests/check_tree.py [ROOT]. Each finding says what to do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

LOGIC = "module_utils/slipway"
LOGIC_NAME = ("ansible_collections", "slipway", "release", "plugins", "module_utils", "slipway")
MOST_FILES = 15
#: Which packages a package may import, besides the ground floor: the files beside the packages, which import none.
FLOORS: dict[str, set[str]] = {
    "release": set(),
    "bill": {"openpgp", "release"},
    "boot": set(),
    "deb": {"openpgp"},
    "difference": set(),
    "display": {"release"},
    "image": {"release"},
    "buildstream": set(),
    "module": set(),
    "openpgp": set(),
    "git": {"openpgp", "release"},
    "morph": {"release"},
    "policy": {"boot", "openpgp", "release"},
    "apt": {"deb", "openpgp", "release"},
    "binary": {"deb"},
    "stack": {"deb", "release"},
    "host": {"apt", "release"},
    "distro": {"apt", "deb", "git"},
    "distbuild": {"morph"},
    "plan": {"git", "image", "policy", "release"},
    "publish": {"openpgp", "policy", "release"},
    "trust": {"git", "openpgp", "plan", "publish", "release"},
    "trove": {"apt", "deb", "git"},
    "vcs": {"deb", "git", "release"},
    "jobs": {"stack"},
    "approval": {"git", "policy"},
    "cycle": {"git", "policy", "release"},
    "mason": {"buildstream", "git", "plan"},
    "extras": {"bill", "buildstream", "difference", "git", "image", "morph", "plan", "release"},
    "notes": {"bill", "git", "plan", "publish", "release"},
    "gates": {
        "bill",
        "boot",
        "buildstream",
        "cycle",
        "difference",
        "git",
        "image",
        "mason",
        "openpgp",
        "plan",
        "policy",
        "publish",
        "release",
        "trust",
    },
    "train": {"git", "notes", "plan", "policy", "publish", "release"},
    "mirror": {"publish", "release", "trust", "verify"},
    "vm": {"host", "image", "release"},
    "watch": {"deb", "distro", "git"},
    "undo": {"openpgp", "publish", "release"},
    "verify": {"apt", "openpgp", "publish", "release", "trust"},
    "views": {"openpgp", "publish"},
    "current": {"openpgp", "plan", "publish", "release", "trust", "views"},
    "channels": {"trust", "verify"},
    "farm": {"apt", "binary", "deb", "distro", "release"},
    "rebuild": {"apt", "binary", "deb", "farm", "release", "trust"},
}
#: How task names must not begin, and what says the same in words that engineers use.
WORDS = {
    "Have": "Ensure, Create, Install or Configure",
    "Let": "Start, Restart, Allow or Flush",
    "Say": "Write, Configure or Report",
    "See": "Query, Read or Verify",
}
TASKS = ("roles/*/tasks/**/*.yml", "roles/*/handlers/**/*.yml", "playbooks/**/*.yml", "molecule/**/*.yml")
PLAYS = ("*.yml", "examples/**/*.yml")
READ_BY_ANSIBLE = ("defaults", "handlers", "meta", "tasks", "templates", "vars")
ROLE_PARTS = (*READ_BY_ANSIBLE, "files")
#: Where a template has Ansible read another file.
LOOKS = re.compile(r"lookup|query|include|import|extends|_dir\b|_path\b")


@dataclass(frozen=True)
class Finding:
    """A rule that a file does not keep, and what to do about it."""

    path: Path
    line: int
    fault: str
    do: str

    def format(self, root: Path) -> str:
        """As compilers write it."""
        return f"{self.path.relative_to(root)}:{self.line}: {self.fault}. {self.do}."


def check_imports(root: Path) -> Iterator[Finding]:
    """Packages import downward only."""
    logic = root / LOGIC
    for path in sorted(logic.rglob("*.py")):
        importer = _find_package(logic, path.relative_to(logic).parts)
        allowed = FLOORS.get(importer, set()) if importer else set()
        for line, imported in _read_imports(logic, path):
            if imported in ("", importer) or imported in allowed:
                continue
            if importer and importer not in FLOORS:
                fault = f"the package {importer} has no floor"
                do = f"Write into FLOORS of tests/check_tree.py which packages {importer} may import"
            else:
                mine = f"the package {importer}" if importer else "a file of the ground floor"
                fault = f"{mine} imports the package {imported}, which is not below it"
                do = (
                    f"Move what both need to a package below, or give it as an argument ({_explain(importer, allowed)})"
                )
            yield Finding(path, line, fault, do)


def _explain(importer: str, allowed: set[str]) -> str:
    if not importer:
        return "the ground floor imports no package"
    return f"{importer} may import {', '.join([*sorted(allowed), 'the ground floor'])}"


def _find_package(logic: Path, parts: tuple[str, ...]) -> str:
    """The package that a path or a name below the logic is in; empty for the ground floor."""
    return parts[0] if parts and (logic / parts[0]).is_dir() else ""


def _read_imports(logic: Path, path: Path) -> Iterator[tuple[int, str]]:
    """The lines on which a file imports from the logic, and the package."""
    here = path.relative_to(logic).parts[:-1]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (*LOGIC_NAME, *here)[: len(LOGIC_NAME) + len(here) + 1 - node.level] if node.level else ()
            names = [(*base, *(node.module or "").split("."), alias.name) for alias in node.names]
        else:
            continue
        for name in names:
            whole = tuple(part for part in name if part)
            if whole[: len(LOGIC_NAME)] == LOGIC_NAME:
                yield node.lineno, _find_package(logic, whole[len(LOGIC_NAME) :])


def check_package_files(root: Path) -> Iterator[Finding]:
    """A package's own file holds a docstring: Ansible sends it with every module that needs one file of the package."""
    for path in sorted((root / LOGIC).rglob("__init__.py")):
        code = [node for node in ast.parse(path.read_bytes(), str(path)).body if not _is_text(node)]
        if code:
            do = "Move it to a file of the package and import it from there: Ansible sends this one with each module"
            yield Finding(path, code[0].lineno, "a package's __init__.py has code", do)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def check_ground_floor(root: Path) -> Iterator[Finding]:
    """Few files are beside the packages."""
    files = sorted((root / LOGIC).glob("*.py"))
    if len(files) > MOST_FILES:
        fault = f"{len(files)} files are beside the packages, at most {MOST_FILES} may be"
        yield Finding(root / LOGIC, 1, fault, "Move one to the package of its domain")


def check_task_names(root: Path) -> Iterator[Finding]:
    """Names of tasks and handlers begin with a verb that engineers use."""
    for path in _list_files(root, *TASKS, *PLAYS):
        for node in _walk_mappings(path):
            name = _read_values(node).get("name")
            word = name.value.split(" ")[0] if isinstance(name, yaml.ScalarNode) and name.value else ""
            if name is not None and word in WORDS:
                do = f"Begin with what is done, as {WORDS[word]}"
                yield Finding(path, name.start_mark.line + 1, f'the name "{name.value}" begins with {word}', do)


def check_role_paths(root: Path) -> Iterator[Finding]:
    """No file of a role is looked for in another role, or elsewhere in the tree."""
    roles = {path.name for path in (root / "roles").glob("*") if path.is_dir()}
    for path in _list_files(root, "roles/**/*"):
        role, *parts = path.relative_to(root / "roles").parts
        if path.is_symlink() and not path.resolve().is_relative_to((root / "roles" / role).resolve()):
            yield _make_reach_finding(path, 1, f"is a link to {path.readlink()}")
        elif parts[0] in READ_BY_ANSIBLE:
            others = "|".join(re.escape(name) for name in sorted(roles - {role}))
            reaches = re.compile(rf"\.\./|/\.\.|playbook_dir|\b(roles/)?({others})/({'|'.join(ROLE_PARTS)})/")
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                looks = parts[0] != "templates" or LOOKS.search(line)  # other lines are files of hosts
                if looks and (match := reaches.search(line)):
                    yield _make_reach_finding(path, number, f'has "{match[0]}"')


def _make_reach_finding(path: Path, line: int, what: str) -> Finding:
    do = "Move what several roles need to a role of its own with an interface (include_role), a plugin or a module"
    return Finding(path, line, f"it reaches out of its role: it {what}", do)


def check_defaults(root: Path) -> Iterator[Finding]:
    """Every default of a role is documented in its argument_specs."""
    for path in _list_files(root, "roles/*/defaults/main.yml"):
        specs = path.parents[1] / "meta/argument_specs.yml"
        text = yaml.safe_load(specs.read_text(encoding="utf-8")) if specs.exists() else {}
        entries = (text or {}).get("argument_specs") or {}
        known = {name for entry in entries.values() for name in (entry or {}).get("options") or {}}
        top = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        for key in (key for key, _ in top.value) if isinstance(top, yaml.MappingNode) else ():
            if key.value not in known:
                where = specs.relative_to(root)
                do = (
                    f"Add it to the options in {where} with its type, description and this default, or to vars/main.yml"
                )
                yield Finding(path, key.start_mark.line + 1, f"the default {key.value} is not documented", do)


def check_inventory_groups(root: Path) -> Iterator[Finding]:
    """Every inventory has each group that a playbook has plays for, if only empty: Ansible warns of others."""
    played = [str(play.get("hosts", "")) for path in _list_files(root, "playbooks/*.yml") for play in _read_list(path)]
    wanted = {word.lstrip("!&") for hosts in played if "{" not in hosts for word in re.split("[:,]", hosts)}
    for path in _list_files(root, "inventory/**/hosts.yml"):
        top = yaml.safe_load(path.read_text(encoding="utf-8"))["all"]
        for group in sorted(wanted - {"", "all", "localhost"} - {*(top.get("children") or {})}):
            do = f"Add it below children, as `{group}:` where it has no hosts"
            yield Finding(path, 1, f"the inventory lacks the group {group}, which a playbook has a play for", do)


def _read_list(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load(path.read_text(encoding="utf-8")) or [])


def _list_files(root: Path, *patterns: str) -> list[Path]:
    """What git knows, or would add, of these files; all of them where there is no git."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    listed = {name for name in done.stdout.split("\0") if name}
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file() or path.is_symlink()}
    if done.returncode == 0:
        found = {path for path in found if str(PurePosixPath(path.relative_to(root))) in listed}
    return sorted(found)


def _walk_mappings(path: Path) -> Iterator[yaml.MappingNode]:
    """Every mapping in a file of YAML that is an element of a list: plays, tasks, handlers."""
    try:
        waiting: list[yaml.Node] = list(yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return  # yamllint says what is wrong with it
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, yaml.SequenceNode):
            yield from (each for each in node.value if isinstance(each, yaml.MappingNode))
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]


def _read_values(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


RULES: tuple[Callable[[Path], Iterator[Finding]], ...] = (
    check_imports,
    check_package_files,
    check_ground_floor,
    check_task_names,
    check_role_paths,
    check_defaults,
    check_inventory_groups,
)


def main() -> int:
    """Print every finding."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    findings = [finding for rule in RULES for finding in rule(root)]
    for finding in findings:
        print(finding.format(root))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

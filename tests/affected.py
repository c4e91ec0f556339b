#!/usr/bin/env python3
"""What a change can affect: tests/affected.py [--files] [FILE...] prints unit tests, or the files that changed.

Without FILE: what differs from the branch main, is not committed, or is new. A test is affected if it, or what it
imports or names in a string, imports or names what changed, through any number of files. In doubt all are.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Where names of imports begin: pythonpath in pyproject.toml, and the links of collections/.
PLACES = ("", "tests/", "module_utils/", "roles/trove/files/")
LINKS = {
    "modules": "library",
    "module_utils": "module_utils",
    "plugin_utils": "plugin_utils",
    "callback": "callbacks",
} | {kind: f"{kind}_plugins" for kind in ("action", "filter", "lookup")}
COLLECTION = "ansible_collections.slipway.release.plugins."
#: What all tests stand on.
ALL = re.compile(r"pyproject\.toml|[\w-]*requirements[\w-]*\.txt|constraints\.txt|(tests/|tests/unit/)?conftest\.py")
#: Look at every file of the tree, or of its kind.
ALWAYS = ("tests/unit/test_house.py", "tests/unit/test_check_tree.py")
#: What no unit test reads, but for those that name it.
SILENT = re.compile(
    r"(docs|benchmarks|molecule|inventory|examples|playbooks|changelogs|tests/integration|\.config)/.*|.*\.(md|cfg|txt)"
    r"|Makefile|scripts/[\w-]+(\.py)?|tests/(run|lint|check|dist/check)|galaxy\.yml|meta/.*|\.\w+"
)


def list_changed() -> list[str]:
    """Files that differ from where this branch left main, or are new, or gone."""
    base = _run_git("merge-base", "HEAD", "main") or ["HEAD"]
    return sorted({*_run_git("diff", "--name-only", base[0]), *_run_git("ls-files", "--others", "--exclude-standard")})


def find_affected(files: Iterable[str], root: Path) -> list[str]:
    """The unit tests that these files can affect."""
    known = {str(path.relative_to(root)) for path in root.glob("tests/unit/**/test_*.py")}
    files = set(files)
    if any(ALL.fullmatch(name) for name in files):
        return ["tests/unit"]
    users: dict[str, set[str]] = {}
    for user in _list_sources(root):
        for used in find_uses(root, user):
            users.setdefault(used, set()).add(user)
    found: set[str] = set()
    for name in files:
        reached = _find_users(users, name)
        if not reached & known and not SILENT.fullmatch(name):
            return ["tests/unit"]
        found |= reached & known
    return sorted(found | {name for name in ALWAYS if name in known}) if files else []


def _find_users(users: dict[str, set[str]], name: str) -> set[str]:
    """The file, and all that use it or a directory above it."""
    reached: set[str] = set()
    waiting = [name, *(f"{parent}/" for parent in Path(name).parents if str(parent) != ".")]
    while waiting:
        if (one := waiting.pop()) not in reached:
            reached.add(one)
            waiting += users.get(one, ())
    return reached


def find_uses(root: Path, user: str) -> Iterator[str]:
    """Files, and directories with a slash behind them, that a file of Python imports or names in a string."""
    tree = ast.parse((root / user).read_bytes(), user)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _find_module_files(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            here = Path(user).parent.parts
            start = ".".join(here[: len(here) + 1 - node.level]) + "." if node.level else ""
            for alias in node.names:
                yield from _find_module_files(root, f"{start}{node.module or ''}.{alias.name}".replace("..", "."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and user.startswith("tests/"):
            yield from _find_named(root, node.value)


def _find_module_files(root: Path, name: str) -> Iterator[str]:
    """The files of a module, of the packages on the way to it, or of what it has this name from."""
    if name.startswith(COLLECTION):
        kind, _, rest = name.removeprefix(COLLECTION).partition(".")
        name = f"{LINKS.get(kind, kind)}.{rest}"
    parts = [part for part in name.split(".") if part]
    for place in PLACES:
        for length in range(1, len(parts) + 1):
            path = place + "/".join(parts[:length])
            yield from (file for file in (f"{path}.py", f"{path}/__init__.py") if (root / file).is_file())


def _find_named(root: Path, text: str) -> Iterator[str]:
    """What a string of a test names: a path of the tree, a module or a program, or what a child process imports."""
    name = text.strip("/")
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name):
        if (root / name).is_file():
            yield name
        elif (root / name).is_dir():
            yield f"{name}/"
        for pattern in (
            f"library/{name}.py",
            f"roles/*/files/{name}",
            f"roles/*/files/{name}.py",
            f"scripts/{name}.py",
            f"tests/{name}.py",
        ):
            yield from (str(path.relative_to(root)) for path in root.glob(pattern))
    for match in re.finditer(r"slipway((?:\.\w+)+)(?: import (\w+(?:, \w+)*))?", text):
        for last in (match[2] or "").split(", "):
            yield from _find_module_files(
                root, f"module_utils.slipway{match[1].partition('.slipway')[2] or match[1]}.{last}"
            )


def _list_sources(root: Path) -> list[str]:
    places = ("tests", "scripts", "library", "module_utils", "roles", "benchmarks", *LINKS.values())
    return sorted({str(path.relative_to(root)) for top in places for path in (root / top).rglob("*.py")})


def _run_git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def main() -> None:
    """Print one a line."""
    words = sys.argv[1:]
    files = [word for word in words if word != "--files"] or list_changed()
    print("\n".join(files if "--files" in words else find_affected(files, ROOT)))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Write the table of variables in every role's README from its argument_specs; with --check only compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

BEGIN, END = "<!-- variables -->", "<!-- end of variables -->"
ROOT = Path(__file__).resolve().parent.parent


def render_table(role: Path) -> str:
    """The variables of each entry point as Markdown."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    parts = []
    for entry, spec in specs.items():
        title = "## Variables" if entry == "main" else f"## Variables of `tasks_from: {entry}`"
        rows = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
        for name, option in (spec.get("options") or {}).items():
            cells = [
                f"`{name}`",
                option.get("type", "str"),
                format_default(option),
                format_prose(option["description"]),
            ]
            rows.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join([title, "", *rows]))
    return "\n\n".join(parts)


def format_default(option: dict[str, Any]) -> str:
    """What the default column says."""
    if option.get("required"):
        return "required"
    return f"`{json.dumps(option['default'])}`".replace("|", "\\|") if "default" in option else ""


def format_prose(description: str | list[str]) -> str:
    """A description on one line, with Ansible's markup turned into Markdown."""
    text = " ".join(description if isinstance(description, list) else [description])
    text = " ".join(text.split()).replace("|", "\\|")
    for mark in "CVOIB":
        while (start := text.find(f"{mark}(")) >= 0 and ")" in text[start:]:
            end = text.index(")", start)
            text = f"{text[:start]}`{text[start + 2 : end]}`{text[end + 1 :]}"
    return text


def render_readme(role: Path) -> str:
    """The README with its table as it should be; a missing one is begun from the role's own description."""
    path = role / "README.md"
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]
    if path.exists():
        text = path.read_text(encoding="utf-8")
    else:
        description = spec["description"] if isinstance(spec["description"], list) else [spec["description"]]
        text = f"# {role.name}\n\n{spec['short_description']}.\n\n" + "\n".join(map(format_prose, description)) + "\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{render_table(role)}\n{END}{tail}"


def main() -> int:
    """Write or compare every README; the exit status says whether all were right."""
    stale = []
    for specs in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        role = specs.parent.parent
        path, text = role / "README.md", render_readme(role)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print("Run scripts/role_readmes.py; these are not as their argument_specs say:", *stale, sep="\n  ")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Of a kernel's modules those that are wanted, with what they need, and the lists by which they are loaded."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import refuse

#: A module's path below the tree: the kernel's directory, the path in that, the name.
MODULE = re.compile(r"(?P<home>(?:usr/)?lib/modules/[^/]+)/(?P<path>(?:.+/)?(?P<name>[^/]+)\.ko)(?P<packed>\.xz)?\Z")
FACT = re.compile(rb"(?:\A|\0)(alias|depends|softdep)=([^\0]*)")
BUILTIN = "modules.builtin"


@dataclass(frozen=True)
class Module:
    """One module: its plain content, the names of those that it cannot do without, and what it answers to."""

    home: str
    path: str
    content: bytes
    needs: tuple[str, ...]
    before: tuple[str, ...]
    aliases: tuple[str, ...]


def read_module(path: str, content: bytes) -> tuple[str, Module] | None:
    """A module and its name, from its path in a tree and the content there; ``None`` for another file."""
    match = MODULE.match(path)
    if match is None:
        return None
    plain = lzma.decompress(content) if match["packed"] else content
    facts: dict[bytes, list[str]] = {}
    for key, value in FACT.findall(plain):
        facts.setdefault(key, []).append(value.decode("ascii", "replace"))
    needs = tuple(_plain(each) for value in facts.get(b"depends", []) for each in value.split(",") if each)
    before = tuple(
        word
        for value in facts.get(b"softdep", [])
        if value.startswith("pre:")
        for word in value.removeprefix("pre:").partition("post:")[0].split()
    )
    return _plain(match["name"]), Module(
        match["home"], match["path"], plain, needs, before, tuple(facts.get(b"alias", []))
    )


def choose_modules(
    modules: Mapping[str, Module], wanted: Sequence[str], *, builtin: Mapping[str, str], where: str
) -> dict[str, bytes]:
    """The files of the ``wanted`` modules and of all that they need, by path, with the lists for modprobe.

    ``modules`` are all that there are, ``builtin`` the texts of the kernels' own lists of what needs no module, by
    directory. What is neither is refused by name.
    """
    inside = {_plain(line.rsplit("/", 1)[-1].removesuffix(".ko")) for text in builtin.values() for line in text.split()}
    unknown = sorted({name for name in map(_plain, wanted) if name not in modules and name not in inside})
    refuse(
        "choose modules of the kernel in",
        where,
        [f"{name} is no module of it, and not a part of it either" for name in unknown],
        do_next="Correct the list of modules of this base.",
    )
    providers: dict[str, list[str]] = {}
    for name, module in modules.items():
        for alias in module.aliases:
            providers.setdefault(alias, []).append(name)
    chosen: dict[str, Module] = {}
    todo = [name for name in map(_plain, wanted) if name in modules]
    while todo:
        name = todo.pop()
        if name in chosen:
            continue
        module = chosen[name] = modules[name]
        todo += [each for each in module.needs if each in modules]
        for each in module.before:
            todo += [_plain(each)] if _plain(each) in modules else providers.get(each, [])
    return _format_files(chosen)


def _format_files(chosen: Mapping[str, Module]) -> dict[str, bytes]:
    files = {f"{module.home}/{module.path}": module.content for module in chosen.values()}
    for home in {module.home for module in chosen.values()}:
        ours = {name: module for name, module in sorted(chosen.items()) if module.home == home}
        before = {name: " ".join(module.before) for name, module in ours.items() if module.before}
        lists = {
            "modules.dep": (_format_needs(module, ours) for module in ours.values()),
            "modules.alias": (f"alias {alias} {name}" for name, one in ours.items() for alias in one.aliases),
            "modules.softdep": (f"softdep {name} pre: {names}" for name, names in before.items()),
        }
        files |= {f"{home}/{name}": _format_lines(lines) for name, lines in lists.items()}
    return files


def _format_needs(module: Module, modules: Mapping[str, Module]) -> str:
    """A line of modules.dep: what is loaded first stands last."""
    order: list[str] = []

    def visit(one: Module) -> None:
        for name in one.needs:
            if name in modules and modules[name].path not in order:
                visit(modules[name])
                order.append(modules[name].path)

    visit(module)
    return " ".join([f"{module.path}:", *reversed(order)])


def _format_lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _plain(name: str) -> str:
    """Hyphens and underscores are the same in a module's name."""
    return name.replace("-", "_")

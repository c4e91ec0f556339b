# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of the excuses: what is blocked, why, what helps, and the command, for somebody who sees them first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..escape import escape_line
from .excuses_facts import Cause, Facts, Place

#: What each code, category and state means. Codes stand in the order in which they are told.
LEGEND: dict[str, dict[str, str]] = {
    "codes": {
        "no-version": "The distro file names the stack without a version, so it is not to be released yet.",
        "held": "Somebody held the stack back by its name.",
        "source-failed": "The source package could not be made, or was refused.",
        "build-failed": "The last build ended with an error.",
        "cycle": "Stacks need each other in a circle, so that none of them can be built first.",
        "dependency-unreleased": "Something that the stack needs is not there.",
        "uninstallable": "The package is there, but it cannot be installed.",
        "excluded-ended": "The stack was allowed to be missing until a day that is over.",
        "outdated": "The archive has another version than the distro file asks for.",
        "missing": "The package is there for another architecture of the platform, and not for this one.",
        "not-built": "The package is there for no architecture of the platform.",
        "excluded": "The stack is allowed to be missing. It holds up no release.",
    },
    "categories": {
        "primary": "Missing for a reason of its own: begin here.",
        "dep": "Missing because of a stack that it needs: it follows when that one is there.",
        "excluded": "Missing, and allowed to be.",
        "excluded-dep": "Missing because of stacks that are allowed to be missing: exclude it too, or build those.",
    },
    "states": {
        "released": "The fixed archive, which people install from, has this version.",
        "built": "The shadow archive has this version, and the next release takes it from there.",
        "building": "It is being built right now.",
        "blocked": "Something has to be done first; the word behind it says what.",
        "excluded": "It is allowed to be missing there.",
        "unreleased": "It has no version in the distro file, so it is not to be released yet.",
    },
    "coverage": {
        "current": "The shadow archive has the version that the distro file asks for.",
        "old": "The shadow archive has another version, and nothing else holds up the new one.",
        "missing": "The shadow archive has no version, and nothing else holds it up.",
        "blocked": "It is old or missing, and waits for others, which are named.",
        "excluded": "It is allowed to be missing there.",
        "regressed": "Its last build failed, and an earlier version is in an archive.",
    },
}
#: What is said of a stack that another one needs, by its first code.
WHICH = {
    "no-version": "has no version yet",
    "held": "is held back",
    "source-failed": "has no source package",
    "build-failed": "could not be built",
    "uninstallable": "cannot be installed",
    "cycle": "needs others in a circle",
    "dependency-unreleased": "lacks something that it needs",
    "excluded-ended": "is still missing",
    "outdated": "is there in another version",
    "missing": "is missing",
    "not-built": "is not built yet",
    "excluded": "is excluded",
    "unknown": "the distro file does not name",
}
#: Where a person puts the version.
VERSION = "X.Y.Z"
#: Texts from outside are as long as this at most.
MOST_TEXT = 400
MOST_NAMED = 3

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.:@~-]*", re.ASCII)
Words = tuple[str, str, str]


def explain_cause(facts: Facts, stack: str, cause: Cause, places: Sequence[Place]) -> dict[str, Any]:
    """What is blocked, why, and what helps, each a sentence or two; the command, and the logs."""
    where = "Everywhere" if len(places) == len(facts.places) > 1 else join_places(places)
    version = facts.stacks[stack].version
    subject = escape_line(f"{stack} {version}" if version else stack)
    what, why, helps = _EXPLAIN[cause.code](subject, cause)
    command = choose_command(facts, stack, cause)
    if command is None and _find_helped(stack, cause) is not None:
        helps += " No command is shown, because the name has characters that a shell or Ansible would read otherwise."
    logs = describe_logs(facts, stack, places) if cause.code == "build-failed" else []
    words = {"what": what if cause.code == "no-version" else f"{where}: {what}", "why": why, "helps": helps}
    text = " ".join([*words.values(), *([command] if command else [])])
    return {**words, "command": command, "text": text, "logs": logs}


def describe_logs(facts: Facts, stack: str, places: Sequence[Place]) -> list[dict[str, Any]]:
    """Where the logs of a stack's last builds are, their addresses if a browser may open them, and when they ended."""
    builds = [(place, facts.builds[stack, place]) for place in places]
    return [
        {
            "place": place.name,
            "log": cut_text(build.log) or None,
            "link": build.link or None,
            "at": build.at or None,
        }
        for place, build in builds
        if build.log or build.at
    ]


def choose_command(facts: Facts, stack: str, cause: Cause) -> str | None:
    """The command that helps with a cause; for a stack that waits, the one for a stack to begin with."""
    helped = _find_helped(stack, cause)
    if helped is None:
        return None
    name, code = helped
    template = facts.commands.release if code == "no-version" else facts.commands.build
    return fill_command(template, distribution=facts.distribution, stack=name, version=VERSION)


def _find_helped(stack: str, cause: Cause) -> tuple[str, str] | None:
    """The stack that a command helps, and its code, if any does; rather one that nobody has to let go first."""
    if cause.code in _NO_COMMAND or cause.state in {"running", "unsupported"} or _is_unknown(cause):
        return None
    able = [root for root in cause.roots if root[1] not in _NO_COMMAND] if cause.roots else [(stack, cause.code)]
    return next((root for root in able if root[1] != "held"), able[0] if able else None)


def _is_unknown(cause: Cause) -> bool:
    return bool(cause.needs) and not cause.roots


def fill_command(template: str, **values: str) -> str | None:
    """The command for a shell, or None if a value is no plain word: Ansible expands what quotes keep from the shell."""
    if not all(_PLAIN.fullmatch(value) for value in values.values()):
        return None
    return re.sub(r"\{(\w+)\}", lambda match: shlex.quote(values.get(match[1], match[0])), template)


def find_address(log: str) -> str | None:
    """The address of a log that a browser may open; a path, or what would be run there, is none."""
    try:
        parts = urlsplit(log)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    is_plain = log.isascii() and log.isprintable() and not re.search(r"[\s<>\"'\\^`{|}]", log)
    return log if is_address and is_plain and "@" not in parts.netloc else None


def join_places(places: Sequence[Place]) -> str:
    """``bookworm (amd64 and i386)``."""
    platforms: dict[str, list[str]] = {}
    for place in places:
        platforms.setdefault(escape_line(place.platform), []).append(escape_line(place.architecture))
    return join_words([f"{platform} ({join_words(names)})" for platform, names in platforms.items()])


def join_words(words: Sequence[str], *, more: int = 0) -> str:
    """``a, b and c``; ``more`` of them are only counted."""
    several = [*words, *([f"{more} more"] if more else [])]
    return " and ".join(filter(None, (", ".join(several[:-1]), several[-1] if several else "")))


def cut_text(text: str) -> str:
    """One line from outside, not longer than a reader bears."""
    line = escape_line(text)
    return line if len(line) <= MOST_TEXT else f"{line[:MOST_TEXT]}…"


def quote_reason(reason: str, *, nobody: str) -> str:
    """What somebody gave as the reason."""
    text = cut_text(reason)
    return f"The reason that was given: {end_sentence(text)}" if text else nobody


def end_sentence(text: str) -> str:
    """With a mark at its end."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _explain_no_version(subject: str, _cause: Cause) -> Words:
    return (
        f"{subject} has no version in the distro file.",
        "Nothing is made of a stack without a version.",
        f"Release a version of it; write that in the place of {VERSION}.",
    )


def _explain_held(subject: str, cause: Cause) -> Words:
    return (
        f"{subject} is missing, and is held back by its name.",
        quote_reason(cause.reason, nobody="Nobody gave a reason."),
        "When the reason is gone, take the stack off the list of what is held, and build it.",
    )


def _explain_source(subject: str, cause: Cause) -> Words:
    reason = quote_reason(cause.reason, nobody="No reason was given.")
    if cause.state == "unsupported":
        helps = "Say in the rosdep data which packages it needs there, or exclude the stack for this platform."
        return f"{subject} is not made for this platform.", reason, helps
    what = "was refused" if cause.state == "refused" else "could not be made"
    return (
        f"the source package of {subject} {what}.",
        reason,
        "Correct what the reason names, and make the source package again.",
    )


def _explain_build(subject: str, cause: Cause) -> Words:
    said = end_sentence(cut_text(cause.reason)) if cause.reason else ""
    return (
        f"the build of {subject} failed.",
        f"The last attempt ended with an error{': ' + said if said else '.'}",
        "Read the end of the log, which names the error. Correct it in a new version of the stack; if the stack was "
        "not at fault, build it again.",
    )


def _explain_uninstallable(subject: str, cause: Cause) -> Words:
    return (
        f"{subject} is built, but cannot be installed.",
        f"The solver says: {end_sentence(cut_text(cause.reason))}",
        "Release what it needs, or correct its dependencies, and build it again.",
    )


def _explain_cycle(subject: str, cause: Cause) -> Words:
    names = [escape_line(name) for name, _code in cause.needs]
    return (
        f"{subject} is in a circle of stacks that need each other.",
        f"Of {join_words(names[:10], more=len(names[10:]))} none can be built before the others.",
        "Take one of these dependencies out of a stack that can do without it.",
    )


def _explain_dependency(subject: str, cause: Cause) -> Words:
    if not cause.needs:
        return (
            f"{subject} cannot be built.",
            f"The plan says: {end_sentence(cut_text(cause.reason) or 'something that it needs is not there')}",
            "Provide what is missing there, and build it.",
        )
    if _is_unknown(cause):
        names = [escape_line(name) for name, _code in cause.needs]
        return (
            f"{subject} needs stacks that nobody released.",
            f"The distro file does not name {join_words(names[:10], more=len(names[10:]))}.",
            "Add them to the distro file, or correct the dependencies of the stack.",
        )
    what = (
        "is built, but cannot be used without stacks that it needs" if cause.there else "waits for stacks that it needs"
    )
    count = len(cause.roots) + cause.more_roots
    return (
        f"{subject} {what}.",
        f"It needs {_name_needs(cause.needs)}.",
        f"Begin with {_name_roots(cause)}; this one follows when {'it is' if count == 1 else 'they are'} there.",
    )


def _name_needs(needs: Sequence[tuple[str, str]]) -> str:
    words = [f"{escape_line(name)}, which {WHICH[code]}" for name, code in needs[:MOST_NAMED]]
    more = len(needs[MOST_NAMED:])
    return "; ".join(words) + (f"; and {more} more" if more else "")


def _name_roots(cause: Cause) -> str:
    names = [escape_line(name) for name, _code in cause.roots[:MOST_NAMED]]
    return join_words(names, more=len(cause.roots[MOST_NAMED:]) + cause.more_roots)


def _explain_ended(subject: str, cause: Cause) -> Words:
    reason = quote_reason(cause.reason, nobody="Nobody gave a reason for it.")
    if cause.there:
        why = f"It was allowed to be missing until {cause.until}. {reason}"
        return f"{subject} is there.", why, "Delete its line in debs_excludes."
    return (
        f"{subject} was allowed to be missing until {cause.until}, and still is.",
        reason,
        "Build it, or give its line in debs_excludes another day.",
    )


def _explain_excluded(subject: str, cause: Cause) -> Words:
    end = f"until the end of {cause.until}" if cause.until else "without an end"
    there = "It is there by now, so its line in debs_excludes can go."
    missing = f"Nothing has to be done{' until then' if cause.until else ''}: releases are made without it."
    return (
        f"{subject} is excluded {end}.",
        quote_reason(cause.reason, nobody="Nobody gave a reason."),
        there if cause.there else missing,
    )


def _explain_plain(subject: str, cause: Cause) -> Words:
    what = {
        "outdated": f"{subject} is missing; {escape_line(cause.there)} is there instead.",
        "missing": f"{subject} is missing.",
        "not-built": f"{subject} is not built.",
    }[cause.code]
    when = f" on {cause.at}" if cause.at else ""
    if cause.state == "running":
        return what, f"Its build began{when}." if when else "It is being built.", "Wait for the end of the build."
    if cause.state == "ok":
        why = f"Its last build ended well{when}, but the shadow archive does not have what it made."
        return what, why, "Look at what the archive said when it got the package, or build it again."
    why = {
        "outdated": "The distro file asks for another version than was built.",
        "missing": "It was built for another architecture of the platform only.",
        "not-built": "No build of it is known there.",
    }[cause.code]
    if cause.wave is not None:
        why += f" The next run builds it, in wave {cause.wave}."
    return what, why, "Build it."


_EXPLAIN: dict[str, Callable[[str, Cause], Words]] = {
    "no-version": _explain_no_version,
    "held": _explain_held,
    "source-failed": _explain_source,
    "build-failed": _explain_build,
    "uninstallable": _explain_uninstallable,
    "cycle": _explain_cycle,
    "dependency-unreleased": _explain_dependency,
    "excluded-ended": _explain_ended,
    "outdated": _explain_plain,
    "missing": _explain_plain,
    "not-built": _explain_plain,
    "excluded": _explain_excluded,
}
#: Where editing a file helps, and no command does.
_NO_COMMAND = frozenset({"cycle", "excluded"})

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Trove's artifact cache: names of build artifacts, and morph-cache-server's API 1.0."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO
from urllib.parse import quote, urlencode

from ..errors import SlipwayError, count_of, refuse
from ..http import Service
from ..process import run

#: ``<cache key>.<kind>.<artifact>``, for strata also with ``.meta``, and per source ``.meta`` and ``.build-log``.
NAME = re.compile(r"[0-9a-f]{64}\.(?:(?:chunk|stratum|system)\.[A-Za-z0-9][A-Za-z0-9._+~:@-]*|meta|build-log)\Z")
#: What a cache may lack: nothing is built from it.
OPTIONAL = re.compile(r"[0-9a-f]{64}\.(?:meta|build-log)\Z")
SYSTEM = re.compile(r"[0-9a-f]{64}\.system\.")
SHA1 = re.compile(r"[0-9a-f]{40}\Z")
BATCH = 1024
#: How many lengths are asked for at a time.
JOBS = 16
LIST_ARTIFACTS = "list-artifacts"
FORMS = (["--repo={repo}", "--ref={ref}"], ["{repo}", "{ref}"])
#: How a program ends that does not know an option.
USAGE = 2
UNKNOWN_OPTION = re.compile(r"no such option|unrecogni[sz]ed (?:option|argument)|unknown option", re.IGNORECASE)


class MorphCache:
    """The cache server at ``url``, such as ``http://trove.example.org:8080``."""

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        self._service = Service(url)
        self._timeout = timeout
        self.url = self._service.url

    def find_present(self, names: Iterable[str]) -> dict[str, bool]:
        """For each name, whether the cache has it; queried in batches of 1024.

        An answer that leaves out a name is a failure: taking that as "has it" would lose the artifact.
        """
        found: dict[str, bool] = {}
        for batch in _split_batches(sorted(set(names))):
            found.update(self._ask_present(batch))
        return found

    def size(self, name: str) -> int | None:
        """The length of an artifact in bytes; ``None`` if it is absent."""
        return self._service.fetch_size(_artifact_path(name), attempt=f"look for {name} in", timeout=self._timeout)

    def fetch_sizes(self, names: Iterable[str], *, jobs: int = JOBS) -> dict[str, int | None]:
        """For each name the length of what the cache has, ``None`` if it has none or does not say how long it is.

        A file that is empty or was cut off has its name, too.
        """
        present = self.find_present(names)
        there = [name for name, has in present.items() if has]
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            return {**dict.fromkeys(present), **dict(zip(there, pool.map(self.size, there), strict=True))}

    def fetch(self, name: str, target: IO[bytes], *, timeout: float) -> int | None:
        """Write an artifact to ``target`` and return its length; ``None`` if it is absent."""
        return self._service.download(_artifact_path(name), target, attempt=f"fetch {name} from", timeout=timeout)

    def resolve_ref(self, repo: str, ref: str) -> str | None:
        """The object that a ref of a mirrored repository names (of an annotated tag, the tag); ``None`` if unknown."""
        attempt = f"read {ref} of {repo} from"
        path = f"/1.0/sha1s?{urlencode({'repo': repo, 'ref': ref})}"
        answer = self._service.ask("GET", path, attempt=attempt, timeout=self._timeout)
        if answer.status == 404:
            return None
        value = str(self._service.parse_object(attempt, answer).get("sha1"))
        if not SHA1.match(value):
            raise self._service.answer_error(attempt, answer)
        return value

    def _ask_present(self, batch: Sequence[str]) -> dict[str, bool]:
        attempt = f"ask for {count_of(len(batch), 'artifact')} of"
        answer = self._service.ask(
            "POST",
            "/1.0/artifacts",
            attempt=attempt,
            body=json.dumps(list(batch)).encode(),
            content_type="application/json",
            timeout=self._timeout,
        )
        reply = self._service.parse_object(attempt, answer)
        unanswered = [name for name in batch if not isinstance(reply.get(name), bool)]
        refuse(
            attempt,
            self.url,
            unanswered[:20],
            summary=f"the answer does not mention {len(unanswered)} of them",
            do_next="See the cache server's log and run again.",
        )
        return {name: reply[name] for name in batch}


def list_artifacts(
    command: Sequence[str],
    *,
    repo: str,
    ref: str,
    systems: Sequence[str],
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = 1800.0,
) -> list[str]:
    """The artifacts that systems are made of, by a command such as ``morph list-artifacts``.

    ``{repo}`` and ``{ref}`` in its words are replaced; the word ``{systems}`` is replaced by all systems,
    ``{system}`` by one, and then the command is run for each. Without any of the two, the systems are added
    at the end. The command writes one name a line.

    Since July 2016 ``morph list-artifacts`` takes repository and ref as options, before that as words. It is asked with
    the options first: an older one refuses them and does nothing, but a newer one pushes to the definitions' origin
    before it refuses the words.
    """
    if not any(word in ("{system}", "{systems}") for word in command):
        command = [*command, "{systems}"]
    each = [[system] for system in systems] if "{system}" in command else [list(systems)]
    forms = _list_forms(command)
    names: set[str] = set()
    for some in each:
        attempt, on = "list the artifacts of", ", ".join(some)
        output = None
        while output is None:
            argv = _fill_words(forms[0], repo=repo, ref=ref, systems=some)
            output = _try_form(argv, last=len(forms) == 1, attempt=attempt, on=on, cwd=cwd, timeout=timeout)
            forms = forms if output is not None else forms[1:]
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        check_names(lines, attempt=attempt, on=on)
        if not lines:
            raise SlipwayError(attempt, on, f"{command[0]} named none", do_next="Run it by hand and see what it says.")
        names.update(lines)
    return sorted(names)


def _list_forms(command: Sequence[str]) -> list[list[str]]:
    """The command with options for repository and ref, and then with words, if it is Morph's; else as it is."""
    words = list(command)
    for at in range(1, len(words) - 1):
        if LIST_ARTIFACTS in words[:at] and words[at : at + 2] in FORMS:
            return [[*words[:at], *form, *words[at + 2 :]] for form in FORMS]
    return [words]


def _fill_words(command: Sequence[str], *, repo: str, ref: str, systems: Sequence[str]) -> list[str]:
    filled: list[str] = []
    for word in command:
        filled += systems if word in ("{system}", "{systems}") else [word.replace("{repo}", repo).replace("{ref}", ref)]
    return filled


def _try_form(
    argv: Sequence[str], *, last: bool, attempt: str, on: str, cwd: str | os.PathLike[str] | None, timeout: float
) -> str | None:
    """What the command writes; ``None`` if it does not know its options, and this is not the last form of it."""
    try:
        done = run(argv, attempt=attempt, on=on, cwd=cwd, timeout=timeout, ok_codes=(0,) if last else (0, USAGE))
    except SlipwayError as error:
        if last or not UNKNOWN_OPTION.search(error.came_back):
            raise
        return None
    return done.stdout if done.returncode == 0 else None


def check_names(names: Iterable[str], *, attempt: str, on: str) -> None:
    """Fail if anything among ``names`` is not a name of an artifact."""
    unexpected = [name for name in names if not NAME.match(name)]
    refuse(
        attempt,
        on,
        [repr(name)[:200] for name in unexpected[:20]],
        summary=f"{count_of(len(unexpected), 'line')} without the name of an artifact",
        do_next="Make the command write names only (for morph: --quiet), one a line, and run again.",
    )


def is_optional(name: str) -> bool:
    """Whether a cache may lack this: a source's metadata or a build log."""
    return OPTIONAL.match(name) is not None


def is_system(name: str) -> bool:
    """Whether this is a whole system."""
    return SYSTEM.match(name) is not None


def _artifact_path(name: str) -> str:
    return f"/1.0/artifacts?filename={quote(name, safe='')}"


def _split_batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]

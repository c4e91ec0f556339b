# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where packages come from: lines as in sources.list, and the package lists behind them.

The word ``machine`` in the place of an address stands for the mirror from which this machine's own apt takes the
suite, as in ``deb machine bookworm main``: a site that has a mirror of its own need not name it twice.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import SlipwayError, count_of
from ..files import write_atomic
from ..locks import hold_flock
from ..process import run
from .generations import remove_temporaries

#: Settings of this machine that are ours too (proxies, certificates), and those of them that are not.
MACHINE_SETTINGS, DROPPED_SETTINGS = (
    "Acquire::",
    ("Acquire::IndexTargets", "Acquire::Languages", "Acquire::GzipIndexes"),
)
#: A line whose address is this machine's own.
MACHINE = re.compile(r"(?P<before>deb(?:-src)?\s+(?:\[[^]]*\]\s+)?)machine(?P<after>\s+(?P<suite>\S+).*)")
#: Where the list of a suite is, as apt says before it fetches it.
RELEASE = re.compile(r"'(?P<url>[^']+?)/+dists/(?P<suite>[^']+)/InRelease' ")
#: An address that stands for a file with a list of mirrors, as Debian's images for clouds have it.
LISTED = re.compile(r"mirror\+file:/*(?P<path>/.+)")

#: How many packages one call of apt is given.
FETCHED_AT_ONCE = 500


def read_own_suite() -> str:
    """The suite of the Debian that this machine runs, such as ``trixie``."""
    attempt, on = "find out the suite of", "this machine"
    do_next = "Name the suite in the settings."
    try:
        suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError as error:
        raise SlipwayError(attempt, on, f"it has no os-release: {error}", do_next=do_next) from error
    if not suite:
        raise SlipwayError(attempt, on, "its os-release has no VERSION_CODENAME", do_next=do_next)
    return suite


def name_sources(sources: Sequence[str], suite: str, *, kind: str = "deb") -> list[str]:
    """``sources``; without any, the suite from the machine's own mirror."""
    return list(sources) or [f"{kind} machine {suite} main"]


def resolve_mirrors(sources: Sequence[str]) -> list[str]:
    """The lines with the address of this machine's mirror where they say ``machine``.

    A suite that this machine's apt takes from nowhere is looked for where it takes Debian from, since mirrors have all
    of Debian's releases. Of several mirrors of one suite, that whose list says that it is Debian's is taken, else the
    first.
    """
    return [_resolve_mirror(line) for line in sources]


def _resolve_mirror(line: str) -> str:
    match = MACHINE.fullmatch(line.strip())
    if match is None:
        return line
    output = run(
        ["apt-get", "update", "--print-uris"], attempt="ask for the mirrors of", on="this machine's apt"
    ).stdout
    all_urls = [found["url"] for found in RELEASE.finditer(output)]
    urls = [found["url"] for found in RELEASE.finditer(output) if found["suite"] == match["suite"]]
    if not urls:
        urls = [url for url in all_urls if url in _find_debian_mirrors()]
    if not urls:
        raise SlipwayError(
            f"find a mirror of {match['suite']} for",
            line,
            "no source of this machine's apt has that suite, and none is Debian's",
            do_next="Write the mirror's address in the place of the word machine, or add the suite to apt's sources.",
        )
    if len(urls) > 1:
        urls = [url for url in urls if url in _find_debian_mirrors()] or urls
    return f"{match['before']}{_choose_listed(urls[0])}{match['after']}"


def _choose_listed(url: str) -> str:
    """The first mirror of the file that ``url`` stands for, which no chroot has; or ``url`` itself."""
    match = LISTED.fullmatch(url)
    if match is None:
        return url
    try:
        lines = Path(match["path"]).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SlipwayError(
            "read the mirrors in", match["path"], str(error), do_next="Correct apt's sources."
        ) from error
    mirrors = [line.split()[0].rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    if not mirrors:
        raise SlipwayError(
            "find a mirror in", match["path"], "it names none", do_next="Add one, or correct apt's sources."
        )
    return mirrors[0]


def _find_debian_mirrors() -> set[str]:
    output = run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"],
        attempt="ask for the mirrors of",
        on="this machine's apt",
    ).stdout
    words = (line.partition(" ") for line in output.splitlines())
    return {url.rstrip("/") for origin, _space, url in words if origin == "Debian"}


def fetch_package_lists(
    sources: Sequence[str], architectures: Sequence[str], *, directory: Path, timeout: float = 600.0
) -> dict[str, list[Path]]:
    """The ``Packages`` files of ``sources`` (lines of sources.list) for each architecture, as they are now.

    ``directory`` keeps them, so that only what is new is fetched. Sources without any list for an architecture are
    a failure.
    """
    sources = resolve_mirrors(sources)
    on = f"{count_of(len(sources), 'source')} for {', '.join(architectures)}"
    with hold_flock(directory / "lock", attempt="fetch the package lists of", on=on, timeout=timeout):
        remove_temporaries(directory)
        for name in ("lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        write_atomic(directory / "status", b"")
        write_atomic(directory / "sources.list", "".join(f"{source}\n" for source in sources).encode())
        write_atomic(directory / "apt.conf", _format_configuration(directory, architectures).encode())
        env = {"APT_CONFIG": str(directory / "apt.conf")}
        run(
            ["apt-get", "update", "-q"],
            attempt="fetch the package lists of",
            on=on,
            do_next="Check whether the mirror answers and its key is installed, and run again.",
            env=env,
            timeout=timeout,
        )
        listed = run(
            ["apt-get", "indextargets", "--format", "$(ARCHITECTURE) $(FILENAME)", "Created-By: Packages"],
            attempt="find the package lists of",
            on=on,
            env=env,
        )
    found: dict[str, list[Path]] = {architecture: [] for architecture in architectures}
    for line in listed.stdout.splitlines():
        architecture, _space, path = line.partition(" ")
        if architecture in found and Path(path).is_file():
            found[architecture].append(Path(path))
    for architecture, paths in found.items():
        if not paths:
            raise SlipwayError(
                "find the package lists of",
                on,
                f"there is none for {architecture}",
                do_next="Correct the platform's base sources or its architectures and run again.",
            )
    return found


def name_download(name: str, version: str, architecture: str) -> str:
    """What apt calls the file of a package that it fetches."""
    return f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"


def fetch_debs(names: Sequence[str], *, directory: Path, target: Path, timeout: float = 3600.0) -> None:
    """Fetch packages, by the names that :func:`name_download` gives them, into ``target``; nothing else is left there.

    ``directory`` is that of :func:`fetch_package_lists`; apt compares what it gets with the digests in these lists.
    """
    on = f"{count_of(len(names), 'package')} into {target}"
    with hold_flock(directory / "lock", attempt="fetch", on=on, timeout=timeout):
        target.mkdir(parents=True, exist_ok=True)
        for path in target.iterdir():
            if path.name not in names:
                path.unlink()
        words = [_name_choice(*name.removesuffix(".deb").split("_")) for name in names]
        for start in range(0, len(words), FETCHED_AT_ONCE):
            run(
                ["apt-get", "download", "-q", *words[start : start + FETCHED_AT_ONCE]],
                attempt="fetch",
                on=on,
                do_next="Check whether the mirror answers, and run again.",
                env={"APT_CONFIG": str(directory / "apt.conf")},
                cwd=target,
                timeout=timeout,
            )


def _name_choice(name: str, version: str, architecture: str) -> str:
    """How apt is asked for a package in a version."""
    package = name if architecture == "all" else f"{name}:{architecture}"
    return f"{package}={version.replace('%3a', ':')}"


def _format_configuration(directory: Path, architectures: Sequence[str]) -> str:
    dumped = run(["apt-config", "dump", "Acquire"], attempt="read the settings of", on="apt").stdout
    ours = [
        line
        for line in dumped.splitlines()
        if line.startswith(MACHINE_SETTINGS) and not line.startswith(DROPPED_SETTINGS)
    ]
    quoted = " ".join(f'"{architecture}";' for architecture in architectures)
    settings = {
        "APT::Architecture": architectures[0],
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "false",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": str(directory / "sources.list"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": str(directory),
        "Dir::State::lists": str(directory / "lists"),
        "Dir::State::status": str(directory / "status"),
        "Dir::Cache": str(directory / "cache"),
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    lines = [f'{name} "{value}";' for name, value in settings.items()]
    return "\n".join([*ours, f"APT::Architectures {{ {quoted} }};", *lines, ""])

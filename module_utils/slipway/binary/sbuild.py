# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""sbuild: how it is called, and what its log says of the end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path

from ..deb.architectures import ALL
from ..deb.control import Control, decode_control
from ..files import open_regular
from .job import Exactly, Job

#: Nothing of the person's or the host's settings counts; where chroots are unpacked is the job's own directory.
#: From 0.87 on sbuild would make a chroot of its own, from Debian's mirrors, instead of one that is older than a week.
#: Before, it has no such setting, and its settings are strict.
SETTINGS = """\
{{ no strict 'vars'; no warnings 'once'; $unshare_mmdebstrap_auto_create = 0; }}
$chroot_mode = 'unshare';
$unshare_tmpdir_template = '{scratch}/chroot.XXXXXXXX';
$log_colour = 0;
$mailto = undef;
$run_lintian = 0;
$run_piuparts = 0;
$run_autopkgtest = 0;
$clean_source = 0;
$stalled_pkg_timeout = 0;
$build_environment = {{ {environment} }};
1;
"""
#: Who rebuilds if nobody is named.
NOBODY = "Nobody <nobody@localhost>"
#: The stages of sbuild in which what it needs is fetched, which a mirror that changes meanwhile may have caused.
FETCHING = ("install-deps", "update", "apt-update", "fetch-src", "install-core")
#: Where packages are built in the chroot, always the same, since some programs write it into what they make.
BUILD_PATH = "/build/reproducible-path"
#: The last bytes of a log, which have its summary.
TAIL = 1 << 16
#: A line in which a program says what is wrong, in the order of what they are worth.
CAUSES = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^(?:The following packages have unmet dependencies:\n(?:.*\n)?.*(?:Depends|Conflicts).*)$",
        r"^\S+:[0-9]+(?::[0-9]+)?: (?:fatal )?error: .+$",
        r"^make(?:\[\d+\])?: \*\*\* .+$",
        r"^(?:dpkg-(?!buildpackage)\S+|dh\S*): error: .+$",
        # What sbuild itself says at the end, or newer versions of an older apt, is no cause.
        r"^E: (?!Package build dependencies not|Build failure |Invalid operation distclean|cleaning ).+$",
        r"^<VirtSubproc>: failure: .+$",
        r"^autopkgtest \[[0-9:]+\]: ERROR: .+$",
    )
)
#: What says that a build cannot be done as it was: versions that no archive has any more.
GONE = "Versions that are not to be had any more: "
#: Versions that have gone from where they were are fetched from snapshots of archives, whose dates are over.
APT_SETTINGS = 'APT::Get::allow-downgrades "true";\nAcquire::Check-Valid-Until "false";\n'
#: Where they are in the chroot.
APT_FILES = {
    "exactly.pref": "/etc/apt/preferences.d/slipway",
    "exactly.conf": "/etc/apt/apt.conf.d/99slipway",
    "exactly.list": "/etc/slipway-exactly",
}
#: Run in the chroot when the packages could not be installed: apt names all that it does not know in that version.
FIND_GONE = "apt-get -qq --simulate --allow-downgrades install $(cat /etc/slipway-exactly) || true"
_GONE = re.compile(r"^E: (?:Version '(\S+)' for '(\S+)' was not found|Unable to locate package (\S+))$", re.MULTILINE)
_STATUS = re.compile(r"^(Status|Fail-Stage|Build-Time|Package-Time): *(\S+)$", re.MULTILINE)


def make_command(job: Job, chroot: Path, source: Path, *, keys: list[Path], native: bool) -> list[str]:
    """The words of the command; ``keys`` are files with the keys of the job's repositories.

    What :func:`make_exact_files` makes is in the directory above that of ``source``.
    """
    words = ["sbuild", "--chroot-mode=unshare", f"--chroot={chroot}", f"--dist={job.platform}", "--no-source"]
    words += ["--verbose", "--apt-update", "--no-apt-upgrade"]
    words += make_exact_words(job.exactly, source.parents[1]) if job.exactly else ["--no-apt-distupgrade"]
    words += [f"--build-path={(job.exactly.path if job.exactly else '') or BUILD_PATH}"]
    words += [f"--arch={job.chroot}"] if native else [f"--build={job.chroot}", f"--host={job.architecture}"]
    words += ["--arch-any" if "any" in job.parts else "--no-arch-any"]
    words += ["--arch-all" if ALL in job.parts else "--no-arch-all"]
    words += [f"--profiles={','.join(job.profiles)}"] if job.profiles else []
    words += [f"--binNMU-changelog={make_entry(job)}"] if job.rebuild else []
    for repository, key in zip(job.repositories, keys, strict=True):
        words += [f"--extra-repository=deb {repository.line}", f"--extra-repository-key={key}"]
    return [*words, str(source)]


def make_exact_words(exactly: Exactly, directory: Path) -> list[str]:
    """What has sbuild install the very versions of a build before, from files that :func:`make_exact_files` makes."""
    words = ["--apt-distupgrade", "--bd-uninstallable-explainer=none", "--log-external-command-output"]
    words.append(f"--build-deps-failed-commands={FIND_GONE}")
    for name, inside in APT_FILES.items():
        source = shlex.quote(str(directory / name))
        words.append(f"--pre-build-commands=%SBUILD_CHROOT_EXEC sh -c 'cat > {inside}' < {source}")
    pairs = [one.split("=", 1) for one in exactly.packages]
    return [
        *words,
        *([f"--add-depends={', '.join(f'{name} (= {version})' for name, version in pairs)}"] * bool(pairs)),
    ]


def make_exact_files(exactly: Exactly) -> dict[str, str]:
    """The texts of the files by which apt takes the very versions of a build before, by their names."""
    pairs = [one.split("=", 1) for one in exactly.packages]
    pins = [f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n" for name, version in pairs]
    return {
        "exactly.pref": "\n".join(pins),
        "exactly.conf": APT_SETTINGS,
        "exactly.list": "".join(f"{one}\n" for one in exactly.packages),
    }


def find_gone(log: Path, exactly: Exactly) -> list[str]:
    """The packages of a build before that no archive had in their versions, by the end of a log."""
    found = _GONE.findall(read_tail(log))
    unknown = {name.partition(":")[0] for _version, _name, name in found if name}
    versions = {(name.partition(":")[0], version) for version, name, _unknown in found if name}
    pairs = {one: (one.partition("=")[0].partition(":")[0], one.partition("=")[2]) for one in exactly.packages}
    return [one for one, pair in pairs.items() if pair[0] in unknown or pair in versions]


def make_entry(job: Job) -> str:
    """The entry of the changelog that makes a build a binary rebuild.

    sbuild would write the same, but not for packages for all architectures.
    """
    if job.exactly is not None and job.exactly.entry:
        return job.exactly.entry
    date = formatdate(job.epoch)
    return (
        f"{job.source} ({job.version}+b{job.rebuild}) {job.platform}; urgency=low, binary-only=yes\n\n"
        f"  * Rebuild for {job.platform}.\n\n"
        f" -- {job.maintainer or NOBODY}  {date}"
    )


def make_settings(scratch: Path, environment: Mapping[str, str] | None = None) -> str:
    """The text of its settings file; the name of ``scratch`` is of letters that Perl takes as they are."""
    if re.search(r"['\\\n]", str(scratch)):
        raise ValueError(f"the directory {scratch} has a name that sbuild does not take")
    quoted = {name: re.sub(r"(['\\\\])", r"\\\1", value) for name, value in (environment or {}).items()}
    pairs = ", ".join(f"'{name}' => '{value}'" for name, value in sorted(quoted.items()))
    return SETTINGS.format(scratch=scratch, environment=pairs)


def read_end(log: Path) -> dict[str, str]:
    """What the summary at the end of a log says, by the names of its fields."""
    return dict(_STATUS.findall(read_tail(log)))


def read_tail(log: Path) -> str:
    """The end of a log."""
    with open(open_regular(log), "rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - TAIL))
        return stream.read().decode("utf-8", "replace")


def find_cause(log: Path) -> str:
    """The line that says why a build failed, as far as one does."""
    tail = read_tail(log)
    found = (cause.search(tail) for cause in CAUSES)
    return " ".join(next((match[0] for match in found if match), "").split())[:300]


def find_products(directory: Path, job: Job) -> list[Path]:
    """The packages and the .buildinfo that sbuild left; ``ValueError`` if they are not those of the job."""
    changes = [path for path in directory.glob("*.changes") if path.is_file() and not path.is_symlink()]
    if len(changes) != 1:
        raise ValueError(f"sbuild left {len(changes)} .changes files instead of one")
    control = Control(decode_control(changes[0].read_bytes()))
    wanted = {"Source": job.source}
    said = {name: (control.get(name) or "").split(" ")[0] for name in wanted}
    if said != wanted:
        raise ValueError(f"what was built is of the source {said['Source']} instead of {job.source}")
    names = re.findall(r"^ ?[0-9a-f]{64} [0-9]+ (\S+)$", control.get("Checksums-Sha256") or "", re.MULTILINE)
    products = [directory / name for name in names if name.endswith((".deb", ".buildinfo", ".ddeb", ".udeb"))]
    if missing := [path.name for path in products if "/" in path.name or not path.is_file() or path.is_symlink()]:
        raise ValueError(f"{missing[0]} is not there")
    if not any(path.suffix == ".deb" for path in products):
        raise ValueError("it made no package for this architecture")
    return sorted(products)

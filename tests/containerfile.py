"""The image of a Containerfile as a plain tree, where no engine is: a stage is a directory, a RUN a systemd-nspawn.

What ansible-builder writes is understood, and nothing else: an instruction that is not known fails.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import resolve_mirrors

#: How servers are reached is this machine's affair, for as long as something runs.
REACH = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")
REACHES = re.compile(r"PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|PROXY|DEFAULT_TIMEOUT)|(?i:https?|no)_proxy")
#: What has no meaning in a tree.
IGNORED = ("LABEL", "EXPOSE")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Image:
    """A tree, and how something is started in it."""

    tree: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "root"
    directory: str = "/"
    entrypoint: tuple[str, ...] = ()

    def start(
        self, words: Sequence[str], *, binds: Sequence[str] = (), timeout: float = 3600
    ) -> subprocess.CompletedProcess[str]:
        """Run words in the tree as an engine would, with this machine's network."""
        nameless = self.user.isdecimal()
        # An engine names nobody.
        account = ["env", "--unset=USER", "--unset=LOGNAME"]
        account += ["setpriv", f"--reuid={self.user}", "--regid=0", "--clear-groups"] if nameless else []
        reach = {name: value for name, value in os.environ.items() if REACHES.fullmatch(name)}
        environment = {**reach, "HOME": "/" if nameless else "/root", **self.environment}
        nspawn = [
            *("systemd-nspawn", "--quiet", f"--directory={self.tree}", "--register=no", "--keep-unit", "--as-pid2"),
            *("--pipe", "--timezone=off", "--resolv-conf=off", f"--chdir={self.directory}"),
            *(f"--bind-ro={path}" for path in REACH if Path(path).exists()),
            *(f"--bind={bind}" for bind in binds),
            *(f"--setenv={name}={value}" for name, value in environment.items()),
        ]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        # What one RUN leaves in /tmp the next one finds.
        kept = {**os.environ, "SYSTEMD_NSPAWN_TMPFS_TMP": "0"}
        words = [*nspawn, *account, *words]
        return subprocess.run(words, check=False, timeout=timeout, env=kept, **output)  # type: ignore[call-overload,no-any-return]


@dataclass
class Build:
    """One run: ``bases`` make a tree of the name of an image that is built upon."""

    context: Path
    top: Path
    bases: Callable[[str, Path], None]
    stages: dict[str, Image] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    name: str = ""

    def run(self, text: str) -> Image:
        for line in re.sub(r"\\\n", " ", text).splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            keyword, _space, rest = line.strip().partition(" ")
            if keyword in IGNORED:
                continue
            handle = getattr(self, f"do_{keyword.lower()}", None)
            if handle is None:
                raise NotImplementedError(line)
            handle(rest.strip())
        return self.image

    @property
    def image(self) -> Image:
        return self.stages[self.name]

    def change(self, **values: object) -> None:
        self.stages[self.name] = replace(self.image, **values)  # type: ignore[arg-type]

    def expand(self, text: str) -> str:
        known = {**self.arguments, **self.image.environment} if self.name else self.defaults
        return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), text)

    def do_arg(self, rest: str) -> None:
        name, separator, value = rest.partition("=")
        if not self.name:
            self.defaults[name] = shlex.split(value)[0] if value.strip('"') else ""
        else:
            self.arguments[name] = value if separator else self.defaults.get(name, "")

    def do_from(self, rest: str) -> None:
        self.name = ""
        source, _as, name = self.expand(rest).split()
        tree = self.top / name
        if source in self.stages:
            subprocess.run(["cp", "-a", "--reflink=auto", self.stages[source].tree, tree], check=True)
            self.stages[name] = replace(self.stages[source], tree=tree)
        else:
            self.bases(source, tree)
            self.stages[name] = Image(tree)
        self.name, self.arguments = name, {}

    def do_env(self, rest: str) -> None:
        pairs = dict(word.split("=", 1) for word in shlex.split(self.expand(rest)))
        self.change(environment={**self.image.environment, **pairs})

    def do_user(self, rest: str) -> None:
        self.change(user=rest)

    def do_workdir(self, rest: str) -> None:
        (self.image.tree / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.change(directory=rest)

    def do_entrypoint(self, rest: str) -> None:
        self.change(entrypoint=tuple(json.loads(rest)))

    def do_cmd(self, _rest: str) -> None:
        """Only what is asked for is started."""

    def do_copy(self, rest: str) -> None:
        words = shlex.split(rest)
        origin = self.context
        if words[0].startswith("--from="):
            origin = self.stages[words.pop(0).removeprefix("--from=")].tree
        source, target = origin / words[0].lstrip("/"), self.image.tree / words[1].lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def do_run(self, rest: str) -> None:
        image = replace(self.image, environment={**self.arguments, **self.image.environment})
        done = image.start(["/bin/sh", "-c", rest])
        with (self.top / "log").open("a") as log:
            log.write(f"[{self.name}] RUN {rest}\n{done.stdout}\n")
        if done.returncode:
            raise AssertionError(f"[{self.name}] RUN {rest} ended with {done.returncode}:\n{done.stdout[-4000:]}")


def make_debian(name: str, tree: Path) -> None:
    """The tree of ``docker.io/library/debian:N``: essential packages and apt, from the machine's own mirror."""
    suite = {"12": "bookworm", "13": "trixie"}[name.rpartition(":")[2]]
    lines = resolve_mirrors([f"deb machine {suite} main"])
    words = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=ca-certificates", suite, tree]
    subprocess.run([*words, *lines], check=True)
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    (tree / "etc/resolv.conf").touch()

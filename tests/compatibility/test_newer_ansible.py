"""Versions of Ansible that need a newer Python than this machine's: on a Debian 13 of the lab. `make test-ansible`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from exports import export
from labs import Lab, lab

ROOT = Path(__file__).resolve().parents[2]
#: The newest of each series that meta/runtime.yml allows and this machine's Python does not run.
VERSIONS = ("2.20.10", "2.21.5")
TOOLS = ("ansible-runner", "hypothesis", "pytest", "pytest-xdist")
#: Where the host has the working tree: as on a user's machine, other accounts may look into it.
ENVIRONMENTS = "/opt"
TREE = f"{ENVIRONMENTS}/tests/slipway"
#: A release is made, verified by other tools, and made again.
RELEASE = "passes_sha256sum or signature_verifies or again_changes_nothing"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can run hosts on this machine")


def packages() -> list[str]:
    lists = [(ROOT / f"debian-packages{kind}.txt").read_text() for kind in ("", "-debs", "-test")]
    return sorted({name for line in "\n".join(lists).splitlines() if (name := line.partition("#")[0].strip())})


def fetch_wheels(pure: Path, directory: Path) -> None:
    """What the host's Python needs; ``pure`` has the wheels of any Python that no registry has."""
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    others = directory / "constraints.txt"
    others.write_text("\n".join(line for line in constraints if not line.startswith("ansible-core==")))
    for version in VERSIONS:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"),
                *("--python-version", "3.13", "--only-binary=:all:", "--find-links", pure, "--dest", directory),
                *("-c", others, "-r", ROOT / "requirements.txt", f"ansible-core=={version}", *TOOLS),
            ],
            check=True,
        )


class Debian13:
    """The host, which shares the directories with the working tree and the wheels with this machine."""

    def __init__(self, made: Lab, top: Path) -> None:
        self.lab, self.tree, self.wheels = made, top / "tree", top / "wheels"

    def run(self, script: str) -> str:
        """What a shell in ``TREE`` says."""
        script = f"set -e; mkdir -p {TREE}; cd {TREE}; {script}"
        words = ["ssh", "-F", self.lab.directory / "ssh/config", "debian13", script]
        done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-20_000:]
        return done.stdout


@pytest.fixture(scope="module")
def debian13(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian13]:
    top = tmp_path_factory.mktemp("newer")
    export(top / "tree")
    (top / "wheels").mkdir()
    binds = ["/dev/fuse", str(top / "tree"), str(top / "wheels")]
    with lab(top, {"newer": {"debian13": {"lab_number": 10, "lab_suite": "trixie", "lab_binds": binds}}}) as made:
        host = Debian13(made, top)
        fetch_wheels(made.directory / "www/wheels", host.wheels)
        host.run(f"cp -a {host.tree}/. .")
        # Base systems and package lists of the tests are Debian 12's: its mirror must be known, as on a site's machine.
        host.run(
            "sed s/trixie/bookworm/ /etc/apt/sources.list > /etc/apt/sources.list.d/bookworm.list; apt-get update -qq;"
            f" DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends {' '.join(packages())} 2>&1"
        )
        yield host


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest, debian13: Debian13) -> str:
    """A Python environment with this version of Ansible, at the front of PATH of what follows."""
    wheels = f"--no-index --find-links {debian13.wheels} -c {debian13.wheels}/constraints.txt"
    wanted = f"ansible-core=={request.param} -r requirements.txt {' '.join(TOOLS)}"
    debian13.run(
        f"python3 -m venv {ENVIRONMENTS}/{request.param};"
        f" {ENVIRONMENTS}/{request.param}/bin/pip --disable-pip-version-check --quiet install {wheels} {wanted}"
    )
    said = debian13.run(f"{ENVIRONMENTS}/{request.param}/bin/ansible --version")
    assert f"core {request.param}]" in said
    return str(request.param)


def test_the_collection_says_that_it_runs_on_these_versions() -> None:
    text = (ROOT / "meta/runtime.yml").read_text()
    series = [int(version.split(".")[1]) for version in VERSIONS]
    assert re.search(r'requires_ansible: ">=2\.19\.0,<2\.(\d+)"', text)[1] == str(max(series) + 1)


def test_the_unit_tests_pass(debian13: Debian13, version: str) -> None:
    said = debian13.run(f"PATH={ENVIRONMENTS}/{version}/bin:$PATH pytest -q -n 2 tests/unit")
    assert " passed" in said


def test_a_local_release_is_made(debian13: Debian13, version: str) -> None:
    base = f"{ENVIRONMENTS}/release-{version}"
    test = f"pytest -q -n 0 --basetemp {base} tests/integration/test_release.py -k '{RELEASE}'"
    said = debian13.run(f"PATH={ENVIRONMENTS}/{version}/bin:$PATH {test}")
    assert "4 passed" in said
    warned = debian13.run(f"grep -rhA4 --include=stdout -E '^\\[(DEPRECATION )?WARNING' {base} || true")
    assert warned == ""

"""`make` does its work whatever its caller's surroundings are: with the real make, pip and Ansible."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from exports import export
from wheels import write_wheel

STAMPS = ("packages", "release", "debs", "lab", "test")
#: What decides where something is installed, or which programs and settings are used.
HOSTILE = {
    "PIP_USER": "1", "PIP_TARGET": "/nonexistent", "PIP_PREFIX": "/nonexistent", "PIP_REQUIRE_HASHES": "1",
    "PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent", "PYTHONUSERBASE": "/nonexistent", "VIRTUAL_ENV": "/usr",
    "ANSIBLE_CONFIG": "/nonexistent", "ANSIBLE_INVENTORY": "/etc/hosts", "ANSIBLE_STRATEGY": "debug",
    "ANSIBLE_COLLECTIONS_PATH": "/nonexistent", "ANSIBLE_LIBRARY": "/nonexistent",
    "ANSIBLE_CALLBACKS_ENABLED": "no_such", "ANSIBLE_MODULE_UTILS": "/nonexistent",
    "LC_ALL": "xx_XX.UTF-8", "LANG": "de_AT", "LANGUAGE": "de", "LC_MESSAGES": "de_AT.UTF-8",
    "BASH_ENV": "/nonexistent", "CDPATH": "/:/tmp", "GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/nonexistent",
    "BASH_FUNC_ansible-playbook%%": "() { echo mine; }", "PYTEST_ADDOPTS": "--nonexistent", "MAKEFILES": "/nonexistent",
}  # fmt: skip
#: How something is reached, secrets, and what is the caller's taste.
KEPT = {
    "PIP_INDEX_URL": "https://pypi.example.org/", "PIP_PROXY": "http://proxy:3128", "PIP_CERT": "/etc/ssl/cert.pem",
    "https_proxy": "http://proxy:3128", "SSH_AUTH_SOCK": "/run/agent", "GIT_SSH_COMMAND": "ssh -F mine",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "GIT_CONFIG_COUNT": "0", "ANSIBLE_VAULT_PASSWORD_FILE": "/dev/null", "ANSIBLE_SSH_COMMON_ARGS": "-J jump",
    "ANSIBLE_NOCOLOR": "1", "SLIPWAY_STATE": "/srv/slipway", "RELEASE_PASSWORD": "of the caller's own inventory",
}  # fmt: skip
SHOW = '#!/bin/sh\necho program "$0"\nenv\n'


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a space in its path that is set up but for its Python; anybody may write there."""
    top = export(tmp_path_factory.mktemp("make") / "a checkout")
    (top / ".venv/bin").mkdir(parents=True)
    for name in STAMPS:
        (top / f".venv/{name}.stamp").touch()
    top.chmod(0o777)
    return top


def make(checkout: Path, *words: str, path: str = "/usr/bin:/bin", **more: str) -> subprocess.CompletedProcess[str]:
    """Call make with nothing in its environment but what is given."""
    environment = {"HOME": str(checkout.parent), "PATH": path, **more}
    return subprocess.run(
        ["make", *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def put(checkout: Path, name: str, text: str) -> None:
    (checkout / ".venv/bin" / name).unlink(missing_ok=True)
    (checkout / ".venv/bin" / name).write_text(text)
    (checkout / ".venv/bin" / name).chmod(0o755)


def environment_of(checkout: Path, words: Sequence[str] = (), **more: str) -> dict[str, str]:
    """What ansible-playbook gets from `make release`."""
    put(checkout, "ansible-playbook", SHOW)
    done = make(checkout, *words, "release", "VERSION=1.2", **more)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if not line.startswith("make[")]
    assert said[0] == f"program {checkout}/.venv/bin/ansible-playbook"
    return dict(line.split("=", 1) for line in said[1:] if "=" in line)


@pytest.mark.parametrize("words", [(), ("-e",), ("-j4",), ("-rR",)])
def test_what_is_ours_is_not_taken_from_the_caller_and_the_rest_is(checkout: Path, words: Sequence[str]) -> None:
    found = environment_of(checkout, words, **HOSTILE, **KEPT)
    set_by_us = {"ANSIBLE_CONFIG": str(checkout / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    assert {name: found[name] for name in HOSTILE if name in found} == set_by_us
    assert {name: found.get(name) for name in KEPT} == KEPT
    assert found["PATH"] == f"{checkout}/.venv/bin:/usr/bin:/bin"


def test_flags_of_an_outer_make_do_no_harm(checkout: Path) -> None:
    found = environment_of(checkout, MAKEFLAGS="e -j4", GNUMAKEFLAGS="--no-silent", MAKELEVEL="3", **HOSTILE)
    assert found["ANSIBLE_CONFIG"] == str(checkout / "ansible.cfg")


def test_a_release_finds_its_inventory_and_its_collection_in_all_that(checkout: Path) -> None:
    """By the real Ansible: others may write to the checkout, the locale is not there, and so on."""
    program = Path(sys.executable).with_name("ansible-playbook")
    put(checkout, "ansible-playbook", f'#!/bin/sh\nexec "{program}" "$@"\n')
    done = make(checkout, "release", "VERSION=1.2", "ARGS=--list-hosts", path=os.environ["PATH"], **HOSTILE)
    assert done.returncode == 0, done.stderr
    plans = re.findall(r"play #\d+ \(coordinator\):.*\n.*\n +hosts \(1\):\n +localhost", done.stdout)
    assert len(plans) > 3, done.stdout


def test_ansible_by_itself_says_why_it_finds_no_inventory_there(checkout: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "release.yml", "-e", "version=1.2"],
        cwd=checkout,
        env={"HOME": str(checkout.parent), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert f"Ansible did not read {checkout}/ansible.cfg, which names the inventory" in said
    assert f"Say chmod o-w {checkout}, or export ANSIBLE_CONFIG={checkout}/ansible.cfg, and run again." in said


def test_the_environment_is_made_in_the_checkout(checkout: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path, "some_tool", "1.0")
    for name, text in (("requirements.txt", "some.tool  # for tests\n"), ("constraints.txt", "some-tool==1.0\n")):
        (checkout / name).write_text(text)
    (checkout / ".venv/release.stamp").unlink()
    (checkout / ".venv/packages.stamp").touch()
    reach = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    umask = os.umask(0o077)
    try:
        done = make(checkout, "setup", path="/usr/bin:/bin", **HOSTILE, **reach)
    finally:
        os.umask(umask)
    assert done.returncode == 0, done.stderr
    code = "import some_tool; print(some_tool.__file__)"
    found = subprocess.run([checkout / ".venv/bin/python", "-Ic", code], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).parent == next(checkout.glob(".venv/lib/python3*/site-packages"))
    assert Path(found.stdout.strip()).stat().st_mode & 0o044 == 0o044


@pytest.mark.parametrize("sign", [":", "$", '"', "`"])
def test_a_path_that_nothing_works_in_is_refused_at_once(tmp_path: Path, sign: str) -> None:
    top = tmp_path / f"a{sign}b"
    top.mkdir()
    (top / "Makefile").write_text((Path(__file__).resolve().parents[2] / "Makefile").read_text())
    done = make(top, "release", "VERSION=1.2")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot be used where it is, in {top}" in done.stderr
    assert f"the character {sign} in names" in done.stderr

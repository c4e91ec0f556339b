from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.venv import (
    Environment,
    find_missing,
    install_packages,
)
from wheels import write_wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheels")
    write_wheel(directory, "some_tool", "1.0")
    write_wheel(directory, "some_tool", "2.0")
    return directory


def wanted(
    directory: Path, wheels: Path, constraints: str = "Some-Tool==1.0\n", package: str = "some.tool"
) -> Environment:
    return Environment(directory, (package,), constraints, pip_args=("--no-index", f"--find-links={wheels}"))


def test_an_environment_is_made_once_and_follows_its_constraints(tmp_path: Path, wheels: Path) -> None:
    first = wanted(tmp_path / "venv", wheels)
    assert find_missing(first) == ["the environment"]
    install_packages(first, timeout=300)
    assert find_missing(first) == []
    assert list(tmp_path.glob("venv/lib/*/site-packages/some_tool-1.0.dist-info"))
    second = wanted(tmp_path / "venv", wheels, "some-tool==2.0\n")
    assert find_missing(second) == ["these versions"]
    install_packages(second, timeout=300)
    assert find_missing(second) == []
    assert list(tmp_path.glob("venv/lib/*/site-packages/some_tool-2.0.dist-info"))
    next(tmp_path.glob("venv/lib/*/site-packages/some_tool-2.0.dist-info")).rename(tmp_path / "gone")
    assert find_missing(second) == ["some.tool"]


def test_what_cannot_be_installed_is_named_with_its_log_and_not_noted(tmp_path: Path, wheels: Path) -> None:
    nowhere = wanted(tmp_path / "venv", wheels, package="not-there-at-all")
    with pytest.raises(SlipwayError) as caught:
        install_packages(nowhere, timeout=300)
    assert str(caught.value).startswith(f"Could not install not-there-at-all into {tmp_path}/venv: ")
    assert "No matching distribution found" in Path(caught.value.log or "").read_text()
    assert find_missing(nowhere) == ["not-there-at-all"]


ELSEWHERE = {
    "variables": {
        "PIP_USER": "1", "PIP_TARGET": "{top}/elsewhere", "PIP_PREFIX": "{top}/elsewhere",
        "PIP_ROOT": "{top}/elsewhere", "PIP_DRY_RUN": "1", "PIP_NO_BINARY": ":all:",
        "PIP_CONSTRAINT": "/nonexistent", "PYTHONPATH": "{top}/shadow",
        "PYTHONHOME": "{top}", "PYTHONUSERBASE": "{top}/elsewhere",
    },
    "pip.conf": {
        "pip.conf": "[install]\nuser = true\nprefix = {top}/elsewhere\n"
        "[global]\ntarget = {top}/elsewhere\nno-binary = :all:\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("surroundings", ELSEWHERE.values(), ids=ELSEWHERE)
def test_habits_of_the_account_decide_nothing(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch, surroundings: dict[str, str]
) -> None:
    conf = tmp_path / "home/.config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    (tmp_path / "shadow/pip").mkdir(parents=True)
    (tmp_path / "shadow/pip/__init__.py").write_text("raise SystemExit('this is not pip')\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name, value in surroundings.items():
        text = value.replace("{top}", str(tmp_path))
        conf.write_text(text) if name == "pip.conf" else monkeypatch.setenv(name, text)
    umask = os.umask(0o077)
    try:
        install_packages(wanted(tmp_path / "venv", wheels), timeout=300)
    finally:
        assert os.umask(umask) == 0o077
    assert list(tmp_path.glob("venv/lib/*/site-packages/some_tool-1.0.dist-info"))
    assert not (tmp_path / "elsewhere").exists()
    closed = [path for path in tmp_path.glob("venv/**/*") if path.stat().st_mode & 0o044 != 0o044]
    assert closed == []


@pytest.mark.parametrize("where", ["PIP_CONFIG_FILE", "pip.conf"])
def test_how_an_index_is_reached_is_the_accounts(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / ".config/pip").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    conf = home / ".config/pip/pip.conf" if where == "pip.conf" else tmp_path / "their.conf"
    conf.write_text(
        f"[global]\nindex-url = http://192.0.2.1/\n[install]\nfind-links =\n    {wheels}\n    /nonexistent\n"
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    if where == "PIP_CONFIG_FILE":
        monkeypatch.setenv("PIP_CONFIG_FILE", str(conf))
    install_packages(Environment(tmp_path / "venv", ("some.tool",)), timeout=300)
    assert list(tmp_path.glob("venv/lib/*/site-packages/some_tool-2.0.dist-info"))


def test_the_tools_of_hosts_are_pinned_as_everything_is() -> None:
    root = Path(__file__).resolve().parents[3]
    pins = (root / "constraints.txt").read_text().splitlines()
    ours = (root / "roles/build_tools/files/buildstream.txt").read_text().splitlines()
    assert {"BuildStream", "buildstream-plugins"} <= {line.partition("==")[0] for line in ours}
    assert [line for line in ours if line not in pins] == []

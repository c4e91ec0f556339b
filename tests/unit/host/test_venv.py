from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.venv import (
    Environment,
    find_missing,
    install_packages,
)


def wheel(directory: Path, name: str, version: str) -> None:
    directory.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for path, text in files.items()
    }
    record = "".join(f"{path},sha256={digest},{len(files[path])}\n" for path, digest in digests.items())
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheels")
    wheel(directory, "some_tool", "1.0")
    wheel(directory, "some_tool", "2.0")
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


def test_the_tools_of_hosts_are_pinned_as_everything_is() -> None:
    root = Path(__file__).resolve().parents[3]
    pins = (root / "constraints.txt").read_text().splitlines()
    ours = (root / "roles/build_tools/files/buildstream.txt").read_text().splitlines()
    assert {"BuildStream", "buildstream-plugins"} <= {line.partition("==")[0] for line in ours}
    assert [line for line in ours if line not in pins] == []

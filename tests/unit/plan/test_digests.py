"""The bytes of files that something else made, and may still make."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan import digests
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.digests import hash_deployments

FILES = {"a.raw": b"first", "below/b.raw": b"second"}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        (tmp_path / "output" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "output" / path).write_bytes(content)
    return tmp_path / "output"


def deployments() -> list[dict[str, Any]]:
    return [
        {"name": path.replace("/", "-"), "file": f"acme-1.0-{path.replace('/', '-')}", "path": path, "size": len(data)}
        for path, data in FILES.items()
    ]


def hash_all(output: Path, wanted: list[dict[str, Any]] | None = None, **options: Any) -> list[dict[str, Any]]:
    return hash_deployments(output, wanted or deployments(), label="acme-1.0", **options)


def test_sizes_and_digests_are_those_of_the_files(output: Path) -> None:
    first, second = hash_all(output)
    assert first == {
        "deployment": "a.raw",
        "name": "acme-1.0-a.raw",
        "size": 5,
        "sha256": hashlib.sha256(b"first").hexdigest(),
    }
    assert second["name"] == "acme-1.0-below-b.raw"
    assert hash_all(output, previous=[first, second]) == [first, second]


def test_recorded_bytes_that_changed_are_named_with_both_digests(output: Path) -> None:
    before = hash_all(output)
    (output / "below/b.raw").write_bytes(b"other")
    with pytest.raises(SlipwayError) as caught:
        hash_all(output, previous=before)
    for part in ("acme-1.0-below-b.raw", "'below/b.raw'", before[1]["sha256"], hashlib.sha256(b"other").hexdigest()):
        assert part in str(caught.value)
    assert str(caught.value).endswith(digests.NEVER)


def test_a_file_that_is_gone_is_as_it_was_recorded(output: Path) -> None:
    before = hash_all(output)
    (output / "a.raw").unlink()
    first, second = deployments()
    assert hash_all(output, [{**first, "path": ""}, second], previous=before) == before


def test_a_file_that_is_still_written_is_refused(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256

    class Growing:
        """Something else writes whenever this digest has eaten."""

        def __init__(self) -> None:
            self.digest = sha256()

        def update(self, chunk: bytes) -> None:
            self.digest.update(chunk)
            if chunk == b"first":
                with open(output / "a.raw", "ab") as stream:
                    stream.write(b"!")

        def hexdigest(self) -> str:
            return self.digest.hexdigest()

    monkeypatch.setattr(digests.hashlib, "sha256", Growing)
    with pytest.raises(SlipwayError, match="'a.raw' changed while it was read, so something still writes it") as caught:
        hash_all(output)
    assert str(caught.value).endswith(digests.WAIT)


def test_what_is_put_in_the_place_of_a_file_is_not_read(output: Path, tmp_path: Path) -> None:
    """Neither a FIFO, for which one would wait, nor a link, not even in place of a directory."""
    (output / "a.raw").unlink()
    os.mkfifo(output / "a.raw")
    (output / "below").rename(tmp_path / "elsewhere")
    (output / "below").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SlipwayError, match="2 of 2 files are not as they should be") as caught:
        hash_all(output)
    first, second = caught.value.findings
    assert first == "'a.raw' could not be read: It is not a regular file"
    assert second.startswith("'below/b.raw' could not be read: ")


def test_a_file_must_have_the_checksum_that_came_with_it(output: Path) -> None:
    first, second = deployments()
    right = hashlib.sha256(b"first").hexdigest()
    assert hash_all(output, [{**first, "expected": right}, second])[0]["sha256"] == right
    with pytest.raises(SlipwayError, match=f"'a.raw' has sha256 {right} instead of {'0' * 64}, which came with it"):
        hash_all(output, [{**first, "expected": "0" * 64}, second])

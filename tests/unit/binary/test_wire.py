"""What a coordinator and a build host say to each other, and what they do not believe."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import Job, Repository, Result
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.wire import (
    MAX_LINE,
    list_files,
    receive_files,
    receive_message,
    send_message,
)

JOB = Job("hello", "1.0-1", "bookworm", "amd64", "amd64", "hello_1.0-1.dsc")


def test_files_arrive_as_they_were_sent(tmp_path: Path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    paths = [here / "a.deb", here / "b.log"]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(range(256)) * (5000 * number + 1))
    line = io.BytesIO()
    send_message(line, {"files": list_files(paths)}, paths)
    send_message(line, {"at": "build"})
    line.seek(0)
    message = receive_message(line)
    assert message is not None
    receive_files(line, message["files"], there, most=1 << 30)
    assert [(there / path.name).read_bytes() for path in paths] == [path.read_bytes() for path in paths]
    assert receive_message(line) == {"at": "build"}
    assert receive_message(line) is None


GOOD = {"name": "a.deb", "size": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
BAD = {
    "another digest": ([{**GOOD, "sha256": "0" * 64}], b"abc", "instead of 000"),
    "fewer bytes": ([GOOD], b"ab", "ends 1 bytes early"),
    "a path": ([{**GOOD, "name": "../a.deb"}], b"abc", "no usable name"),
    "a hidden name": ([{**GOOD, "name": ".a.deb"}], b"abc", "no usable name"),
    "no size": ([{"name": "a.deb", "sha256": GOOD["sha256"]}], b"abc", "no usable name"),
    "a size below nothing": ([{**GOOD, "size": -1}], b"abc", "no usable name"),
    "too much": ([{**GOOD, "size": 1001}], b"abc", "more than 1000 bytes"),
    "one name twice": ([GOOD, GOOD], b"abcabc", "two files have one name"),
    "no mapping": (["a.deb"], b"abc", "no usable name"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_as_announced_is_refused(tmp_path: Path, case: str):
    rows, data, sentence = BAD[case]
    with pytest.raises((ValueError, EOFError), match=sentence):
        receive_files(io.BytesIO(data), rows, tmp_path, most=1000)


@pytest.mark.parametrize("line", [b"[1]\n", b"{\n", b"\xff\n", b"x" * MAX_LINE])
def test_a_line_that_is_no_message_is_refused(line: bytes):
    with pytest.raises(ValueError, match="line|message"):
        receive_message(io.BytesIO(line))


@pytest.mark.parametrize("line", [b"", b'{"at": "bu'])
def test_a_line_that_is_cut_is_the_end(line: bytes):
    assert receive_message(io.BytesIO(line)) is None


def test_a_job_is_the_same_at_the_other_end():
    job = Job(
        *("hello", "1:1.0-1", "bookworm", "armhf", "amd64", "hello_1.0-1.dsc"),
        parts=("any", "all"),
        repositories=(Repository("http://127.0.0.1:80/shadow bookworm main", "KEY"),),
        profiles=("nocheck",),
    )
    assert Job.from_dict(json.loads(json.dumps(job.as_dict()))) == job


WORDS = {
    "source": "--help",
    "version": "1; reboot",
    "platform": "../../etc",
    "architecture": "all",
    "chroot": "$(id)",
    "dsc": "/etc/passwd.dsc",
    "parts": [],
    "repositories": [{"line": "http://a b main\ndeb http://c d main", "key": ""}],
    "profiles": ["-x"],
    "rebuild": -1,
    "maintainer": "A\nB <a@b>",
    "unheard": 1,
    "limits": {"hours": 1},
}


@pytest.mark.parametrize("name", WORDS)
def test_words_that_no_program_may_get_are_refused(name: str):
    with pytest.raises(ValueError, match=r"a job|of a job"):
        Job.from_dict({**JOB.as_dict(), name: WORDS[name]})


def test_a_result_is_the_same_at_the_other_end_and_another_one_is_refused():
    result = Result("done", "test", "", {"build": 1.5}, {"smoke": "PASS"})
    assert Result.from_dict(json.loads(json.dumps(result.as_dict()))) == result
    with pytest.raises(ValueError, match="neither"):
        Result.from_dict({"outcome": "splendid", "stage": "test"})

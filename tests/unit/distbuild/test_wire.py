from __future__ import annotations

import contextlib
import json
import random

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild import wire
from hypothesis import given
from hypothesis import strategies as st
from peers.distbuild_replay import recording, recordings

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126))
#: What YAML takes for something else than text when it is not quoted.
TRICKY = st.sampled_from(["1234567", "1.0", "2016-08-03", "yes", "null", "~", "0x1F", "1e3", "", "- a", "{", "!!int 3"])


def controllers_lines():
    for name in recordings():
        for record in recording(name):
            if record.get("from") == "controller" and "line" in record:
                yield name, record


def plain(value):
    """A recorded value as the wire module gives it: text stays text, numbers are their digits."""
    if isinstance(value, dict):
        return value["!!binary"].encode("latin-1")
    return value if isinstance(value, list) else str(value)


def test_every_recorded_line_of_a_controller_is_read_as_it_was_meant():
    checked = 0
    for name, record in controllers_lines():
        message = wire.decode_message(record["line"].rstrip("\r\n").encode())
        assert message == {field: plain(value) for field, value in record["decoded"].items()}, name
        checked += 1
    assert checked > 1000


@given(st.dictionaries(ASCII.filter(bool), st.one_of(ASCII, TRICKY, st.integers(), st.booleans(), st.lists(ASCII))))
def test_what_is_sent_is_read_by_yaml_as_the_same_values_of_the_same_types(message):
    line = wire.encode_message(message)
    assert line.isascii()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    read = yaml.safe_load(json.loads(line))
    assert read == message
    assert {name: type(value) for name, value in read.items()} == {name: type(value) for name, value in message.items()}


@pytest.mark.parametrize("value", [None, 1.5, b"x", ["a", 1], {"a": "b"}, [None]])
def test_what_breaks_a_controller_cannot_be_sent(value):
    with pytest.raises(TypeError, match="original_ref of a message cannot be"):
        wire.encode_message({"original_ref": value})


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))), st.randoms())
def test_lines_are_the_same_however_the_stream_is_cut(lines, chance):
    stream = b"".join(line + chance.choice([b"\n", b"\r\n"]) for line in lines)
    buffer = wire.LineBuffer()
    found = []
    start = 0
    while start < len(stream):
        size = chance.randint(1, 9)
        found += buffer.feed(stream[start : start + size])
        start += size
    assert found == [line for line in lines if line]
    assert buffer.partial == 0


@given(st.binary())
def test_an_unfinished_line_is_held_and_counted(data):
    buffer = wire.LineBuffer()
    list(buffer.feed(data))
    assert buffer.partial == len(data.rpartition(b"\n")[2])


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory():
    buffer = wire.LineBuffer(limit=1 << 20)
    for _ in range(16):
        assert list(buffer.feed(b"x" * 65536)) == []
    with pytest.raises(wire.UnreadableError, match="a line has more than 1 MiB"):
        list(buffer.feed(b"x"))


def test_a_line_of_a_megabyte_cut_into_small_pieces_is_joined_in_linear_time():
    buffer = wire.LineBuffer()
    line = b"x" * (1 << 20)
    found = [one for start in range(0, len(line), 100) for one in buffer.feed(line[start : start + 100])]
    found += buffer.feed(b"\n")
    assert found == [line]


VALUES = st.one_of(TEXT, st.binary(), st.lists(TEXT), TRICKY)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([True, False, None]),
        "default_style": st.sampled_from([None, "'", '"', "|", ">"]),
        "allow_unicode": st.booleans(),
        "width": st.sampled_from([10, 80, 4000]),
    }
)


@given(st.dictionaries(st.sampled_from(["id", "stdout", "reason", "urls", "step_name"]), VALUES, min_size=1), STYLES)
def test_yaml_of_any_style_is_read(message, style):
    line = json.dumps(yaml.safe_dump(message, **style)).encode()
    try:
        expected = yaml.load(json.loads(line), Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return  # PyYAML itself writes some control characters so that libyaml cannot read them
    assert wire.decode_message(line) == expected


@given(TEXT)
def test_characters_that_an_old_python_wrote_as_two_halves_are_joined(text):
    escaped = "".join(
        f"\\u{unit:04X}"
        for unit in memoryview(text.encode("utf-16-le")).cast("H")  # as a narrow build of Python 2 wrote them
    )
    message = wire.decode_message(json.dumps(f'{{stdout: "{escaped}", type: step-output}}').encode())
    assert message["stdout"] == text


def test_half_a_character_alone_becomes_a_mark_and_not_a_crash():
    message = wire.decode_message(rb'"{stdout: \"a\\uD83Db\", type: step-output}"')
    assert wire.read_bytes(message, "stdout").decode() == "a\ufffdb"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"this is not JSON", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b'{"type": "build-failed"}', "not a string"),
        (b"42", "not a string"),
        (b'"{unclosed: ["', "not YAML"),
        (b'"hello"', "no mapping"),
        (b'""', "no mapping"),
        (b'"- a"', "no mapping"),
        (b'"{a: {b: c}}"', "not flat"),
        (b'"{[a]: b}"', "not flat"),
        (b'"{a: [[b]]}"', "not flat"),
        (b'"&x {a: *x}"', "not flat"),
        (b'"a: !!binary abcde"', "binary"),
        (b"[" * 100_000, "it is not JSON"),
        (b'"' + b"[" * 100_000 + b'"', "YAML|no mapping"),
        (b'"' + b"{a: " * 100_000 + b'"', "not flat"),
        (rb'"\"\\uD800"', "not YAML"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(line, why):
    with pytest.raises(wire.UnreadableError, match=why):
        wire.decode_message(line)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_do_more_than_be_refused(data):
    for line in (data, json.dumps(data.decode("latin-1")).encode()):
        with contextlib.suppress(wire.UnreadableError):
            wire.decode_message(line)


@given(st.sampled_from([record["line"].encode() for _, record in controllers_lines()]), st.randoms())
def test_a_damaged_line_is_refused_or_read_but_never_more(line, chance):
    damaged = bytearray(line)
    for _ in range(chance.randint(1, 5)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    with contextlib.suppress(wire.UnreadableError):
        wire.decode_message(bytes(damaged))


def test_fields_are_taken_as_what_they_should_be():
    message = {"a": "text", "b": b"\xff", "c": ["x", "y"], "n": "12", "odd": "-3"}
    assert [wire.read_text(message, name) for name in "abcd"] == ["text", "\ufffd", "x y", ""]
    assert [wire.read_bytes(message, name) for name in "abd"] == [b"text", b"\xff", b""]
    assert [wire.read_list(message, name) for name in "ac"] == [[], ["x", "y"]]
    assert [wire.read_number(message, name) for name in ("n", "odd", "a", "nothing")] == [12, 0, 0, 0]


def test_pieces_of_output_join_to_the_bytes_that_the_build_wrote():
    """Pieces that a reader cut within a character come as binary; others as text."""
    written = ("\u65e5\u672c\u8a9e" * 500).encode() + b"\xff\x00"
    chance = random.Random(3)  # noqa: S311  # repeatable, not secret
    joined, start = b"", 0
    while start < len(written):
        piece = written[start : start + chance.randint(1, 400)]
        start += len(piece)
        try:
            shown = piece.decode()
        except UnicodeDecodeError:
            shown = piece
        joined += wire.read_bytes(wire.decode_message(json.dumps(yaml.safe_dump({"stdout": shown})).encode()), "stdout")
    assert joined == written

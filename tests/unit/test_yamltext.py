"""What cannot be read of a file is told with its line."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.yamltext import find_faults


def test_a_file_of_variables_says_what_is_wrong_with_it_and_where() -> None:
    assert find_faults(b"a: {x: 1}\nb: !vault y\n") == []  # what has tags is told by who reads it
    assert find_faults(b"") == []
    assert find_faults(b"a: 1\na: 2\n") == ["line 2: the key 'a' is given a second time (first on line 1)"]
    assert find_faults(b"a:\n\tb: 1\n")[0].startswith("line 2: ")
    assert "UTF-8" in find_faults(b"a: \xff\xfe\n")[0]

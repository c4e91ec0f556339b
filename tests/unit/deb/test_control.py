"""Control files are refused or kept to the byte."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control
from hypothesis import given, settings
from hypothesis import strategies as st


@given(st.text(st.sampled_from("aV:, \n\t-#é|()=>0~."), max_size=60))
@settings(max_examples=500, deadline=None)
def test_a_control_file_is_refused_or_kept_to_the_byte(tail: str) -> None:
    whole = f"Package: a\nVersion: 1\nArchitecture: all\n{tail}\n"
    try:
        control = Control(whole)
    except ValueError:
        return
    assert str(control) == whole

"""The version that a configure script's source tells."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.versions import guess_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("AC_INIT([hello], [2.10], [bugs@example.org])", "2.10"),
        ("AC_INIT(hello,2.10)", "2.10"),
        ("AC_INIT(\n  [hello],\n  [2.10]\n)", "2.10"),
        ("AC_INIT(src/hello.c)\nAM_INIT_AUTOMAKE(hello, 1.2)", "1.2"),
        ("AC_INIT([hello], [unknown])\nAM_INIT_AUTOMAKE([foreign])", ""),
        ("AC_INIT([hello], [m4_esyscmd([date > /tmp/x])])", ""),
        ("m4_define([v], [3.4])\nAC_INIT([hello], [v])", "3.4"),
        ("m4_define(a, 1)m4_define(b, 5)m4_define([v],[a.b])\nAC_INIT([x],[v])", "1.5"),
        ("m4_define([v],[v.v])\nAC_INIT([x],[v])", ""),
        ("dnl AC_INIT([old], [0.1])\nAC_INIT([new], [0.2])\n# AC_INIT([no],[9])\n", "0.2"),
        ("AC_INIT([hello], [2.10 beta])", "2.10"),
        ("AC_INIT()", ""),
        ("AC_INIT([hello], [])", ""),
        ("AC_INIT([broken", ""),
        ("", ""),
    ],
)
def test_a_version_is_guessed_from_the_macros(text, version):
    assert guess_version({"configure.ac": text}) == version


def test_the_first_file_that_tells_one_counts():
    files = {"configure.in": "AC_INIT(a, 2)", "configure.ac": "AC_INIT(a, x)", "configure.in.in": "AC_INIT(a, 3)"}
    assert guess_version(files) == "2"

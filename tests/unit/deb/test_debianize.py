"""What a control YAML says of a stack comes into debian/ as it was said, and means nothing else to dpkg."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import debianize
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control
from hypothesis import given, settings
from hypothesis import strategies as st

STYLE = debianize.Style(maintainer="Ros Community <ros@example.org>", marker="WG-rosdistro")


def make_stack(**control: Any) -> debianize.Stack:
    rosdeps = control.pop("rosdeps", ["cmake", "libc6=2.36", "a | b (>= 1)"])
    return debianize.Stack(
        "common_msgs",
        "1.0.3",
        "ros-cturtle-common-msgs",
        "1.0.3-0~bookworm",
        "bookworm",
        "cturtle",
        1_200_000_000,
        {"homepage": "https://example.org/", "description-brief": "Messages", "description-full": "Long.", **control},
        depends=["ros-cturtle-ros"],
        rosdeps=rosdeps,
    )


def write_debian(place: Path, stack: debianize.Stack, style: debianize.Style = STYLE) -> Path:
    for path, (content, mode) in debianize.make_debian(stack, style).items():
        (place / "debian" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "debian" / path).write_bytes(content)
        (place / "debian" / path).chmod(mode)
    return place


def ask_gencontrol(place: Path) -> Control:
    """The control file of the binary package that dpkg-gencontrol makes."""
    words = ["dpkg-gencontrol", "-O", "-Tdebian/none", "-Vshlibs:Depends=libc6", "-Vmisc:Depends="]
    (place / "debian/none").touch()
    (place / "debian/files").unlink(missing_ok=True)
    done = subprocess.run(words, cwd=place, check=True, capture_output=True)
    return Control(done.stdout.decode())


def test_the_binary_package_has_all_that_the_stack_says(tmp_path: Path) -> None:
    made = ask_gencontrol(write_debian(tmp_path, make_stack(priority="extra")))
    said = {name: made.get(name) for name in ("Package", "Version", "Maintainer", "Depends", "Priority", "Homepage")}
    assert said == {
        "Package": "ros-cturtle-common-msgs",
        "Version": "1.0.3-0~bookworm",
        "Maintainer": "Ros Community <ros@example.org>",
        "Depends": "libc6 (= 2.36), cmake, a | b (>= 1), ros-cturtle-ros",
        "Priority": "extra",
        "Homepage": "https://example.org/",
    }
    assert made.get("WG-rosdistro") == "cturtle"
    assert made.get("Description") == "Messages\n Long."
    assert (tmp_path / "debian/rules").stat().st_mode & 0o777 == 0o755


LETTERS = st.characters(blacklist_categories=["Cs"])
LINES = st.one_of(
    st.text(LETTERS, max_size=90),
    st.text(st.sampled_from(" .\t${}a#\r\x0b\x85\u2028\u202eé"), max_size=20),
    st.sampled_from(["", ".", " .", "..", "${HOME}", "$", "${", "w" * 300, "  * item", "-- ", "Package: x", "#c"]),
)


@given(st.lists(LINES, max_size=8).map("\n".join), LINES)
@settings(max_examples=25)
def test_any_description_is_one_that_dpkg_reads_and_keeps_its_words(full: str, brief: str) -> None:
    stack = make_stack(**{"description-full": full, "description-brief": brief})
    with tempfile.TemporaryDirectory() as name:
        made = ask_gencontrol(write_debian(Path(name), stack))
    assert made.get("WG-rosdistro") == "cturtle"
    said = (made.get("Description") or "").split("\n")
    assert said[0].strip()
    assert len(said) > 1
    assert all(line.startswith(" ") and (line == " ." or not line.startswith(" .")) for line in said[1:])
    words = [word for line in said[1:] if line != " ." for word in line.split()]
    wanted = "".join(debianize._clean(letter) if letter not in "\r\n" else "\n" for letter in full).split()
    if wanted:
        assert words == wanted


@pytest.mark.parametrize(
    ("rosdep", "relation"),
    [
        ("libfoo-dev", "libfoo-dev"),
        ("libfoo-dev=1.2-3", "libfoo-dev (= 1.2-3)"),
        (" libfoo-dev = 1.2 ", "libfoo-dev (= 1.2)"),
        ("libfoo-dev (>= 1.2)", "libfoo-dev (>= 1.2)"),
        ("libfoo-dev (= 1:1.2)", "libfoo-dev (= 1:1.2)"),
        ("a|b=2", "a | b (= 2)"),
        ("python3:any", "python3:any"),
    ],
)
def test_a_rosdep_becomes_a_relation(rosdep: str, relation: str) -> None:
    assert debianize.convert_rosdeps([rosdep, rosdep]) == [relation]


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ({"rosdeps": ["libfoo=1.2*"]}, r"the rosdep 'libfoo=1.2\*' has a version with \*, where a whole one is needed"),
        ({"rosdeps": ["a, b"]}, "the rosdep 'a, b' is not a relation to a Debian package"),
        ({"rosdeps": ["a\nPackage: b"]}, "the rosdep 'a Package: b' is not a relation to a Debian package"),
        ({"rosdeps": ["${misc:Depends}"]}, "is not a relation to a Debian package"),
        ({"rosdeps": [""]}, "the rosdep '' is not a relation to a Debian package"),
        ({"priority": "optional\nBuild-Depends: evil"}, "the priority .* is not one word"),
    ],
)
def test_what_would_mean_something_else_is_refused(control: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        debianize.make_debian(make_stack(**control), STYLE)


def test_a_stack_without_a_maintainer_for_debian_needs_one() -> None:
    with pytest.raises(ValueError, match="the maintainer of common_msgs is 'Ken and Eric', which is not of the form"):
        debianize.make_debian(make_stack(maintainer="Ken and Eric"), debianize.Style())
    made = debianize.make_debian(make_stack(maintainer="Ken  K <ken@example.org>"), debianize.Style())
    assert b"\nMaintainer: Ken K <ken@example.org>\n" in made["control"][0]


@pytest.mark.parametrize(
    ("style", "says"),
    [
        (debianize.Style(maintainer="Nobody"), "the maintainer 'Nobody' is not of the form 'Name <mail@address>'"),
        (debianize.Style(marker="a b"), "the marker 'a b' is not the name of a field"),
        (debianize.Style(section="a\nb"), r"the section 'a\nb' is not one word"),
        (debianize.Style(rules="%:\n"), "the rules do not begin with #!, the interpreter's line"),
        (
            debianize.Style(files=(debianize.ExtraFile("../x", ""),)),
            "the path '../x' of a file is not one below",
        ),
        (debianize.Style(files=(debianize.ExtraFile("/x", ""),)), "the path '/x' of a file is not one below debian/"),
        (
            debianize.Style(files=(debianize.ExtraFile("control", ""),)),
            "debian/control is made here, and cannot",
        ),
    ],
)
def test_a_style_that_cannot_be_used_is_told(style: debianize.Style, says: str) -> None:
    assert len(style.find_faults()) == 1
    assert style.find_faults()[0].startswith(says)

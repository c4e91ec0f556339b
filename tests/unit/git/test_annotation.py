from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.annotation import provide_annotation
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key

AUTHOR = Person("Releases", "releases@example.org", 1_700_000_000)


def provide(text, home=None):
    return provide_annotation("refs/tags/x", text, AUTHOR, gnupghome=home and str(home), signing_key=None)


@pytest.mark.parametrize("text", [None, ""])
def test_without_a_text_a_tag_names_a_commit(text):
    with provide(text) as annotation:
        assert annotation is None


@pytest.mark.parametrize("text", [None, ""])
def test_what_is_to_be_signed_is_never_made_unsigned_for_want_of_a_text(tmp_path, text):
    said = "Could not sign the tag refs/tags/x: its annotation is empty"
    with pytest.raises(SlipwayError, match=said), provide(text, tmp_path):
        raise AssertionError("a tag was about to be made")


def test_a_key_that_is_named_by_its_home_alone_signs(tmp_path):
    key = make_key(tmp_path / "gnupg", "Releases <releases@example.org>")
    with provide("x 1.0", tmp_path / "gnupg") as annotation:
        assert annotation is not None
        assert (annotation.message, annotation.signing_key) == ("x 1.0", key)
        assert annotation.environment["GNUPGHOME"]
    with provide("x 1.0") as annotation:
        assert annotation is not None
        assert annotation.signing_key is None

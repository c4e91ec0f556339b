# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a tag says, and the key that signs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import SlipwayError
from ..openpgp.home import provide_environment
from ..openpgp.keys import find_signing_key
from .remote import Annotation, Person


@contextlib.contextmanager
def provide_annotation(
    tag: str, text: str | None, author: Person, *, gnupghome: str | None, signing_key: str | None
) -> Iterator[Annotation | None]:
    """What ``tag`` says; None without a text, since it only names a commit then. With ``gnupghome`` it is to be signed.

    ``signing_key`` is a fingerprint; without it, the one key of ``gnupghome`` that can sign.
    """
    if gnupghome and not text:  # such as a template that gave nothing: what is to be signed is never made without
        do_next = "Give the text of the tag (annotation), and run again."
        raise SlipwayError("sign the tag", tag, "its annotation is empty", do_next=do_next)
    if not text:
        yield None
    elif not gnupghome:
        yield Annotation(text, author)
    else:
        key = find_signing_key(gnupghome, signing_key).fingerprint
        with provide_environment(gnupghome) as environment:
            yield Annotation(text, author, signing_key=key, environment=environment)

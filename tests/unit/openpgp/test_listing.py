# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.listing import parse_keys
from hypothesis import given
from hypothesis import strategies as st

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


LISTING = f"""sec:u:255:22:F750359CE532A081:1000:5000::u:::cESC:::+::ed25519:::0:
fpr:::::::::{FINGERPRINT}:
grp:::::::::A2E625189641754B9226657BD8AE2C81B9FE16FD:
uid:u::::1000::15BA::A \\x3a B <a@b.c>::::::::::0:
ssb:u:255:22:AAAA:1000:3000:::::s:::+::ed25519::
fpr:::::::::1111111111111111111111111111111111111111:
ssb:e:255:18:BBBB:1000:1500:::::e:::+::cv25519::
fpr:::::::::2222222222222222222222222222222222222222:
"""


def test_a_key_lasts_as_long_as_its_last_signing_part() -> None:
    (listed,) = parse_keys(LISTING)
    assert listed.find_fault(2000) is None
    key = listed.describe()
    assert (key.fingerprint, key.user_id, key.expires) == (FINGERPRINT, "A : B <a@b.c>", 3000)
    assert listed.find_fault(4000) == "its signing subkey expired on 1970-01-01"
    assert listed.find_fault(6000) == "it expired on 1970-01-01"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ((":::cESC:::+", ":::cESCD:::+"), "it is disabled"),
        (("sec:u:", "sec:r:"), "it is revoked"),
        ((":s:::+:", ":s:::#:"), "its secret part is not there"),
        ((":s:::+:", ":a:::+:"), "it is not made for signing"),
        (("ssb:u:", "ssb:r:"), "its signing subkey is revoked or not valid"),
    ],
)
def test_why_a_key_cannot_sign(change: tuple[str, str], fault: str) -> None:
    (listed,) = parse_keys(LISTING.replace(*change))
    assert listed.find_fault(2000) == fault


@given(st.text(alphabet="secsbfpruid:0123u\n\\x#+", max_size=200))
def test_any_listing_can_be_read(text: str) -> None:
    for listed in parse_keys(text):
        if listed.find_fault(0) is None:
            listed.describe()

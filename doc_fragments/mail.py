# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules send mail."""

from __future__ import annotations


class ModuleDocFragment:
    """Into a maildir or through an SMTP server."""

    DOCUMENTATION = r"""
options:
  maildir:
    description: The maildir to deliver into. It is made if it is absent.
    type: path
  host:
    description: The SMTP server to send through.
    type: str
  port:
    description: Its port.
    type: int
    default: 587
  tls:
    description: Whether the connection is encrypted after C(STARTTLS), from its beginning, or not at all.
    type: str
    choices: [starttls, implicit, none]
    default: starttls
  user:
    description: Who logs in to the server. Empty means that nobody does.
    type: str
  password:
    description: The password of O(user).
    type: str
  sender:
    description: Who sends, such as V(Release Team <release@example.org>).
    type: str
    required: true
  again:
    description:
      - Whether to send a mail whose fate is unknown, and what the SMTP server took only for some, again. Recipients for
        whom it took the mail do not get it a second time.
    type: bool
    default: false
  arrived:
    description: Whether a mail whose fate is unknown is known to have arrived.
    type: bool
    default: false
  role:
    description: The role whose variables C(_again) and C(_arrived) are these options. Messages name them.
    type: str
    default: release_announce
"""

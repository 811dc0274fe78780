"""Reports that machines send about mail: bounces, receipts, abuse reports (RFC 3462, 3464, 8098, 5965)."""

from model.extracted import Extracted
from model.mail import Envelope

_PARTS = frozenset({
    "message/delivery-status", "message/global-delivery-status", "message/disposition-notification",
    "message/feedback-report",
})  # fmt: skip
_DAEMONS = frozenset({"mailer-daemon", "postmaster", "mail-daemon", "mailerdaemon", "mdaemon", "daemon"})

FOREIGN_CONTENT = ("name_matches_domain", "label_in_text", "name_in_text", "foreign_brand", "main_link_matches",
                   "unknown_links", "unknown_images", "shortener_or_ip_link", "shared_host_link",
                   "shown_link_differs", "brand_in_subject", "free_mail_sender", "sender_on_shared_host",
                   "from_unusable", "callback_number")  # fmt: skip
"""Facts that a report cannot be judged by: it quotes another message, and its sender is a machine of anyone's."""


def is_report(extracted: Extracted, envelope: Envelope) -> bool:
    """Whether a message is a report: from the null sender (RFC 5321 section 4.5.5), and made or signed like one.

    The null sender is what counts: mail from it is never kept by score alone, so that to imitate a report wins a
    thief nothing that the null sender would not have won.
    """
    if envelope.sender:
        return False
    daemon = any(address.local.lower() in _DAEMONS or (not address.domain and _daemon(address.display))
                 for address in extracted.from_)  # fmt: skip
    automatic = extracted.headers.get("auto-submitted", "no").strip().lower()[:2] != "no"
    return daemon or automatic or any(part.type in _PARTS for part in extracted.parts)


def _daemon(name: str) -> bool:
    return any(word in _DAEMONS for word in name.lower().split())

"""Every reason that policy gives, with what it means to a reader. Codes reach log, metric and header."""

BLOCK_RULE = "block-rule"
ALLOW_RULE = "allow-rule"
RULE_EXPIRED = "rule-expired"
LEAK = "leak"
LEAK_POSSIBLE = "leak-possible"
UNSCORED = "unscored"
DEFECT = "defect"
SCORE_REJECT = "score-reject"
SCORE_QUARANTINE = "score-quarantine"
SCORE_HOLD = "score-hold"
EXEMPT_RECIPIENT = "exempt-recipient"
NULL_SENDER = "null-sender"
CLEAN = "clean"
FACT = "fact"
BREAKER = "breaker"

BY_SCORE = frozenset({SCORE_REJECT, SCORE_QUARANTINE, SCORE_HOLD})
"""Reasons by which the model keeps mail, and nobody's rule."""

TEXTS: dict[str, str] = {
    BLOCK_RULE: "the operator blocks this sender or network",
    ALLOW_RULE: "the operator allows this sender (authenticated) or network",
    RULE_EXPIRED: "a rule of the operator would have counted, but is out of date",
    LEAK: "it holds what must not leave the house",
    LEAK_POSSIBLE: "it may hold what must not leave the house, too unsure to keep it for",
    UNSCORED: "it could not be screened",
    DEFECT: "it is malformed in a way that the policy holds",
    SCORE_REJECT: "it is bad with a probability at which the policy refuses mail",
    SCORE_QUARANTINE: "it is bad with a probability at which the policy quarantines mail",
    SCORE_HOLD: "it may be bad, and the policy lets a person decide",
    EXEMPT_RECIPIENT: "its score would keep it, but mail for this recipient is never kept by score alone",
    NULL_SENDER: "its score would keep it, but reports of delivery are never kept by score alone",
    CLEAN: "nothing speaks against it strongly enough",
    FACT: "a fact that weighed towards the score",
    BREAKER: "its score would keep it, but the breaker has tripped: the model keeps too much mail to be believed",
}

FACTS: dict[str, str] = {
    "sender_known": "the sender's domain is in no popularity list, or was not proved",
    "authenticated": "no proof that the sender's domain has sent it",
    "dkim_aligned": "signed by another domain than the sender's",
    "name_matches_domain": "the sender's name and domain have nothing in common",
    "label_in_text": "the text asks to follow a link and does not name the sender's domain",
    "name_in_text": "the text asks to follow a link and does not name the sender",
    "main_link_matches": "the main link is not the sender's own",
    "list_unsubscribe": "no header to unsubscribe",
    "is_reply": "no reply",
    "known_correspondent": "nobody that the site writes to",
    "cheap_tld": "the sender's domain is under a nearly free top-level domain",
    "foreign_brand": "the sender bears a brand's name and is not the brand",
    "address_in_name": "the sender's name holds an address of another domain",
    "unknown_links": "most links lead to unknown hosts",
    "unknown_images": "most images come from unknown hosts",
    "shortener_or_ip_link": "a link goes to a shortener or to a bare address",
    "foreign_signer": "signed by, or returned to, an unknown other domain",
    "reply_to_elsewhere": "answers go to another organisation",
    "free_mail_sender": "the sender writes from free mail",
    "sender_on_shared_host": "anyone may send from the sender's host",
    "shown_link_differs": "a link shows one host and leads to another",
    "hidden_text": "much text that no reader sees",
    "risky_attachment": "an attachment that runs, mounts, opens as a page or is encrypted",
    "from_ambiguous": "the sender cannot be read in one way only",
    "from_unusable": "nobody could answer the sender's address",
    "name_disguised": "the sender's name is drawn with letters that only look like letters",
    "brand_in_subject": "the subject names a brand that the sender is not",
    "shared_host_link": "a link leads to a place where anyone may have a page",
    "callback_number": "a number to call and nothing else to follow",
    "first_contact": "the first message of this sender here",
    "lookalike_domain": "the sender's domain imitates one that the site knows",
}
"""What a fact says when it speaks against a message, by its name in `model.facts.Facts`."""

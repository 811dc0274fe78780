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
}

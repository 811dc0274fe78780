"""The teacher: a language model of the operator's choice that drafts labels. People, or a recorded rule, decide."""

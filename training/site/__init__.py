"""A model made the operator's own: what a site's verdicts may move, how far, and at what threshold."""

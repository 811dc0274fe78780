"""The data store: labelled and unlabelled mail of a site, with where each message and each label came from."""

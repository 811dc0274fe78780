"""Review that learns: which mail to ask a person about next, which labels look wrong, how far people agree."""

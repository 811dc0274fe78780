"""The face: the command line, whole-file settings and logging set-up. It composes and decides nothing."""

"""What holds for every test."""

import signal

# Whoever started us in the background may have told us to ignore Ctrl-C; the programs under test would inherit that,
# and could then not be interrupted as a user's would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

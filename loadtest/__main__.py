"""``python -m loadtest``, and the program ``loadtest``."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C while the modules are imported, when nothing was started yet, ends it without a stack trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from loadtest.cli import main

if __name__ == "__main__":
    main()

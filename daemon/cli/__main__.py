"""What `porter` runs, and `python -m daemon.cli`: Ctrl-C is one line while modules load, too."""

from __future__ import annotations

import sys

from daemon import log
from daemon.errors import Interrupted


def main() -> None:
    """Load the command line, and run it."""
    try:
        from daemon.cli.main import main as run

        run()
    except KeyboardInterrupt:
        log.report("interrupted")
        sys.exit(Interrupted.exit_code)


if __name__ == "__main__":
    main()

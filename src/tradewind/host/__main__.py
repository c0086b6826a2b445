"""``python -m tradewind.host``: keep the instance that this process has claimed and standard input describes."""

from __future__ import annotations

import json
import os
import sys
import traceback

from tradewind.host.keeper import keep_claimed
from tradewind.host.letter import read_letter


def main() -> None:
    """Keep it until it ends; never returns."""
    code = 1
    try:
        task = read_letter(json.load(sys.stdin.buffer))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        code = keep_claimed(task)
    except BaseException:  # the last frame of this process, whose log is all there is left
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not a return: an interpreter that shuts down waits for threads.
        os._exit(code & 0xFF)


if __name__ == "__main__":
    main()

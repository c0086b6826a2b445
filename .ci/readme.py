"""Print the n-th command block of README.md (from 1), so that what is checked is what is written.

``python .ci/readme.py 2`` prints the command that runs the tests.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the command blocks of a Markdown text, in order."""
    return [block.strip() for block in BLOCK.findall(text)]


if __name__ == "__main__":
    print(commands(README.read_text(encoding="utf-8"))[int(sys.argv[1]) - 1])

"""Build the notebooks in ``examples/`` from the scripts beside them: ``python tools/notebooks.py``.

The scripts are in the percent format that Jupytext and editors know. A notebook is made from its script and holds no
outputs, so a change is reviewed in one place, as text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"

MARKER = re.compile(r"# %%(?P<kind> \[markdown\])?(?P<tags> tags=\[.*\])?")

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook(script: str) -> str:
    """Return the text of the notebook that a script in percent format stands for.

    Raises
    ------
    ValueError
        The script doesn't begin with a cell, or a marker can't be read.
    """
    cells: list[dict[str, object]] = []
    for number, block in enumerate(_blocks(script), start=1):
        match = MARKER.fullmatch(block[0])
        if match is None:
            raise ValueError(f"cell {number} begins with {block[0]!r}; expected '# %%' or '# %% [markdown]'")
        text = "\n".join(block[1:]).strip("\n")
        # A cell that only notebooks run is commented out in the script, as in Jupytext.
        if match["kind"] or "active-ipynb" in (match["tags"] or ""):
            text = re.sub(r"(?m)^# ?", "", text)
        cell: dict[str, object] = {"id": f"cell-{number:02}", "metadata": {}, "source": text.splitlines(keepends=True)}
        if match["kind"]:
            cell["cell_type"] = "markdown"
        else:
            cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append(cell)
    content = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _blocks(script: str) -> list[list[str]]:
    blocks: list[list[str]] = []
    for line in script.splitlines():
        if line.startswith("# %%"):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        elif line:
            raise ValueError(f"the script begins with {line!r}, before its first '# %%'")
    return blocks


def main() -> None:
    """Write every notebook anew."""
    for script in sorted(EXAMPLES.glob("[0-9]*.py")):
        script.with_suffix(".ipynb").write_text(notebook(script.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

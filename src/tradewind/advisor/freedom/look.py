"""Which of a project's files are read, and by whom."""

from __future__ import annotations

from tradewind.advisor.freedom.code import look_at_module
from tradewind.advisor.freedom.finding import Document, Looked
from tradewind.advisor.freedom.notebook import look_at_notebook
from tradewind.advisor.freedom.pledge import FILE
from tradewind.advisor.freedom.rules import Freedoms
from tradewind.advisor.freedom.software import (
    is_image,
    is_lock,
    is_software,
    look_at_image,
    look_at_lock,
    look_at_software,
)
from tradewind.advisor.freedom.texts import look_at_settings

SETTINGS = (
    ".yaml",
    ".yml",
    ".toml",
    ".cfg",
    ".ini",
    ".env",
    ".sh",
    ".bash",
    ".sbatch",
    ".slurm",
    ".pbs",
    ".sge",
    ".tf",
)


TESTS = frozenset({"tests", "test"})


def is_read(path: str) -> bool:
    """Whether a file of this name says anything here.

    Tests don't: they name what never is, and nobody's results depend on them.
    """
    *folders, name = path.split("/")
    if TESTS & set(folders) or name == "conftest.py" or (name.startswith("test_") and name.endswith(".py")):
        return False
    return (
        name.endswith((".py", ".ipynb", *SETTINGS))
        or is_lock(path)
        or is_software(path)
        or is_image(path)
        or name.upper().startswith(("CLA", "CONTRIBUT"))
    )


def look_at(document: Document, freedoms: Freedoms) -> Looked:
    """Return what is found in a file, whatever it holds."""
    path = document.path
    if path == FILE:
        return Looked()
    if is_lock(path):
        return look_at_lock(document, freedoms)
    if is_software(path):
        return look_at_software(document, freedoms)
    if path.endswith(".py"):
        return look_at_module(document, freedoms)
    if path.endswith(".ipynb"):
        return look_at_notebook(document, freedoms)
    looked = look_at_settings(document, freedoms)
    if not is_image(path):
        return looked
    image = look_at_image(document, freedoms)
    return Looked(findings=looked.findings + image.findings, uses=image.uses, addresses=looked.addresses)

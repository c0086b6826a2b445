"""What the settings of a table mean, as its source says under each."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from types import MappingProxyType


@cache
def meanings(table: type) -> Mapping[str, str]:
    """Return the docstring under each field of a dataclass, which Python itself doesn't keep; inherited fields too.

    Parameters
    ----------
    table : type
        Its source must be there to read, as that of all classes of this package is.
    """
    found = {}
    for owner in reversed(table.__mro__):
        if not is_dataclass(owner):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    found[name] = " ".join(doc.split())
    return MappingProxyType(found)

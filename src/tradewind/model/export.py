"""What can be taken elsewhere."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """What an export is."""

    FOCUS_CSV = "focus-csv"
    """Usage by day as the FinOps Open Cost and Usage Specification wants it."""
    FOCUS_PARQUET = "focus-parquet"
    CSV = "csv"
    """Usage as it was metered, one line for each interval."""
    EVERYTHING = "everything"
    """All that the workspace has, as JSON lines in a ZIP."""

    @property
    def media_type(self) -> str:
        """For a server to say."""
        match self:
            case Format.FOCUS_PARQUET:
                return "application/vnd.apache.parquet"
            case Format.EVERYTHING:
                return "application/zip"
        return "text/csv; charset=utf-8"

    @property
    def ending(self) -> str:
        """Of a file's name."""
        return {Format.FOCUS_PARQUET: "parquet", Format.EVERYTHING: "zip"}.get(self, "csv")

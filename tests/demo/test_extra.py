"""Without the optional packages the demo answers with the line that installs them."""

import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
from tradewind.errors import MissingExtra
try:
    import tradewind.demo
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["iris_sample_data", "netCDF4", "matplotlib"])
def test_a_missing_package_is_named_with_the_pip_line(package: str) -> None:
    # A process of its own, since modules that are already loaded can't be missing.
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(blocked=package)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    assert f"needs the package '{package}'" in done.stdout
    assert "pip install 'tradewind[demo]'" in done.stdout

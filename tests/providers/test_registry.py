"""The registry opens what it knows, alone, and says what it knows."""

import subprocess
import sys

import pytest

from tradewind.errors import BadRequest, MissingExtra
from tradewind.providers.base import ProviderSettings
from tradewind.providers.fake import FakeProvider
from tradewind.providers.registry import PROVIDERS, known, open_provider

SETTINGS = ProviderSettings(installation="mine", state_directory="nowhere")


def test_a_known_name_opens_its_provider():
    assert isinstance(open_provider("fake", SETTINGS), FakeProvider)


def test_every_name_in_the_table_is_known_and_is_the_name_of_its_module():
    assert known() == tuple(sorted(PROVIDERS))
    assert all(place.split(":")[0] == f"tradewind.providers.{name}" for name, place in PROVIDERS.items())


@pytest.mark.parametrize(
    ("name", "words"), [("Fake", "did you mean 'fake'"), ("zzz", "known are: fake, htcondor, local")]
)
def test_an_unknown_name_lists_the_known_and_the_nearest(name, words):
    with pytest.raises(BadRequest, match=words):
        open_provider(name, SETTINGS)


def test_a_missing_library_is_a_missing_extra_with_the_command(tmp_path, monkeypatch):
    (tmp_path / "cloudy.py").write_text("import a_library_nobody_has.sub\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtra, match=r"'a_library_nobody_has'.*pip install 'tradewind\[cloudy\]'"):
        open_provider("cloudy", SETTINGS, providers={"cloudy": "cloudy:Cloudy"})


def test_a_fault_of_our_own_is_not_called_a_missing_extra():
    with pytest.raises(ModuleNotFoundError) as fault:
        open_provider("lost", SETTINGS, providers={"lost": "tradewind.providers.never_was:Lost"})
    assert not isinstance(fault.value, MissingExtra)


def test_the_registry_alone_imports_no_provider():
    code = (
        "import sys, tradewind.providers.registry; print([m for m in sys.modules if m.endswith(('.fake', '.local'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

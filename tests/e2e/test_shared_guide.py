"""The guide to a workspace of two with a budget, its commands and its program run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.served import SRC, end_server, start_server

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "shared-workspace.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```bash\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
PROGRAM = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)[0]
HERE = "https://127.0.0.1:8886"
LIMIT = "2.1 USD"
"""Less than the guide's, for a test has no lunch: it lasts six seconds longer than a cluster must be able to run."""
OURS = {"Sec-Fetch-Site": "same-origin"}


@dataclass(kw_only=True)
class Somebody:
    """A person with a home of their own, a terminal and a browser."""

    name: str
    url: str
    home: Path
    browser: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.home.mkdir()
        # What a person does who goes on past the browser's warning.
        self.browser = httpx2.Client(base_url=self.url, headers=OURS, verify=False, timeout=30)  # noqa: S501

    def environ(self) -> dict[str, str]:
        """Return what their shell knows."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("TRADEWIND", "XDG"))}
        return {**kept, "HOME": str(self.home), "PYTHONPATH": str(SRC), "PYTHONUNBUFFERED": "1"}

    def types(self, script: str, *, fails: bool = False) -> str:
        """Run what the guide says in their shell, and return what they see."""
        done = subprocess.run(
            ["bash", "-euc", self._shell() + script.replace(HERE, self.url)],
            cwd=self.home,
            env=self.environ(),
            capture_output=True,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def runs(self, program: str) -> str:
        """Run a program of theirs that doesn't end well, and return what it said."""
        return self.types(f"cat > program.py <<'END'\n{program}\nEND\n{sys.executable} program.py", fails=True)

    def signs_in(self, login: str, fingerprint: str) -> str:
        """Type ``tradewind login``, and confirm in the browser that the code is the same."""
        script = login.strip().replace(HERE, self.url) + f" --no-browser --fingerprint {fingerprint}"
        process = subprocess.Popen(
            ["bash", "-euc", self._shell() + script],
            cwd=self.home,
            env=self.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "shows the code" in line:
                break
        page, code = re.findall(r"(https://\S+/logins/\S+)", said)[0], re.findall(r"code (\S+)\.", said)[0]
        assert code in self.browser.get(page).text
        assert self.browser.post(page, data={}).status_code == 200
        said += process.communicate(timeout=30)[0]
        assert process.returncode == 0, said
        return said

    def _shell(self) -> str:
        return f"tradewind() {{ {sys.executable} -c 'from tradewind.cli import main; main()' \"$@\"; }}\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_people_reach_a_budget_that_stops_a_runaway_cluster_as_the_guide_says(tmp_path: Path) -> None:
    serving, signing_in, inviting, joining, looking, raising = COMMANDS
    price = re.findall(r"TRADEWIND_LOCAL__PRICE_PER_HOUR=(\d+) tradewind serve\n", serving)[0]
    directory = tmp_path / "server"
    directory.mkdir()
    (directory / "config.toml").write_text(f'[local]\nprice_per_hour = "{price}"\n')
    process, url = start_server(directory)
    try:
        printed = "".join(process.stdout.readline() for _ in range(5)) if process.stdout else ""
        fingerprint = re.findall(r"certificate +(\S+)", printed)[0]
        secret = re.findall(r"/welcome#(\S+)", printed)[0]
        ada = Somebody(name="ada", url=url, home=tmp_path / "ada")
        assert ada.browser.post("/welcome", data={"secret": secret, "name": "ada"}).status_code == 200
        assert "where you are owner" in ada.signs_in(signing_in, fingerprint)
        link = re.findall(r"/invitations/accept#(\S+)", ada.types(inviting.replace("4 USD", LIMIT)))[0]

        bob = Somebody(name="bob", url=url, home=tmp_path / "bob")
        assert bob.browser.post("/invitations/accept", data={"secret": link, "name": "bob"}).status_code == 200
        assert "where you are member" in bob.signs_in(joining, fingerprint)
        said = bob.runs(PROGRAM)
        refused = bob.runs(PROGRAM)

        assert "Cluster 'runaway' ends in 30 s: what is left of the budget of 2.10 USD a month" in said
        assert "FuturesCancelledError" in said
        assert "OverBudget" in refused
        for somebody in (ada, bob):
            seen = somebody.types(looking)
            assert "stopped: budget" in seen
            assert "Stopping (budget)" in seen
            cost = float(re.findall(r"^cost +([\d.]+) USD", seen, re.MULTILINE)[0])
            assert 1.0 < cost < 2.1
            assert "lasts less than 60 s" in somebody.browser.get("/workspaces/default").text
        assert "may not change budgets" in bob.types(raising, fails=True)
        assert "8.00 USD" in ada.types(raising)
    finally:
        end_server(process)

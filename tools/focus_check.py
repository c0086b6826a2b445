"""Check an export against the rules of the FOCUS specification, as its makers' validator applies them.

Usage: ``python tools/focus_check.py PYTHON`` with a Python that has ``focus-validator`` (3.12 or newer, in an
environment of its own: it pins libraries that we use newer); ``.ci/run focus`` makes one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from focus_sample import write

RULES = "1.2.0.1"
"""The newest that the validator brings along; others it would have to download."""
HOLDS_HERE = (
    "ACCOUNT_NAMING PUBLIC_PRICE_LIST NEGOTIATED_PRICING USAGE_MEASUREMENT UNIT_PRICING SUB_ACCOUNT "
    "MULTIPLE_SUB_ACCOUNT_TYPES MULTIPLE_BILLING_ACCOUNT_TYPES MULTIPLE_PRICING_CATEGORIES "
    "BILLING_BASED_ON_PROVISIONED_RESOURCES RESOURCE_TYPE_ASSIGNMENT PRICING_BILLING_CURRENCY_DIFFERENCES "
    "VIRTUAL_CURRENCY REGION TAGGING"
)
"""Criteria that make a rule apply: all but zones, committed discounts and reserved capacity, which we don't have."""
NO_INVOICE = {"InvoiceId-C-005-C"}
"""An id where there is an invoice: the validator can't know that there is none, and one made up would be a lie."""
VIRTUAL_CURRENCY = {"PricingCurrency-C-000-C", "PricingCurrency-C-003-M"}
"""What service units break in the validator, though the specification's text lets a pricing currency be a virtual
one: it looks every currency up in ISO 4217."""


def broken(python: str, file: Path) -> set[str]:
    """Return the ids of the rules that a file breaks. Raises RuntimeError where the validator itself fails."""
    place = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    command = [
        str(Path(python).with_name("focus-validator")),
        *("--data-file", str(file), "--validate-version", RULES, "--block-download"),
        *("--applicability-criteria", ",".join(f"{one}_SUPPORTED" for one in HOLDS_HERE.split())),
    ]
    # It opens its list of currencies by a path from where it is installed.
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    total = re.search(r"Total: (\d+) \| Pass: (\d+) \| Fail: (\d+)", done.stdout)
    if total is None or int(total[2]) < 100:
        raise RuntimeError(f"the validator didn't come to an end:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    print(f"{file.name}: {total[0]}")
    return set(re.findall(r"❌ ([\w-]+): FAIL", done.stdout))


def main() -> int:
    """Return 1 if a rule is broken that shouldn't be, or one holds that is said not to."""
    faults = 0
    with tempfile.TemporaryDirectory() as directory:
        for with_units, expected in ((False, NO_INVOICE), (True, NO_INVOICE | VIRTUAL_CURRENCY)):
            for file in write(Path(directory), with_units=with_units):
                found = broken(sys.argv[1], file)
                if found != expected:
                    faults += 1
                    print(f"{file.name}: broken {sorted(found)}, expected {sorted(expected)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

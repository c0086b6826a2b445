"""Run a cluster where nothing but Tradewind and what it depends on is installed, and look at what was installed.

``python .ci/bare.py``, in a fresh environment after ``pip install .``, from any directory but the repository's.
"""

import importlib.util
from pathlib import Path

import tradewind
from tradewind import Cluster

EXTRAS = ("numpy", "pandas", "xarray", "bokeh", "ipywidgets", "matplotlib")
DATA = ("py.typed", "store/migrations/env.py", "store/migrations/versions/0001_first.py", "demo/climate.py")

if __name__ == "__main__":
    home = Path(tradewind.__file__).parent
    assert "site-packages" in home.parts, f"{home} is the repository's; run this from another directory"
    found = [name for name in EXTRAS if importlib.util.find_spec(name)]
    assert not found, f"{', '.join(found)} came along, so this says nothing of a bare environment"
    missing = [name for name in DATA if not (home / name).is_file()]
    assert not missing, f"the wheel lacks {', '.join(missing)}"
    print(Cluster.plan(n_workers=2))
    with Cluster(n_workers=2) as cluster:
        assert cluster.get_client().submit(sum, (1, 2)).result() == 3
    print(cluster.receipt())

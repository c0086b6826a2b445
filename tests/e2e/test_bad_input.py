"""Each wrong input is one line that names the thing, the fact and the next step, and nothing was started."""

from __future__ import annotations

import psutil
import pytest

from tests.e2e.conftest import instances_of
from tradewind import Cluster
from tradewind.errors import BadRequest, ConfigError

MORE_THAN_THERE_IS = f"{psutil.virtual_memory().total // 1024**3 + 100} GiB"


@pytest.mark.both_modes
@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"n_workers": -1}, ["n_workers=-1", "0 or more"]),
        ({"n_workers": [5, 2]}, ["n_workers=[5, 2]", "[min, max]"]),
        ({"n_workers": True}, ["n_workers=True"]),
        ({"worker_memory": "12 potatoes"}, ["worker_memory='12 potatoes'", "16 GiB"]),
        ({"worker_memory": MORE_THAN_THERE_IS, "n_workers": 1}, ["GiB", "this machine"]),
        ({"provider": "wonderland"}, ["wonderland", "local"]),
        ({"worker_gpu": 1}, ["GPU", "local"]),
        ({"software": "my-env"}, ["software='my-env'", "leave it out"]),
        ({"spot_policy": "spot"}, ["spot", "spot_with_fallback"]),
        ({"spot_policy": "cheap"}, ["cheap", "on-demand"]),
        ({"worker_vm_types": "m5.large"}, ["machine types", "worker_cpu"]),
        ({"worker_vm_types": "m5.large", "worker_cpu": 2}, ["worker_vm_types", "leave out"]),
        ({"idle_timeout": "soon"}, ["idle_timeout", "10 min"]),
        ({"n_worker": 2}, ["'n_worker'", "'n_workers'"]),
        ({"account": "me"}, ["account", "workspace"]),
        ({"worker_disk_size": 10}, ["worker_disk_size", "leave it out"]),
        ({"environ": {"AWS_SECRET_ACCESS_KEY": "x"}}, ["AWS_SECRET_ACCESS_KEY", "send_private_envs"]),
        ({"budget": "five"}, ["budget='five'", "5 EUR"]),
        ({"name": "a name/with:things"}, ["name=", "letters"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_keyword_is_one_clear_line_before_anything_starts(home, keywords, words):
    with pytest.raises(BadRequest) as caught:
        Cluster(show_widget=False, **keywords)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert not instances_of(home)


def test_unknown_keyword_is_a_type_error(home):
    with pytest.raises(TypeError, match="n_workers"):
        Cluster(n_wrkers=2)


def test_settings_file_with_a_wrong_key_names_file_key_and_nearest(home):
    (home / "config.toml").write_text('[local]\nprice_per_hor = "1"\n')
    with pytest.raises(ConfigError, match=r"config\.toml.*price_per_hor.*price_per_hour"):
        Cluster(n_workers=1)
    assert not instances_of(home)

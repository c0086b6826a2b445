import numpy as np

from tests.providers.local.orders import order
from tradewind.boot.serve import prepare_process, security_of
from tradewind.model.instance import Role


def test_a_prepared_process_does_not_go_on_with_the_random_numbers_it_inherited() -> None:
    np.random.seed(0)
    inherited = np.random.random()
    np.random.seed(0)
    prepare_process(order(Role.WORKER, "c", python_path=()).boot)
    assert np.random.random() != inherited


def test_keys_make_a_security_that_requires_encryption_for_every_role() -> None:
    security = security_of(order(Role.WORKER, "c").boot.keys)
    assert security.require_encryption
    for role in ("client", "scheduler", "worker"):
        config = security.get_tls_config_for_role(role)
        assert all(config[name].startswith("-----BEGIN") for name in ("ca_file", "cert", "key"))

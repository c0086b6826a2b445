"""The same numbers in every place, as `tradewind freedom --replicate A --replicate B` runs and compares them.

A pretend ocean of 24 years, its anomalies and its trend; printed with all their digits and as a hash of every bit. It
says nothing of where it runs: that is said by settings.
"""

import hashlib

import dask.array as da
import numpy as np

from tradewind import Cluster


def ocean(block_id: tuple[int, int, int]) -> np.ndarray:
    """Return a month of a pretend sea, the same on every machine: whole numbers, and no library's own dice."""
    month = block_id[0]
    y, x = np.meshgrid(np.arange(60), np.arange(80), indexing="ij")
    waves = (x * 7919 + y * 104729 + month * 1299709) % 1009
    return (waves / 1009 + (month % 12) / 12 + month / 240)[None]


if __name__ == "__main__":
    with Cluster(n_workers=2, wait_for_workers=1, show_widget=False) as cluster, cluster.get_client():
        field = da.map_blocks(ocean, chunks=((1,) * 288, (60,), (80,)), dtype="float64")
        months = field.reshape(24, 12, 60, 80)
        anomaly = (months - months.mean(axis=0)).reshape(288, 60, 80)
        time = np.arange(288) - 143.5
        trend = ((time[:, None, None] * anomaly).sum(axis=0) / (time**2).sum()).compute()

    print(f"mean trend {trend.mean():.17g} per month")
    print(f"largest    {trend.max():.17g}")
    print(f"sha256     {hashlib.sha256(np.ascontiguousarray(trend).tobytes()).hexdigest()}")

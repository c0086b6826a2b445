# %% [markdown]
# # Temperature anomalies on a cluster of your own
#
# This example answers two questions that climate scientists ask every day:
#
# 1. How much faster does North America warm if nothing is done, compared with strong climate protection?
# 2. When was the tropical Pacific warmer or colder than is normal *for the season*?
#
# The data are real: model output and satellite analyses of the UK's Met Office, which come with the package
# `iris-sample-data`. They are small, so that this runs in seconds on a laptop. The steps are the same for terabytes.
#
# You need: `pip install 'tradewind[demo]'`.

# %%
from pathlib import Path

import xarray as xr
from distributed import span

from tradewind import Cluster
from tradewind.demo import anomaly, check_trends, draw, open_fields, regional_mean, trend
from tradewind.demo.fields import data_directory

# %% [markdown]
# ## A cluster
#
# A cluster is a *scheduler* that hands out work and some *workers* that do it, here two, as processes of your own
# machine. `plan` starts nothing: it tells what would be started, and what an hour of it would cost.

# %%
print(Cluster.plan(n_workers=2))

# %% [markdown]
# One line starts it. A *client* is your connection to it: from here on every Dask computation in this notebook runs on
# the cluster, and the science below doesn't mention it again.

# %%
cluster = Cluster(n_workers=2)
client = cluster.get_client()

# %% [markdown]
# ## Open
#
# `open_fields` opens two files with xarray: the air temperature near the ground for every year from 1860 to 2099, in
# two scenarios. In **A1B** the world's economy grows and uses all sources of energy. In **E1** emissions are cut so
# that the climate settles. Up to 1999 both tell the same past.
#
# The array is cut into *chunks* of four years, and nothing is read yet. `persist` asks the workers to read the chunks
# and to keep them. The `span` gives this piece of work a name, under which you find it again in the history.

# %%
with span("open"):
    fields = open_fields().persist()

print(dict(fields.sizes), f"in {fields.data.npartitions} chunks")

# %% [markdown]
# ## Anomaly
#
# An *anomaly* is the difference from what is normal. Normal is the mean of 30 years, here 1961 to 1990, for each place
# by itself. Then one number a year for the whole region: the mean over all places, each counted with its area (a cell
# of the grid is smaller in the north than in the south).
#
# `compute` is where you wait: it brings the result here. It is 480 numbers, not the whole field.

# %%
with span("anomaly"):
    anomalies = anomaly(fields, base_period=(1961, 1990)).persist()
    series = regional_mean(anomalies).compute()

print(series.sel(year=[1900, 2000, 2050, 2099]).round(2).to_pandas())

# %% [markdown]
# ## Trend
#
# For each place, the slope of the straight line that fits the years 2000 to 2099 best (*least squares*), in degrees per
# decade.

# %%
with span("trend"):
    trends = trend(anomalies, period=(2000, 2099)).compute()

for scenario in trends["scenario"].values:
    mean = float(regional_mean(trends.sel(scenario=scenario)))
    print(f"{scenario}: North America warms by {mean:.2f} K per decade")

# %% [markdown]
# ## Is it right?
#
# A result that was computed in pieces on several machines deserves a check. The same trends again, with NumPy alone, in
# this process, by another method. The check fails loudly if any place differs by more than rounding explains.

# %%
difference = check_trends(trends)
print(f"largest difference from NumPy: {difference:.1e} K per decade")

# %% [markdown]
# ## Look

# %%
picture = draw(trends, series, Path("two-futures.png"))
print(f"the map is in {picture}")

# %% tags=["active-ipynb"]
# from IPython.display import Image
#
# Image(picture)

# %% [markdown]
# ## Normal for the season
#
# That the tropical Pacific is warmer in May than in January is no news. A *seasonal anomaly* compares each May with the
# mean May, each January with the mean January. This is plain xarray, and runs on the cluster just the same. The numbers
# are monthly satellite analyses of the sea surface temperature in the part of the Pacific by which El Niño is judged
# (Niño 3.4), from April 2006 to September 2010.

# %%
with span("seasonal anomaly"):
    ocean = xr.open_dataset(data_directory() / "ostia_monthly.nc", chunks={})["surface_temperature"]
    pacific = ocean.sel(longitude=slice(190, 240)).mean(("latitude", "longitude"))
    months = pacific.groupby("time.month")
    nino = (months - months.mean()).compute()

for word, month in (("coldest", nino.idxmin()), ("warmest", nino.idxmax())):
    print(f"{word} for its season: {month.dt.strftime('%B %Y').item()}, {float(nino.sel(time=month)):+.1f} K")

# %% [markdown]
# The cold at the end of 2007 is a La Niña, the warmth at the turn of 2009 to 2010 an El Niño.
#
# ## What it cost
#
# Close the cluster when you are done. If you forget, it ends by itself: soon after this notebook has gone, or when it
# has had nothing to do for a while. The receipt says what was used, and by which of the steps above.

# %%
client.close()
cluster.close()
print(cluster.receipt())

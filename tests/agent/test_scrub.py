"""What looks like a secret is hidden, what looks like science is not."""

import time

import pytest

from tradewind.agent.scrub import scrub

# Made up here, in pieces, so that no scanner of repositories takes them for real.
SECRETS = {
    "aws key id": ("aws_id = x('AK" + "IAIOSFODNN7EXAMPLE')", "IOSFODNN7"),
    "aws secret": ('aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEX"', "wJalr"),
    "aws in environ": ("os.environ['AWS_SECRET_ACCESS_KEY'] = 'wJalrXUtnFEMIK7MDENG'", "wJalr"),
    "aws in storage options": ("storage_options={'key': 'k', 'secret': 's3cr3t-value'}", "s3cr3t"),
    "password": ('connect(host, password="hunter2")', "hunter2"),
    "password with quote": ('passwd = "it\'s me"', "it's"),
    "token": ('token = "abcdef123456"', "abcdef"),
    "annotated token": ('token: str = "abcdef123456"', "abcdef"),
    "environ setdefault": ('os.environ.setdefault("API_KEY", "abcdef")', "abcdef"),
    "shell": ("export EARTHDATA_PASSWORD=correcthorse", "correcthorse"),
    "option": ("curl --token abc123xyz https://example.org", "abc123xyz"),
    "exception": ("OperationalError: user=me password=hunter2 host=db", "hunter2"),
    "authorization": ("headers={'Authorization': 'Bearer abcdefghijk'}", "abcdefghijk"),
    "authorization line": ("> Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjp"),
    "bare authorization": ('headers["Authorization"] = "abcdef0123456789"', "abcdef"),
    "url": ("open('https://me:pa55@example.org/x.nc')", "pa55"),
    "database url": ("postgresql+psycopg://me:p%40ss@db.example.org/x", "p%40ss"),
    "signed url": ("https://e.blob.core.windows.net/c/x.zarr?sv=2024&sig=AbCdEf123456%3D", "AbCdEf"),
    "azure": ("DefaultEndpointsProtocol=https;AccountName=me;AccountKey=AbCdEf123456==;", "AbCdEf"),
    "pem": ("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\nrest", "MHcC"),
    "pem cut short": ("x\n-----BEGIN PRIVATE KEY-----\nMHcCAQEE\nAAAA", "AAAA"),
    "pem without its beginning": ("AAAABBBB\nCCCC==\n-----END RSA PRIVATE KEY-----\nrest", "AAAABBBB"),
    "jwt": ("eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.SflKxwRJSM", "SflKx"),
    "github": ("login('ghp_" + "a1B2" * 9 + "')", "a1B2"),
    "gitlab": ("glpat-" + "a1B2c3D4e5F6g7H8i9", "a1B2"),
    "slack": ("xoxb-" + "1234567890-abcdef", "1234567890"),
    "hugging face": ("hf_" + "abcdefghijklmnopqrstuvwx", "abcdefg"),
    "hex key": ('key = "' + "0123456789abcdef" * 3 + '"', "0123456"),
    "base64 key": ('my_key="' + "Ab3dEf9hIjKlMn" * 3 + '="', "Ab3dEf"),
}

ORDINARY = [
    """
import xarray as xr
import dask.array as da
from distributed import Client, span

ds = xr.open_zarr("gs://bucket/era5.zarr", storage_options=dict(token="anon"), chunks={"time": 24})
ds2 = xr.open_dataset("s3://bucket/x.nc", engine="h5netcdf", backend_kwargs={"key": None, "anon": True})
with span("climatology"):
    clim = ds.t2m.groupby("time.month").mean("time")
anomaly = (ds.t2m.sel(lat=slice(60, 30)) - clim).compute()
x = da.random.random((1000, 1000), chunks=(100, 100))
xs = sorted(items, key=lambda item: item.key)
key = "mean_chunk-aggregate-0123456789"
for key, value in ds.attrs.items():
    print(key, value)
""",
    "token = get_token()\npassword = getpass.getpass()",
    "fs = S3FileSystem(token=token, secret=creds.secret, key=creds.key)",
    "tokens = line.split(',')\ntoken = tokenize(a, b)",
    "client.submit(f, key='inc-ab31c010444977004d656610d2d421ec', pure=False)",
    "name = 'mean_chunk-' + tokenize(x)\ndsk = {(name, 0, 0): (np.mean, 'x')}",
    'password=os.environ["PASSWORD"]\nurl = f"https://{user}:{password}@example.org"',
    'h = {"Authorization": f"Bearer {token}"}',
    "KeyError: 'time'\nValueError: conflicting sizes for dimension 'x': length 3 on 'a' and length 4 on 'b'",
    "da.map_blocks(f, x, dtype=float, meta=np.array((), dtype='f8'), name='my-block')",
    "xr.open_dataset('https://thredds.example.org/dodsC/x.nc?lat[0:1:10],lon[0:1:10]#fillmismatch')",
    "assert secret is None and token == 'x'",
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_hidden(name):
    text, secret = SECRETS[name]
    scrubbed = scrub(text)
    assert secret not in scrubbed
    assert "***" in scrubbed
    assert scrub(scrubbed) == scrubbed


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_code_is_left_as_it_is(text):
    assert scrub(text) == text


def test_what_stands_around_a_secret_is_kept():
    assert scrub('a = 1\nconnect(password="hunter2", port=5)\nb') == 'a = 1\nconnect(password="***", port=5)\nb'


@pytest.mark.parametrize(
    "piece", ["a-", "a:", "://", "token=", "key", "-----BEGIN PRIVATE KEY-----", "eyJ.", '"', "password: a|", "Bearer "]
)
def test_text_made_to_be_slow_is_scrubbed_in_time(piece):
    text = piece * (200_000 // len(piece))
    start = time.thread_time()  # what others on this machine do is no slowness of ours
    scrub(text)
    assert time.thread_time() - start < 2

"""Which addresses hold a secret: a table, and what is told of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import BadRequest
from tradewind.model.environment import Environment, Package, Source
from tradewind.planning.addresses import LOGIN, QUERY, TOKEN, UNREADABLE, check_addresses, secret_in
from tradewind.planning.names import image_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HOLD = [
    ("https://ada:hush@lab.example/simple", LOGIN),
    ("https://hush@lab.example/simple", LOGIN),
    ("HTTPS://hush@lab.example/simple", LOGIN),
    ("http://:hush@lab.example/simple", LOGIN),
    ("https://ada:hu/sh@lab.example/simple", LOGIN),
    ("https://hu/sh@lab.example/simple", LOGIN),
    ("https://ada:hu@sh@lab.example/simple", LOGIN),
    ("https://ada:hush%40lab.example/simple", LOGIN),
    ("ftp://ada@lab.example/simple", LOGIN),
    ("s3://key:hush@bucket/simple", LOGIN),
    ("file://ada:hush@share/simple", LOGIN),
    ("ada:hush@lab.example/simple", LOGIN),
    (f"git+https://ada:hush@lab.example/melt.git@{COMMIT}", LOGIN),
    (f"git+https://hush@lab.example/melt.git@{COMMIT}", LOGIN),
    (f"git+https://hu/sh@lab.example/melt.git@{COMMIT}", LOGIN),
    ("git+https://hu/sh@lab.example/melt.git", LOGIN),
    (f"git+ssh://git:hush@lab.example/melt.git@{COMMIT}", LOGIN),
    ("hg+https://hush@lab.example/melt", LOGIN),
    ("svn+https://ada:hush@lab.example/melt@12", LOGIN),
    ("https://lab.example/t/hush/climate", TOKEN),
    ("https://lab.example/t%2Fhush/climate", TOKEN),
    ("https://lab.example:8443/conda/t/hush", TOKEN),
    ("lab.example/t/hush/climate", TOKEN),
    ("https://dl.cloudsmith.io/hush/lab/melt/python/simple", TOKEN),
    ("https://lab.example/simple/ghp_0123456789abcdefghij0123", TOKEN),
    ("https://lab.example/simple#token=hush", TOKEN),
    ("https://lab.example/simple?token=hush", QUERY),
    ("https://lab.example/melt-1-py3-none-any.whl?X-Amz-Signature=hush", QUERY),
    ("git+https://lab.example/melt.git?private_token=hush", QUERY),
    ("https://lab.example/sim ple", UNREADABLE),
    ("https://lab.example\\@other.example/simple", UNREADABLE),
    ("https://lab.example/simple\n", UNREADABLE),
]
HOLD_NOTHING = [
    "",
    "conda-forge",
    "https://pypi.org/simple",
    "https://lab.example:8443/simple/",
    "https://[::1]:8080/simple",
    "https://lab.example/t/***/climate",
    "https://lab.example/climate/t",
    "https://dl.cloudsmith.io/public/lab/melt/python/simple",
    "https://dl.cloudsmith.io/***/lab/melt/python/simple",
    "https://lab.example/melt-1-py3-none-any.whl#sha256=0123",
    f"git+https://lab.example/melt.git@{COMMIT}#subdirectory=python&egg=melt",
    f"git+ssh://git@lab.example/melt.git@{COMMIT}",
    f"git+ssh://lab.example/melt.git@{COMMIT}",
    "git@lab.example:ice/melt.git",
    "hg+https://lab.example/melt@abc",
    "file:///home/ada@lab/t/melt",
    "/srv/t/our shelf/simple",
    "C:\\shelf\\simple",
]


@pytest.mark.parametrize(("url", "what"), HOLD, ids=[url for url, _ in HOLD])
def test_an_address_with_a_secret_is_found_out(url: str, what: str) -> None:
    assert secret_in(url) == what


@pytest.mark.parametrize("url", HOLD_NOTHING)
def test_an_address_that_everybody_may_read_is_let_pass(url: str) -> None:
    assert secret_in(url) == ""


@pytest.mark.parametrize(("url", "what"), HOLD, ids=[url for url, _ in HOLD])
def test_a_refusal_names_the_field_and_never_the_secret(url: str, what: str) -> None:
    package = Package(name="melt", version="1", source=Source.ARCHIVE, url=url)
    for words, field in (
        ({"packages": (package,)}, "packages[melt].url"),
        ({"packages": (), "indexes": ("https://pypi.org/simple", url)}, "indexes[1]"),
        ({"packages": (), "channels": (url,)}, "channels[0]"),
    ):
        with pytest.raises(BadRequest) as caught:
            check_addresses(Environment(python="3.11", platform="linux-x86_64", content_hash="", **words))  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"{field}: ")
        assert what in str(caught.value)
        assert "netrc" in str(caught.value)
        assert not any(part in str(caught.value) for part in ("hush", "hu/", "ghp_", "%40"))


WORD = st.text("abcXYZ0189-_.~!$&'()*+,;=:/%", min_size=1, max_size=12)


@given(WORD, WORD, st.sampled_from(["", "git+", "hg+"]), st.sampled_from(["", f"@{COMMIT}"]))
def test_whatever_a_login_is_made_of_it_is_found_out(user: str, password: str, kind: str, commit: str) -> None:
    assert secret_in(f"{kind}https://{user}:{password}@lab.example/melt{commit}")


@given(st.text(max_size=60))
def test_no_text_whatever_breaks_it(text: str) -> None:
    package = Package(name="melt", version="1", url=text)
    environment = Environment(python="3.11", platform="linux-x86_64", content_hash="", packages=(package,))
    try:
        check_addresses(environment)
    except BadRequest:
        assert secret_in(text)


@pytest.mark.parametrize("image", ["ada:hush@lab.example/climate", "lab.example/climate@hush", "a" * 256])
def test_an_image_has_nothing_but_a_digest_behind_an_at(image: str) -> None:
    with pytest.raises(BadRequest, match="can't be an image"):
        image_name(image)


def test_an_image_may_be_named_by_its_digest() -> None:
    assert image_name(f"ghcr.io/lab/climate@sha256:{'0a' * 32}")

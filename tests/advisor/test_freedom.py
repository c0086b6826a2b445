"""What ties a project: what is found and where, what isn't, and what was given up on purpose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.advisor.freedom.finding import Document
from tradewind.advisor.freedom.look import is_read, look_at
from tradewind.advisor.freedom.loss import Loss, Report
from tradewind.advisor.freedom.notebook import plain_python
from tradewind.advisor.freedom.pledge import Pledge, read_pledge
from tradewind.advisor.freedom.rules import FULL
from tradewind.advisor.freedom.weigh import Project, weigh
from tradewind.advisor.shelf import open_freedoms

TODAY = date(2026, 11, 24)
WELL = {
    "LICENSE": "",
    "README.md": "",
    "uv.lock": 'name = "numpy"\n',
    "freedom.toml": '[project]\ncopy = "Zenodo"\nreplicated = 2026-11-01\n'
    'login = ["oidc"]\nfunded_until = 2029-01-01\n',
}
"""What a project needs to lose nothing by what it hasn't."""


def judged(files: Mapping[str, str], today: date = TODAY) -> Report:
    """Return the report on a project of these files."""
    freedoms = open_freedoms()
    looked = [look_at(Document(path=path, text=text), freedoms) for path, text in files.items() if is_read(path)]
    pledge = read_pledge(files["freedom.toml"], freedoms, today) if "freedom.toml" in files else Pledge()
    return weigh(Project(looked=tuple(looked), paths=tuple(files)), pledge, freedoms, today)


def well(**files: str) -> Report:
    """Return the report on a project that is well but for these files; ``__`` is a dot, ``_in_`` a slash."""
    return judged({**WELL, **{path.replace("_in_", "/").replace("__", "."): text for path, text in files.items()}})


def lost(report: Report) -> set[tuple[str, str]]:
    """Return each loss as its rule and what it is of."""
    return {(loss.rule.id, loss.what) for loss in report.losses}


def one(report: Report, rule: str) -> Loss:
    """Return the only loss by this rule."""
    (loss,) = [loss for loss in report.losses if loss.rule.id == rule]
    return loss


def notebook(*cells: str, **metadata: Any) -> str:
    """Return a notebook of code cells."""
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], "metadata": metadata})


def test_a_project_that_has_everything_loses_nothing() -> None:
    report = well(run__py="import numpy\n")

    assert lost(report) == set()
    assert [score.left for score in report.scores] == [FULL] * 5


def test_a_bare_script_is_told_what_it_lacks() -> None:
    report = judged({"run.py": "import numpy\n"})

    missing = {"no-environment", "no-licence", "no-readme", "no-copy", "never-replicated"}
    assert {loss.rule.id for loss in report.losses} == missing


@pytest.mark.parametrize(
    ("code", "rule", "what", "line"),
    [
        ("\nimport coiled\n", "closed-service", "coiled", 2),
        ("import coiled as c\n@c.function(region=r)\ndef f(): ...", "vendor-decorator", "coiled.function", 2),
        (
            "import modal\napp = modal.App()\n@app.function()\ndef f(): ...",
            "vendor-decorator",
            "modal.App().function",
            3,
        ),
        ("import ray\n@ray.remote\nasync def f(): ...", "vendor-decorator", "ray.remote", 2),
        ("from pathlib import Path\nPath('/home/jovyan/x.nc')", "written-in-path", "/home/jovyan", 2),
        ("x = f'/scratch/ada/{name}.nc'", "written-in-path", "/scratch/ada", 1),
        ("Gateway('https://hub.example.org/services')", "written-in-path", "https://hub.example.org", 1),
        ("go(region='us-west-2')", "written-in-region", "us-west-2", 1),
        ("go(zone='europe-west1-b')", "written-in-region", "europe-west1", 1),
        ("go('arn:aws:iam::123456789012:role/x')", "written-in-account", "123456789012", 1),
        ("import boto3", "direct-storage", "boto3", 1),
        ("from google.cloud import storage", "direct-storage", "google.cloud.storage", 1),
        ("fs = S3(requester_pays=True)", "requester-pays", "requester_pays", 1),
        ("opts = {'requester_pays': True}", "requester-pays", "requester_pays", 1),
        ("read('map.sid')", "closed-format", ".sid", 1),
        ("import pickle\npickle.dump(x, file)", "pickled", "pickle.dump", 2),
        ("df.to_pickle('x')", "pickled", "df.to_pickle", 1),
        ("import planetary_computer as pc\npc.sign(item)", "signed-data", "planetary_computer.sign", 2),
        ("import importlib\nimportlib.import_module('modal')", "closed-service", "modal", 2),
    ],
)
def test_code_that_ties_is_found_with_its_line(code: str, rule: str, what: str, line: int) -> None:
    report = well(run__py=code)

    loss = one(report, rule)
    assert loss.what == what
    assert loss.places[0].path == "run.py"
    assert loss.places[0].line == line


@pytest.mark.parametrize(
    "code",
    [
        '"""Reads /home/jovyan, s3://bucket, us-west-2."""',
        "# /home/jovyan us-west-2",
        "fs = S3(requester_pays=False)",
        "import coiledspring",
        "text = 'see us-west-2 for more'",
        "url = 'https://example.org/home/ada/data.nc'",
        "url = 'https://hub.docker.com/r/dask'",
        "from .coiled import thing",
        "import pickle\npickle.dumps(x)",
    ],
)
def test_code_that_only_looks_so_is_let_alone(code: str) -> None:
    assert lost(well(run__py=code)) == set()


def test_clusters_started_in_one_module_are_as_they_should_be() -> None:
    code = "from dask.distributed import LocalCluster\nLocalCluster()\nLocalCluster()\n"

    assert lost(well(run__py=code)) == set()


def test_clusters_started_elsewhere_too_are_lost_there_ours_among_them() -> None:
    home = "from dask.distributed import LocalCluster\nLocalCluster()\nLocalCluster()\n"
    report = well(home__py=home, other__py="from tradewind import Cluster\nc = Cluster(n_workers=2)\n")

    loss = one(report, "scattered-clusters")
    assert (loss.what, [str(place) for place in loss.places]) == ("tradewind.Cluster", ["other.py:2"])


def test_tests_name_what_never_is_and_arent_read() -> None:
    files = dict.fromkeys(["tests/test_run.py", "src/tests/data.py", "test_run.py", "conftest.py"], "import coiled")

    assert lost(judged({**WELL, **files})) == set()


def test_an_extra_costs_less_than_what_is_always_needed() -> None:
    core = '[project]\nname = "x"\ndependencies = ["coiled>=1"]\n'
    extra = '[project]\nname = "x"\n[project.optional-dependencies]\ncloud = ["coiled>=1"]\n'

    assert one(well(pyproject__toml=core), "closed-service").points == 6
    assert one(well(pyproject__toml=extra), "closed-service").points == 2


def test_what_the_files_of_packages_say_counts_before_imports() -> None:
    extra = '[project]\nname = "x"\n[project.optional-dependencies]\ncloud = ["coiled>=1"]\n'
    core = '[project]\nname = "x"\ndependencies = ["coiled>=1"]\n'
    caught = "try:\n    import coiled\nexcept ImportError:\n    pass\n"

    assert one(well(pyproject__toml=extra, run__py="import coiled"), "closed-service").points == 2
    assert one(well(pyproject__toml=core, run__py=caught), "closed-service").points == 6


def test_an_import_whose_absence_is_caught_is_an_extra() -> None:
    code = "try:\n    import coiled\nexcept ImportError:\n    coiled = None\n"

    assert one(well(run__py=code), "closed-service").points == 2


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = [\n  "dask",\n  "Arraylake[icechunk]>=1",\n]\n', 5),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\narraylake = "^1"\n', 3),
        ("pixi.toml", '[project]\nname = "x"\n[dependencies]\narraylake = "*"\n', 4),
        ("requirements.txt", "# what we need\ndask\narraylake==1.0 # catalogue\n", 3),
        ("requirements/base.txt", "arraylake\n", 1),
        ("environment.yml", "name: x\ndependencies:\n  - dask\n  - pip:\n    - arraylake>=1\n", 5),
        ("environment-dev.yaml", "dependencies: [dask,\n]\ndependencies:\n- conda-forge::arraylake=1\n", 4),
        ("setup.cfg", "[options]\ninstall_requires =\n    dask\n    arraylake\n", 4),
        ("Pipfile", '[packages]\narraylake = "*"\n', 2),
        ("Dockerfile", "FROM python:3.11\nRUN pip install dask arraylake\n", 2),
        ("uv.lock", '[[package]]\nname = "arraylake"\n', 2),
        ("conda-lock.yml", "package:\n- name: arraylake\n", 2),
    ],
)
def test_packages_are_found_in_every_kind_of_file(name: str, text: str, line: int) -> None:
    report = judged({**WELL, name: text})

    loss = one(report, "closed-service")
    assert loss.what == "arraylake"
    assert (loss.places[0].path, loss.places[0].line) == (name, line)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("requirements.txt", "--extra-index-url https://pypi.lab.example/simple\ndask\n", "pypi.lab.example"),
        ("requirements.txt", "x @ git+ssh://git@github.com/lab/x.git\n", "git over ssh from github.com"),
        ("requirements.txt", "-e ../shared\n", "a folder of this machine"),
        (
            "environment.yml",
            "channels:\n  - https://conda.lab.example/x\ndependencies:\n  - dask\n",
            "conda.lab.example",
        ),
        ("pyproject.toml", '[[tool.uv.index]]\nurl = "https://pypi.lab.example/simple"\n', "pypi.lab.example"),
        ("uv.lock", 'source = { registry = "https://pypi.lab.example/simple" }\n', "pypi.lab.example"),
        (
            "k8s.yaml",
            "image: 123456789012.dkr.ecr.us-west-2.amazonaws.com/x",
            "123456789012.dkr.ecr.us-west-2.amazonaws.com",
        ),
    ],
)
def test_sources_that_others_cant_reach_are_lost(name: str, text: str, what: str) -> None:
    assert ("private-source", what) in lost(judged({**WELL, name: text}))


def test_public_sources_are_no_loss() -> None:
    text = "--index-url https://pypi.org/simple\nx @ git+https://github.com/dask/dask\ndask\n"

    assert lost(judged({**WELL, "requirements.txt": text})) == set()


def test_exact_requirements_are_a_lock() -> None:
    files = {name: text for name, text in WELL.items() if name != "uv.lock"}

    assert "no-lock" not in {loss.rule.id for loss in judged({**files, "requirements.txt": "a==1\nb==2.0\n"}).losses}
    assert "no-lock" in {loss.rule.id for loss in judged({**files, "requirements.txt": "a==1\nb\n"}).losses}


def test_images_of_a_vendor_and_of_one_platform_are_lost() -> None:
    report = judged({**WELL, "Dockerfile": "FROM --platform=linux/amd64 databricksruntime/standard:latest\n"})

    assert lost(report) == {("vendor-image", "databricksruntime/standard:latest"), ("one-platform", "linux/amd64")}


def test_the_cloud_with_most_buckets_is_home_and_others_are_far() -> None:
    code = "a = ['s3://one/x', 's3://two/y', 'gs://three/z', 'https://four.blob.core.windows.net/x']"

    far = {what for rule, what in lost(well(run__py=code)) if rule == "far-data"}
    assert far == {"three (google)", "four (azure)"}


def test_a_project_says_itself_where_home_is() -> None:
    said = WELL["freedom.toml"] + 'cloud = "google"\n'
    report = judged({**WELL, "freedom.toml": said, "run.py": "a = ['s3://one/x', 'gs://two/y']"})

    assert ("far-data", "one (aws)") in lost(report)


def test_s3_at_an_endpoint_of_ones_own_is_no_cloud() -> None:
    code = "a = 'gs://two/y'\nfs = S3FileSystem(endpoint_url=url)\nfs.open('s3://one/x')"

    assert lost(well(run__py=code)) == set()


def test_a_notebook_is_read_with_its_magics() -> None:
    cells = ["%matplotlib inline\n!ls /home/x\nfiles = !ls\n%pip install -q coiled\nx?\nopen('/home/jovyan/y')"]
    report = judged({**WELL, "maps.ipynb": notebook("import numpy", *cells)})

    assert report.unread == ()
    assert str(one(report, "written-in-path").places[0]) == "maps.ipynb:cell 2:6"
    assert str(one(report, "closed-service").places[0]) == "maps.ipynb:cell 2:4"


def test_names_of_one_cell_mean_the_same_in_the_next() -> None:
    report = judged({**WELL, "maps.ipynb": notebook("import coiled as c", "@c.function()\ndef f(): ...")})

    assert str(one(report, "vendor-decorator").places[0]) == "maps.ipynb:cell 2:1"


def test_a_formula_over_two_lines_is_no_magic() -> None:
    assert plain_python("x = ('a %s'\n  % y)") == "x = ('a %s'\n  % y)"


@pytest.mark.parametrize(("cells", "is_lost"), [(1, False), (2, True), (5, True)])
def test_a_closed_platform_is_where_over_a_fifth_of_the_code_lives(cells: int, is_lost: bool) -> None:
    code = ["import ee\nee.Image('x')", *["y = ee.Image('z')"] * (cells - 1), *["1 + 1"] * (5 - cells)]
    report = judged({**WELL, "maps.ipynb": notebook(*code)})

    assert ("closed-platform" in {loss.rule.id for loss in report.losses}) is is_lost


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.py", "def broken("),
        ("run.py", "(" * 50_000),
        ("run.py", "-" * 100_000 + "1"),
        ("run.py", "x" + ".a" * 50_000),
        ("run.py", "a = 1\0"),
        ("maps.ipynb", "{"),
        ("maps.ipynb", "[" * 100_000),
        ("maps.ipynb", "[]"),
        ("maps.ipynb", '{"cells": 3}'),
        ("maps.ipynb", notebook("def broken(")),
        ("maps.ipynb", notebook("library(terra)", kernelspec={"language": "R"})),
        ("pyproject.toml", "[project"),
        ("setup.cfg", "no section"),
    ],
)
def test_what_cant_be_read_is_told_and_never_breaks(name: str, text: str) -> None:
    report = judged({**WELL, name: text})

    assert [one.path.startswith(name) for one in report.unread] == [True]


@given(
    st.sampled_from(
        [
            "run.py",
            "a.ipynb",
            "pyproject.toml",
            "environment.yml",
            "requirements.txt",
            "Dockerfile",
            "uv.lock",
            "x.yaml",
        ]
    ),
    st.text(),
)
def test_no_text_breaks_it(name: str, text: str) -> None:
    report = judged({name: text})

    assert all(0 <= score.left <= FULL for score in report.scores)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["cells", "source", "cell_type", "metadata", "kernelspec", "language"]), inner
            )
        ),
    )
)
def test_no_notebook_breaks_it(value: object) -> None:
    judged({"a.ipynb": json.dumps(value)})


EVERYTHING = {
    "run.py": """
import boto3, coiled, ee, modal, pickle, planetary_computer
from dask.distributed import LocalCluster

@coiled.function(region="us-west-2")
def work():
    LocalCluster()
    pickle.dump(planetary_computer.sign(ee.Image("arn:aws:iam::123456789012:role/x")), open("/home/jovyan/map.sid"))
    S3FileSystem(requester_pays=True)

URLS = ["s3://one/x", "s3://two/y", "gs://three/z"]
""",
    "other.py": "from dask_gateway import Gateway\nGateway()\n",
    "requirements.txt": "--index-url https://pypi.lab.example/simple\ndask\n",
    "Dockerfile": "FROM --platform=linux/amd64 databricksruntime/standard\n",
    "CLA.md": "You assign your copyright to us.\n",
    "freedom.toml": '[project]\nlogin = ["google"]\nfunded_until = 2026-12-31\n'
    'services = ["nebari", "pangeo-forge-cloud", "nebari-infrastructure-core", "deafrica", "leap-hub"]\n',
}


def test_a_project_that_does_everything_wrong_loses_by_every_rule() -> None:
    losing = {loss.rule.id for loss in judged(EVERYTHING).losses}
    losing |= {loss.rule.id for loss in judged({"run.py": "1"}).losses}

    assert losing == set(open_freedoms().rules)


def test_no_bar_loses_more_than_it_has_and_no_rule_more_than_it_may() -> None:
    report = judged(EVERYTHING)

    assert all(score.left >= 0 for score in report.scores)
    for rule in open_freedoms().rules.values():
        assert sum(loss.points for loss in report.losses if loss.rule.id == rule.id) <= rule.most


def test_what_nobody_knows_of_a_service_is_asked_and_not_lost() -> None:
    report = well(run__py="import planetary_computer")

    assert "closed-service" not in {loss.rule.id for loss in report.losses}
    assert any(question.startswith("Planetary Computer (data): nobody knows") for question in report.questions)


# ------------------------------------------------------------------ services, by what the directory knows


def test_a_service_that_has_ended_is_told_with_its_source() -> None:
    report = judged({**WELL, "freedom.toml": WELL["freedom.toml"] + 'services = ["nebari"]\n', "run.py": ""})

    loss = one(report, "ended-service")
    assert loss.says.startswith("Nebari")
    assert [fact.source.code for fact in loss.facts] == ["NB-1"]


def test_we_are_held_to_the_same() -> None:
    assert ("unsteady-service", "tradewind-machine") in lost(well(run__py="import tradewind"))


def test_an_open_service_is_no_closed_one() -> None:
    assert lost(well(run__py="import dask_gateway")) == set()


# ------------------------------------------------------------------ what was given up on purpose

ACCEPTED = """
[[accepted]]
rule = "closed-service"
what = "coiled"
by = "Ada"
date = 2026-10-01
reason = "paid until spring"
"""


def with_coiled(accepted: str, today: date = TODAY) -> Report:
    """Return the report on a project that uses Coiled in two files, with this at the end of its ``freedom.toml``."""
    files = {**WELL, "freedom.toml": WELL["freedom.toml"] + accepted}
    return judged({**files, "a.py": "import coiled", "b.py": "import coiled"}, today)


def own(report: Report) -> tuple[int, int]:
    """Return what the bar of own machines lost, and gave up."""
    (score,) = [score for score in report.scores if score.bar.id == "own"]
    return score.lost, score.accepted


def test_what_is_accepted_is_shown_with_who_when_and_why() -> None:
    report = with_coiled(ACCEPTED)

    (loss,) = report.accepted
    assert loss.accepted is not None
    assert (loss.accepted.by, loss.accepted.on, loss.accepted.reason) == ("Ada", date(2026, 10, 1), "paid until spring")
    assert own(report) == (0, 6)
    assert ("closed-service", "coiled") not in lost(report)


def test_a_trade_off_that_has_run_out_is_lost_again_and_told() -> None:
    report = with_coiled(ACCEPTED, date(2027, 10, 2))

    assert ("closed-service", "coiled") in lost(report)
    assert any("accepted by Ada until 2027-10-01, which is over" in fault for fault in report.faults)


def test_a_trade_off_of_what_is_gone_is_told() -> None:
    report = with_coiled(ACCEPTED.replace("coiled", "modal"))

    assert any("nothing of it is found any more" in fault for fault in report.faults)


def test_what_is_accepted_in_one_file_is_lost_in_the_other() -> None:
    report = with_coiled(ACCEPTED + 'path = "a.py"\n')

    assert [str(place) for place in one(report, "closed-service").places] == ["b.py:1"]
    assert [str(place) for loss in report.accepted for place in loss.places] == ["a.py:1"]
    assert own(report) == (6, 0), "it is lost once"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"closed-service"', '"closed-servise"'), "did you mean 'closed-service'?"),
        (('"closed-service"', "3"), "names the rule ''"),
        (('by = "Ada"\n', ""), "no 'by'"),
        (('"Ada"', '" "'), "no 'by'"),
        (("date = 2026-10-01\n", ""), "no 'date'"),
        (("2026-10-01", '"2026-10-01"'), "a date without quotes"),
        (("2026-10-01", "2027-10-01"), "still to come"),
        (('reason = "paid until spring"\n', ""), "no 'reason'"),
        (("what", "wat"), "nobody knows what 'wat' means"),
    ],
)
def test_a_trade_off_that_isnt_whole_is_named(change: tuple[str, str], told: str) -> None:
    report = with_coiled(ACCEPTED.replace(*change))

    assert any(told in fault for fault in report.faults), report.faults
    if change[0] != "what":
        assert ("closed-service", "coiled") in lost(report), "what isn't whole counts for nothing"


def test_nothing_is_accepted_for_ever() -> None:
    report = with_coiled(ACCEPTED + "until = 2099-01-01\n")

    (loss,) = report.accepted
    assert loss.accepted is not None
    assert loss.accepted.until < date(2031, 10, 2)
    assert any("five years" in fault for fault in report.faults)


# ------------------------------------------------------------------ what a project says of itself


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("replicated = 2026-05-01", "never-replicated"),
        ("replicated = 2027-05-01", "never-replicated"),
        ('copy = " "', "no-copy"),
        ('login = ["google"]', "one-login"),
        ("funded_until = 2027-06-01", "money-ends"),
        ("funded_until = 2026-01-01", "money-ends"),
    ],
)
def test_what_is_said_is_held_against_the_day(said: str, rule: str) -> None:
    name = said.partition(" ")[0]
    lines = [line for line in WELL["freedom.toml"].splitlines() if not line.startswith(name)]
    report = judged({**WELL, "freedom.toml": "\n".join([*lines, said])})

    assert {loss.rule.id for loss in report.losses} == {rule}


def test_what_isnt_said_is_asked() -> None:
    report = judged({**WELL, "freedom.toml": '[project]\ncopy = "x"\nreplicated = 2026-11-01\n'})

    assert lost(report) == set()
    assert len(report.questions) == 2


@given(
    st.lists(
        st.sampled_from(
            [
                "import coiled",
                "import modal",
                "import boto3",
                "x = '/home/a/b'",
                "df.to_pickle('x')",
                "import ee",
                "f('eu-west-1')",
            ]
        ),
        unique=True,
    ),
    st.data(),
)
def test_mending_one_thing_never_costs_a_point(lines: list[str], data: st.DataObject) -> None:
    if not lines:
        return
    dropped = data.draw(st.sampled_from(lines))
    before = well(run__py="\n".join(lines))
    after = well(run__py="\n".join(line for line in lines if line != dropped))

    for was, now in zip(before.scores, after.scores, strict=True):
        assert now.left >= was.left

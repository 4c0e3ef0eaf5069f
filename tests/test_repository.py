"""What a newcomer meets: set-up files that agree, make targets, notebooks that are clean."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

import msfp
from msfp.paper.registry import every

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [x for x in (ROOT / "constraints.txt").read_text().splitlines() if x and not x.startswith("#")]
CONSTRAINTS = [Requirement(line) for line in LINES]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [Requirement(r) for r in [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["lint"]]]
OPTIONAL = [Requirement(r) for r in EXTRAS["docs"]]
PYTHONS = ("3.11", "3.12", "3.13")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def pinned(name: str, python: str) -> str | None:
    """Version that the constraints give a package on Linux."""
    place = {"python_version": python, "python_full_version": f"{python}.7", "sys_platform": "linux"}
    for requirement in CONSTRAINTS:
        if requirement.name.lower() == name.lower() and (
            requirement.marker is None or requirement.marker.evaluate(place)
        ):
            return str(requirement.specifier).removeprefix("==")
    return None


def test_constraints_carry_names_versions_and_markers_only() -> None:
    for line in LINES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( ; .+)?", line), line
        assert "://" not in line


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", [*DECLARED, *OPTIONAL], ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_bounds(requirement: Requirement, python: str) -> None:
    found = pinned(requirement.name, python)
    assert found is not None, f"constraints.txt has no {requirement.name} for Python {python}"
    assert requirement.specifier.contains(found), f"{requirement} against {found}"


def test_what_is_installed_is_what_is_pinned() -> None:
    import sys

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    for requirement in DECLARED:
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            pytest.fail(f"{requirement.name} is not installed; run make setup")
        assert requirement.specifier.contains(installed.split("+")[0]), f"{requirement} against {installed} ({python})"


def test_conda_installs_the_same_package() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python"))
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert set(python.removeprefix("python").split(",")) == set(PROJECT["requires-python"].split(","))
    assert pip == ["-c constraints.txt", "-e ."]


def test_the_wheel_holds_what_the_package_reads_and_the_notebooks() -> None:
    """As the build backend lists them: what is in git below msfp/, the notebooks, and nothing else."""
    found = {one.distribution_path for one in WheelBuilder(str(ROOT)).recurse_included_files()}
    listed = subprocess.run(["git", "ls-files", "msfp", "notebooks"], cwd=ROOT, capture_output=True, text=True)
    known = [name.replace("notebooks/", "msfp/notebooks/", 1) for name in listed.stdout.split()]
    if listed.returncode == 0:  # in an unpacked source distribution there is no git
        assert sorted(found) == sorted(known)
    endings = {Path(name).suffix for name in found}
    assert endings >= {".py", ".ipynb", ".j2", ".css", ".js", ".json", ".csv", ".safetensors", ".mplstyle"}
    assert {"msfp/py.typed", "msfp/notebooks/00_data.ipynb", "msfp/notebooks/explore.ipynb"} <= found


def test_the_source_distribution_holds_what_the_tests_need() -> None:
    found = {one.distribution_path for one in SdistBuilder(str(ROOT)).recurse_included_files()}
    wanted = {"tests/conftest.py", "constraints.txt", "Makefile", "setup.sh", "notebooks/00_data.ipynb", ".ci/run"}
    assert wanted <= found
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("*.py")} <= found


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("setup", "reproduce", "smoke", "test", "lint", "lab", "bench", "clean"):
        assert re.search(rf"^\s+make {target}\s+\w", done.stdout, re.M), target


def test_ci_runs_the_tests() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_workflows_run_targets_that_exist_on_every_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == list(PYTHONS)
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert runs == ["make test", "make lint", "make docs"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert {run.removeprefix("make ") for run in runs} <= set(targets)


def test_hooks_and_containers_use_what_set_up_installs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    programs = {Path(hook["entry"].split()[0]).name for hook in hooks}
    assert programs <= {requirement.name for requirement in DECLARED}
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make setup"
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == cited["preferred-citation"]["version"] == msfp.__version__ == version("msfp")
    assert cited["references"][0]["type"] == "article"


def test_only_one_file_names_an_address_of_the_project() -> None:
    host = PROJECT["urls"]["Homepage"].split("/")[2]
    names = [*ROOT.glob("*.*"), *ROOT.glob("docs/*"), *ROOT.glob(".github/**/*"), *ROOT.glob("msfp/**/*.py")]
    found = [p.name for p in names if p.suffix in (".md", ".toml", ".py", ".cff", ".yml") and host in p.read_text()]
    assert found == ["pyproject.toml"]


@pytest.mark.parametrize(
    ("version_text", "remedy"),
    [("3.9", "install Python 3.11, 3.12 or 3.13"), ("3.14", "install Python 3.11, 3.12 or 3.13")],
)
def test_a_python_that_does_not_fit_gets_one_line(tmp_path: Path, version_text: str, remedy: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version_text}.0" && exit 0\nexit 1\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", "setup.sh"], cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHON": str(fake), "VENV": str(tmp_path / "v")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert remedy in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_clean_and_their_cells_short(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert sum("parameters" in c.metadata.get("tags", []) for c in code) == 1
    assert max(len(c.source.splitlines()) for c in code) <= 45


NUMBERED = [p for p in NOTEBOOKS if p.stem[:2].isdigit()]


@pytest.mark.parametrize("path", NUMBERED, ids=lambda p: p.stem)
def test_notebooks_compute_and_invite(path: Path) -> None:
    """Each has a set-up, a definition in its cells, and something for the reader to change."""
    notebook = nbformat.read(path, as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    setup = [c for c in code if "setup" in c.metadata.get("tags", [])]
    assert sum("run = msfp.open(" in c.source for c in setup) == 1
    assert "run = msfp.open(" in setup[0].source
    assert any(re.search(r"^def ", c.source, re.M) for c in code)
    assert any("Yours to try" in c.source for c in notebook.cells if c.cell_type == "markdown")


def test_every_artefact_has_one_cell_of_its_own() -> None:
    """A cell that makes a table or figure carries its number as a tag, and does nothing of another's."""
    tagged = []
    for path in NUMBERED:
        for cell in nbformat.read(path, as_version=4).cells:
            made = re.findall(r"run\.(table|figure)\((\d+), ", cell.source) if cell.cell_type == "code" else []
            tags = [t for t in cell.metadata.get("tags", []) if re.match(r"(table|figure)-", t)]
            assert tags == [f"{kind}-{number}" for kind, number in made], (path.name, cell.source)
            tagged += tags
    assert sorted(tagged) == sorted(one.tag for one in every()), "each exactly once"
    assert all(one.status == "ready" for one in every())


def first_cell(path: Path) -> str:
    return next(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")


def test_every_notebook_begins_with_the_same_installation() -> None:
    assert len({first_cell(path) for path in NOTEBOOKS}) == 1


@pytest.mark.parametrize(("checkout", "given"), [(True, ""), (False, "git+https://example.org/msfp"), (False, "")])
def test_a_notebook_installs_the_package_only_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: bool, given: str
) -> None:
    """The cell runs here with pip replaced, as no package index is asked in a test."""
    called: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: called.append(command))
    source = first_cell(NOTEBOOKS[0])
    exec(source, {})
    assert called == []
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("MSFP_SOURCE", given)
    if checkout:
        (tmp_path / "pyproject.toml").touch()
    if checkout or given:
        exec(source, {})
        assert called == [[sys.executable, "-m", "pip", "install", "-q", str(tmp_path) if checkout else given]]
    else:
        with pytest.raises(RuntimeError, match="set MSFP_SOURCE"):
            exec(source, {})


@pytest.mark.xdist_group("alone")
def test_tests_of_a_group_share_a_worker(request: pytest.FixtureRequest) -> None:
    """What a group shares is made once; pytest-xdist marks it in a test's name, which not every pytest lets it do."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@alone")
    else:
        assert request.node.get_closest_marker("xdist_group").args == ("alone",)

"""What is installed is this project, whole, and nothing in it belongs to one machine or one registry."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = sorted((ROOT / "locks").glob("*.lock"))

# Written in pieces, so that this file is not what it looks for.
REGISTRY = re.compile(
    r"(?:py" + r"pi\.org|python" + r"hosted\.org|conda\.ana" + r"conda\.org|registry\.npm" + r"js\.org"
    r"|https?://[^\s\"'<>]+/sim" + r"ple\b"
    r"|(?:index[-_]u" + r"rl|find[-_]li" + r"nks)[=\s]+[\"']?(?:https?|file|/))",
    re.IGNORECASE,
)
DEVELOPER_PATH = re.compile(r"(?<![\w.*}-])/(?:ro" + r"ot|wo" + r"rk|(?:ho" + r"me|Us" + r"ers)/[\w.-]+)/")

RESOLVE = """
import importlib.metadata, importlib.util, json, sys
claims = importlib.metadata.packages_distributions()
print(json.dumps({
    name: {"origin": importlib.util.find_spec(name).origin, "claimed_by": claims.get(name, [])}
    for name in sys.argv[1:]
}))
"""


def installed_under() -> Path:
    """Where this distribution's packages lie: the checkout when editable, else site-packages."""
    dist = distribution("reactionwatch")
    direct = json.loads(dist.read_text("direct_url.json") or "{}")
    return ROOT if direct.get("dir_info", {}).get("editable") else Path(str(dist.locate_file(""))).resolve()


def requirements_of(lock: Path) -> list[str]:
    """One line per pinned package, its continuation lines joined."""
    return lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def declared_dependencies() -> list[Requirement]:
    """What pyproject.toml asks for, to run and to develop."""
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """How a fresh interpreter away from the checkout resolves our names: no current folder, no PYTHONPATH."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", RESOLVE, *PACKAGES],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, dict[str, object]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every text file that git tracks or would track."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("what is tracked can only be told in a git checkout")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    found = {}
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                found[name] = content.decode(errors="replace")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_package_resolves_to_this_distribution(package: str, resolved: dict[str, dict[str, object]]) -> None:
    # `streaming`, `sql` and `models` are names that others use too (Databricks Runtime ML preinstalls a `streaming`).
    assert resolved[package]["origin"] == str(installed_under() / package / "__init__.py")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_claims_a_package_of_ours(package: str, resolved: dict[str, dict[str, object]]) -> None:
    # An editable install lists no files, so it claims nothing; whoever is listed must be us.
    claimed_by = resolved[package]["claimed_by"]
    assert isinstance(claimed_by, list)
    assert set(claimed_by) <= {"reactionwatch"}


def test_every_package_folder_is_packaged_and_under_the_import_contract() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
    assert folders == set(PACKAGES)
    assert folders == set(PYPROJECT["tool"]["importlinter"]["root_packages"])
    assert folders == set(PYPROJECT["tool"]["mypy"]["packages"])


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_typed_and_says_what_it_is(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    module = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(module)


def test_the_console_command_is_there() -> None:
    (command,) = entry_points(group="console_scripts", name="reactionwatch")
    assert callable(command.load())


def test_wheel_holds_every_file_of_every_package_and_nothing_else(wheel_names: set[str]) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel_names if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("pattern", [r"expectations/suites/\w+\.json", r"generator/data/[\w.]+"])
def test_wheel_holds_the_data_files(pattern: str, wheel_names: set[str]) -> None:
    assert any(re.fullmatch(pattern, name) for name in wheel_names)


def test_wheel_holds_the_licence(wheel_names: set[str]) -> None:
    assert any(re.fullmatch(r"[^/]+\.dist-info/licenses/LICENSE", name) for name in wheel_names)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_pins_and_hashes_every_requirement_and_holds_nothing_else(lock: Path) -> None:
    pinned = re.compile(r"[a-z0-9-]+==[^\s;]+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    lines = requirements_of(lock)
    assert lines
    assert [line[:100] for line in lines if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_names_no_host(lock: Path) -> None:
    words = re.compile(r"://|\bhttps?\b|--(?:extra-)?index|--find|--trusted|@ ?file", re.IGNORECASE)
    assert words.findall(lock.read_text(encoding="utf-8")) == []


def test_lock_covers_every_declared_dependency() -> None:
    pins: dict[str, list[str]] = {}
    for line in requirements_of(ROOT / "locks" / "project.lock"):
        name, _, rest = line.partition("==")
        pins.setdefault(canonicalize_name(name), []).append(rest.split()[0])
    uncovered = [
        str(wanted)
        for wanted in declared_dependencies()
        if not pins.get(canonicalize_name(wanted.name))
        or not all(wanted.specifier.contains(version) for version in pins[canonicalize_name(wanted.name)])
    ]
    assert uncovered == [], "pyproject.toml moved on without the lock: make lock"


def test_no_file_names_a_registry(texts: dict[str, str]) -> None:
    assert {name: found[0] for name, text in texts.items() if (found := REGISTRY.findall(text))} == {}


def test_no_file_holds_a_path_of_a_developers_machine(texts: dict[str, str]) -> None:
    assert {name: found[0] for name, text in texts.items() if (found := DEVELOPER_PATH.findall(text))} == {}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (REGISTRY, "https://py" + "pi.org/x"),
        (REGISTRY, "--extra-index-u" + "rl https://packages.example/py"),
        (REGISTRY, "PIP_FIND_LI" + "NKS=/opt/wheels"),
        (REGISTRY, "https://packages.example/py/sim" + "ple/"),
        (DEVELOPER_PATH, "see /ho" + "me/someone/notes"),
        (DEVELOPER_PATH, '"/Us' + 'ers/someone/x"'),
        (DEVELOPER_PATH, "file:///ro" + "ot/x"),
    ],
)
def test_the_search_finds_what_it_is_for(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize("text", ["--no-emit-index-u" + "rl --quiet", "https://example.org/simply/work", "a/work/b"])
def test_the_search_lets_ordinary_text_pass(text: str) -> None:
    assert not REGISTRY.search(text)
    assert not DEVELOPER_PATH.search(text)


def test_every_declared_dependency_has_its_reason_written_down() -> None:
    reasons = (ROOT / "docs" / "decisions" / "libraries.md").read_text(encoding="utf-8")
    named = {
        name for row in re.findall(r"^\| ([^|]+) \|", reasons, re.MULTILINE) for name in re.findall(r"[\w-]+", row)
    }
    assert {wanted.name for wanted in declared_dependencies()} - named == set()

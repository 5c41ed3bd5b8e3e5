"""What a wheel holds, and that both ways of building one describe the same package."""

from importlib import metadata
from pathlib import Path

import pytest

import percept_rl

ROOT = Path(__file__).parents[2]


def test_both_ways_to_build_describe_one_package():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    one, two = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text()) for folder in ("python", "crates/python")
    )
    for project in (one, two):
        project["project"].pop("readme")  # must lie in the project's own folder
    assert one["project"] == two["project"]
    assert one["build-system"] == two["build-system"]
    one, two = one["tool"]["maturin"], two["tool"]["maturin"]
    assert (ROOT / "python" / one.pop("manifest-path")).resolve() == (ROOT / "crates/python/Cargo.toml").resolve()
    assert (ROOT / "crates/python" / two.pop("manifest-path")).resolve() == (ROOT / "crates/python/Cargo.toml").resolve()
    assert (ROOT / "python" / one.pop("python-source")).resolve() == ROOT / "python"
    assert (ROOT / "crates/python" / two.pop("python-source")).resolve() == ROOT / "python"
    assert ["percept_rl/*.py", *one.pop("include")] == two.pop("include")
    assert one == two


# C13: a wheel without the package imports nothing.
def test_the_installed_package_holds_every_module_and_the_native_one():
    names = {path.name for path in (ROOT / "python/percept_rl").iterdir() if path.suffix in (".py", ".pyi", ".typed")}
    installed = {Path(str(file)) for file in metadata.files("percept-rl")}
    found = {file.name for file in installed if file.parent.name == "percept_rl"}
    assert names <= found, names - found
    assert any(name.startswith("_native.") for name in found)
    assert percept_rl.__version__ == metadata.version("percept-rl")

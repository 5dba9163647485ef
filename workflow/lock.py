"""Write requirements.lock: what the project needs, as it is installed here.

Versions are those of this environment, without local build tags, for the
requirements in pyproject.toml and the extra `dev`, and all that these need.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# Exact versions of everything that `make` installs from the package registry.
# Written by `make lock` from a working environment.
"""


def closure(wanted: list[str]) -> dict[str, str]:
    """Name -> version of the wanted packages and all that they need."""
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonical(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        package = metadata.distribution(requirement.name)
        found[key[0]] = package.version.partition("+")[0]
        for text in package.requires or []:
            inner = Requirement(text)
            extras = ("", *requirement.extras)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(inner)
    return found


def canonical(name: str) -> str:
    """A package name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = closure([*project["dependencies"], *project["optional-dependencies"]["dev"]])
    # `make` builds the package itself with it, without a network.
    found["setuptools"] = metadata.version("setuptools")
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    (ROOT / "requirements.lock").write_text(HEAD + "".join(lines))
    print(f"requirements.lock: {len(lines)} packages")


if __name__ == "__main__":
    main()

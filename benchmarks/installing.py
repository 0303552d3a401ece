"""What the peers need: packages of npm, PyPI and Debian, each put where nobody else sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent / "build" / "bench"
PYTHON_PACKAGES = HERE / "peers" / "requirements.txt"
DEBIAN_PACKAGES = (
    "nginx",
    "libnginx-mod-nchan",
    "redis-server",
    "redis-tools",
    "libhiredis0.14",
    "libjemalloc2",
    "liblzf1",
    "liblua5.1-0",
    "lua-bitop",
    "lua-cjson",
)


class NotInstalled(Exception):
    """A peer's packages can't be had; says which, and what the installer said."""


@lru_cache(maxsize=1)
def python() -> Path:
    """The Python that has the load client and the peers of Python."""
    found = FOLDER / "venv" / "bin" / "python"
    stamp = FOLDER / "venv" / ".installed"
    if not stamp.exists() or stamp.stat().st_mtime < PYTHON_PACKAGES.stat().st_mtime:
        _say("the peers of Python and the load client")
        _run(sys.executable, "-m", "venv", FOLDER / "venv")
        _run(found, "-m", "pip", "install", "--quiet", "--requirement", PYTHON_PACKAGES)
        stamp.touch()
    return found


@lru_cache(maxsize=1)
def node_modules() -> Path:
    """The folder of Node's packages."""
    found = FOLDER / "node" / "node_modules"
    if not found.exists():
        _say("Node's Socket.IO")
        (FOLDER / "node").mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            (FOLDER / "node" / name).write_bytes((HERE / "peers" / "node" / name).read_bytes())
        _run("npm", "ci", "--silent", cwd=FOLDER / "node")
    return found


@lru_cache(maxsize=1)
def debian() -> Path:
    """The root under which Debian's packages are unpacked, which needs no rights."""
    root, packages = FOLDER / "debian", FOLDER / "packages"
    if not root.exists():
        _say("Nchan and Redis")
        packages.mkdir(parents=True, exist_ok=True)
        _run("apt-get", "download", *DEBIAN_PACKAGES, cwd=packages)
        for each in sorted(packages.glob("*.deb")):
            _run("dpkg-deb", "-x", each, root)
    return root


def versions() -> dict[str, str]:
    """What was installed, and which version of each."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    names = ("python-socketio", "eventlet", "uvicorn", "channels", "channels-redis", "turbo-django")
    found = dict(zip(names, _run(python(), "-c", code, *names).split(), strict=True))
    package = json.loads((node_modules() / "socket.io" / "package.json").read_text())
    found["Node"] = f"{_run('node', '--version').strip()} with socket.io {package['version']}"
    debian()
    for name in ("nginx", "libnginx-mod-nchan", "redis-server"):
        (package_file,) = (FOLDER / "packages").glob(f"{name}_*.deb")
        found[name] = _run("dpkg-deb", "-f", package_file, "Version").strip()
    return found


def compiled(source: Path, *options: str) -> Path:
    """A shared library of a C file, compiled with the machine's ``cc``."""
    made = FOLDER / f"{source.stem}.so"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        FOLDER.mkdir(parents=True, exist_ok=True)
        _run("cc", "-O2", "-shared", "-fPIC", "-o", made, source, *options)
    return made


def _say(what: str) -> None:
    print(f"  installing {what} into {FOLDER.relative_to(HERE.parent)}", flush=True)


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotInstalled(f"there is no command {command[0]}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise NotInstalled(f"{' '.join(map(str, command[:4]))} … failed: {said}")
    return done.stdout

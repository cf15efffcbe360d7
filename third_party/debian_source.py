"""Sources of libraries out of Debian's source packages, with Debian's fixes: for the build for Windows.

The authors' archives are pinned in pins.json; apt checks them and the fixes that Debian lays over them, which are newer
from time to time, against Debian's signatures. The system's own list of package sources is not touched.
"""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from download import PINS, Failure, downloads, sha256

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _run(command, what, **options):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is missing: install what third_party/debian-packages.txt names for tests, on "
                      "Debian 12.") from None
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise Failure(f"{what} ({last}).")
    return done.stdout


def _description(name):
    """The .dsc in the cache folder, whose pinned archive is there, too; or None."""
    pin = PINS["sources"][name]
    stem = f"{name}_{pin['version']}"
    archive = downloads() / f"{stem}.orig.tar.gz"
    if archive.exists() and sha256(archive) == pin["sha256"]:
        for path in sorted(downloads().glob(f"{stem}-*.dsc")):
            return path
    return None


def _source(command, name, base, folder):
    """The newest version; or the release's own, where a mirror lists an update that it does not have yet."""
    for wanted in [name, *(f"{name}/{release}" for release in base)]:
        try:
            return _run([*command, wanted], f"apt-get could not fetch the source of {wanted}", cwd=folder)
        except Failure as error:
            failure = error
    raise failure


def _fetch(names):
    """apt-get with its own lists of sources, made of the package sources that the system uses."""
    print(f"fetching the sources of {', '.join(names)}", flush=True)
    targets = _run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                    "Created-By: Packages", "Origin: Debian"], "apt-get cannot tell where Debian's packages come from")
    targets = sorted(set(targets.splitlines()))
    base = [target.split()[1] for target in targets if "-" not in target.split()[1]]  # "bookworm", without its updates
    with tempfile.TemporaryDirectory() as folder:
        lists = Path(folder) / "sources.list"
        lists.write_text("".join(f"deb-src [signed-by={KEYS}] {line}\n" for line in targets))
        (Path(folder) / "lists" / "partial").mkdir(parents=True)
        own = ["-q", "-o", f"Dir::Etc::SourceList={lists}", "-o", "Dir::Etc::SourceParts=/dev/null",
               "-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}", "-o", "APT::Sandbox::User=root"]
        _run(["apt-get", *own, "update"], "apt-get cannot read the lists of Debian's sources: check the network")
        for name in names:
            _source(["apt-get", *own, "source", "--download-only"], name, base, folder)
            pin = PINS["sources"][name]
            archive = Path(folder) / f"{name}_{pin['version']}.orig.tar.gz"
            if not archive.exists() or sha256(archive) != pin["sha256"]:
                raise Failure(f"Debian's source of {name} is not the {pin['version']} of third_party/pins.json: run "
                              "this on Debian 12.")
            # The description last: it says that the rest is there.
            for path in sorted(Path(folder).glob(f"{name}_*"), key=lambda path: path.suffix == ".dsc"):
                shutil.copy(path, downloads() / (path.name + ".part"))
                os.replace(downloads() / (path.name + ".part"), downloads() / path.name)


def unpack(out):
    """Every pinned source in out/NAME, with Debian's fixes; a folder that is there and current is left alone."""
    names = list(PINS["sources"])
    missing = [name for name in names if not _description(name)]
    if missing:
        _fetch(missing)
    for name in names:
        description, folder, record = _description(name), out / name, out / (name + ".unpacked")
        if record.exists() and record.read_text() == description.name:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        _run(["dpkg-source", "--no-check", "-x", str(description), str(folder)], f"{description} cannot be unpacked")
        record.write_text(description.name)

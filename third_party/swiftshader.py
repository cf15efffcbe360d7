"""A second Vulkan driver and a current validation layer, out of Debian's package chromium-common without installing it.

apt checks the package against Debian's signatures; Debian replaces versions, so the version found is recorded in the
file VERSION beside the libraries instead of being pinned here.
"""
import re
import shutil
import subprocess
import tarfile

from download import Failure, downloads, sha256, write, write_json

PACKAGE = "chromium-common"
FOLDER = "./usr/lib/chromium/"
WANTED = {FOLDER + "libvk_swiftshader.so": "libvk_swiftshader.so",
          FOLDER + "libVkLayer_khronos_validation.so": "libVkLayer_khronos_validation.so",
          "./usr/share/doc/chromium-common/copyright": "copyright"}


def _package():
    """The .deb in the cache folder; fetched when there is none. A later version does not replace what was fetched, so
    that second runs need no network."""
    for path in sorted(downloads().glob(PACKAGE + "_*.deb")):
        mark = path.with_suffix(".sha256")
        if mark.exists() and mark.read_text().strip() == sha256(path):
            return path
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Failure(f"{tool} is missing: SwiftShader is taken out of a Debian package; run this on Debian 12.")
    print(f"fetching {PACKAGE} (31 MB)", flush=True)
    before = set(downloads().glob(PACKAGE + "_*.deb"))
    for path in before:
        path.unlink()
    done = subprocess.run(["apt-get", "download", "-q", PACKAGE], cwd=downloads(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    found = list(downloads().glob(PACKAGE + "_*.deb"))
    if done.returncode or len(found) != 1:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise Failure(f"apt-get could not fetch {PACKAGE} ({last}): run apt-get update, and check the network.")
    write(found[0].with_suffix(".sha256"), (sha256(found[0]) + "\n").encode())
    return found[0]


def _unpack(package, out):
    left = dict(WANTED)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for entry in archive:
                if entry.isfile() and entry.name in left:
                    write(out / left.pop(entry.name), archive.extractfile(entry).read())
    if process.returncode or left:
        raise Failure(f"{package} does not hold {', '.join(left) or 'a readable archive'}: remove it and run again.")


def make(out):
    package = _package()
    version = re.sub("%3a", ":", package.name.split("_")[1])
    record = f"{PACKAGE} {version}\nsha256 {sha256(package)}\n".encode()
    if not (out / "VERSION").exists() or (out / "VERSION").read_bytes() != record:
        _unpack(package, out)
    # Paths relative to the JSON file, so that the folder can be moved.
    write_json(out / "icd.json", {"file_format_version": "1.0.0", "ICD": {"library_path": "./libvk_swiftshader.so",
                                                                        "api_version": "1.3.0"}})
    write_json(out / "layers" / "VkLayer_khronos_validation.json",
               {"file_format_version": "1.2.0",
                "layer": {"name": "VK_LAYER_KHRONOS_validation", "type": "GLOBAL",
                          "library_path": "../libVkLayer_khronos_validation.so", "api_version": "1.3.0",
                          "implementation_version": "1", "description": "Khronos validation layer of " + PACKAGE,
                          "instance_extensions": [{"name": "VK_EXT_debug_utils", "spec_version": "2"},
                                                  {"name": "VK_EXT_validation_features", "spec_version": "6"}]}})
    write(out / "VERSION", record)  # last: says that everything above is there

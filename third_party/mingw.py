"""The libraries that tagmask needs, built for 64-bit Windows: see mingw/CMakeLists.txt."""
import subprocess
from pathlib import Path

import debian_source
from download import Failure

HERE = Path(__file__).resolve().parent / "mingw"


def make(out):
    debian_source.unpack(out / "sources")
    build = out / "build"
    configure = ["cmake", "-G", "Ninja", "-S", str(HERE), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release",
                 f"-DCMAKE_TOOLCHAIN_FILE={HERE / 'toolchain.cmake'}", f"-DTAGMASK_SOURCES={out / 'sources'}",
                 f"-DCMAKE_INSTALL_PREFIX={out}"]
    for command in (configure, ["cmake", "--build", str(build)]):
        if subprocess.run(command).returncode:
            raise Failure(f"the libraries for Windows could not be built in {build}: see the first error above.")

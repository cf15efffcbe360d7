"""Lets labelme, datumaro and supervision be imported without what they need for windows, networks, tables and videos.

Reading and writing label files uses none of it; where it would be used after all, a mock gets into the result and the
comparison fails.
"""
import importlib.abc, importlib.machinery, sys, warnings
from unittest.mock import MagicMock

ABSENT = {"PyQt5", "appdirs", "av", "httpx", "ijson", "json_stream", "jsf", "jwt", "matplotlib", "nltk", "onnxruntime",
          "pandas", "pyarrow", "requests", "ruamel", "shapely", "ujson"}


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ABSENT:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__name__, module.__spec__, module.__path__ = spec.name, spec, []
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, StandIns())
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import supervision  # noqa: F401  paints as OpenCV does where there is none
ABSENT.add("cv2")

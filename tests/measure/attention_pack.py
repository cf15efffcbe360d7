"""Makes a pack with which `tagmask eval` can score maps of attention without a transformer that knows classes.

  apt-get install python3-onnx
  /usr/bin/python3 tests/measure/attention_pack.py build/models build/attention
  tagmask eval --data DIR --model build/attention --second none --features none --preset fast --method attention

The network is the ViT-S/14 of the pack vit-s-focus at 224 x 224; each class of efficientnet-lite0 gets the same score, the
mean of the network's map. So maps of attention and rollout, which are the same for all classes anyway, are what they are;
the relevance is that to the map's mean.
"""
import json, pathlib, shutil, sys
import onnx
from onnx import TensorProto, helper

CLASSES = 1000

models, target = map(pathlib.Path, sys.argv[1:3])
target.mkdir(parents=True, exist_ok=True)
model = onnx.load(models / "vit-s-focus" / "model.onnx")
graph = model.graph
graph.initializer.append(helper.make_tensor("scores_shape", TensorProto.INT64, [2], [1, CLASSES]))
graph.node.append(helper.make_node("ReduceMean", [graph.output[0].name], ["score"], axes=[2, 3], keepdims=0))
graph.node.append(helper.make_node("Expand", ["score", "scores_shape"], ["scores"]))
del graph.output[:]
graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CLASSES]))
onnx.save(model, target / "model.onnx")
pack = json.loads((models / "vit-s-focus" / "pack.json").read_text())
pack = {"format": 1, "name": "attention", "kind": "classifier", "model": "model.onnx", "labels": "labels.json",
        "tags": "tags.json", "preprocess": {**pack["preprocess"], "size": [224, 224]}}
(target / "pack.json").write_text(json.dumps(pack, indent=4))
for name in ("labels.json", "tags.json"):
    shutil.copy(models / "efficientnet-lite0" / name, target / name)

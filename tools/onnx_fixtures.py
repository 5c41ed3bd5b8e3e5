#!/usr/bin/env python3
"""Small ONNX files with the signatures of RAM, YOLO, DETR, SAM and LaMa exports, for crates/vision/tests/onnx.rs.

    python3 tools/onnx_fixtures.py FOLDER

Real weights of these models cannot be had offline. Each file computes something that a test can foretell, from the inputs that
the real export has: `tagger.onnx` says which channel is brightest; `yolo.onnx` and `detr.onnx` give fixed boxes; `decoder.onnx`
fills the box that its points name, in the size that it is asked for; `remover.onnx` paints the mask in one colour. Needs
numpy and onnx.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
F = TensorProto.FLOAT


def value(name, shape):
    return helper.make_tensor_value_info(name, F, shape)


def write(name, nodes, inputs, outputs, **constants):
    initial = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.onnx")


node = helper.make_node
# RAM: [1, 3, 384, 384] → [1, labels]. Means of the normalised channels, times ten.
write("tagger", [node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0), node("Mul", ["mean", "ten"], ["logits"])],
      [value("image", [1, 3, 384, 384])], [value("logits", [1, 3])], ten=np.float32(10))
# YOLO: [1, 4 + 2, 3]: two boxes that overlap, and one that says nothing.
grid = np.array([[40, 42, 10], [20, 20, 10], [40, 40, 4], [20, 20, 4], [0.9, 0.8, 0.01], [0.02, 0.02, 0.03]], "f4")[None]
write("yolo", [node("ReduceSum", ["images"], ["sum"], keepdims=0), node("Mul", ["sum", "zero"], ["none"]), node("Add", ["grid", "none"], ["output0"])],
      [value("images", [1, 3, 64, 128])], [value("output0", [1, 6, 3])], zero=np.float32(0), grid=grid)
# DETR: two queries, two classes and "nothing".
logits = np.array([[[5, 0, 0], [0, 0, 9]]], "f4")
boxes = np.array([[[0.5, 0.5, 0.2, 0.4], [0.1, 0.1, 0.1, 0.1]]], "f4")
write("detr", [node("ReduceSum", ["pixel_values"], ["sum"], keepdims=0), node("Mul", ["sum", "zero"], ["none"]),
               node("Add", ["fixed", "none"], ["logits"]), node("Add", ["where", "none"], ["pred_boxes"])],
      [value("pixel_values", [1, 3, "height", "width"])], [value("logits", [1, 2, 3]), value("pred_boxes", [1, 2, 4])],
      zero=np.float32(0), fixed=logits, where=boxes)
# SAM's encoder: [1, 3, 1024, 1024] → [1, 256, 64, 64].
write("encoder", [node("AveragePool", ["image"], ["small"], kernel_shape=[16, 16], strides=[16, 16]),
                  node("Slice", ["small", "zero", "one", "one"], ["red"]), node("Tile", ["red", "times"], ["image_embeddings"])],
      [value("image", [1, 3, 1024, 1024])], [value("image_embeddings", [1, 256, 64, 64])],
      zero=np.array([0]), one=np.array([1]), times=np.array([1, 256, 1, 1]))
# SAM's decoder: inside the box is 1, outside −1, in the size of orig_im_size; points are pixels of the picture with 1024.
write("decoder", [
    node("Cast", ["orig_im_size"], ["size"], to=TensorProto.INT64),
    node("Gather", ["size", "i0"], ["h"]), node("Gather", ["size", "i1"], ["w"]),
    node("Range", ["i0", "h", "i1"], ["rows"]), node("Range", ["i0", "w", "i1"], ["columns"]),
    node("Cast", ["rows"], ["rows_f"], to=F), node("Cast", ["columns"], ["columns_f"], to=F),
    node("Reshape", ["rows_f", "as_rows"], ["ys"]), node("Reshape", ["columns_f", "as_columns"], ["xs"]),
    node("ReduceMax", ["orig_im_size"], ["longest"], keepdims=0), node("Div", ["longest", "side"], ["scale"]),
    node("Mul", ["point_coords", "scale"], ["corners"]), node("Reshape", ["corners", "four"], ["flat"]),
    *[node("Gather", ["flat", f"c{i}"], [n]) for i, n in enumerate(("x1", "y1", "x2", "y2"))],
    node("GreaterOrEqual", ["xs", "x1"], ["a"]), node("Less", ["xs", "x2"], ["b"]), node("GreaterOrEqual", ["ys", "y1"], ["c"]), node("Less", ["ys", "y2"], ["d"]),
    node("And", ["a", "b"], ["ab"]), node("And", ["c", "d"], ["cd"]), node("And", ["ab", "cd"], ["in"]),
    node("Where", ["in", "plus", "minus"], ["flags"]), node("Unsqueeze", ["flags", "axes"], ["masks"]),
    # The other inputs have to be used.
    *[node("ReduceSum", [n], [n + "_sum"], keepdims=0) for n in ("image_embeddings", "point_labels", "mask_input", "has_mask_input")],
    node("Sum", ["image_embeddings_sum", "point_labels_sum", "mask_input_sum", "has_mask_input_sum"], ["iou_predictions"]),
], [value("image_embeddings", [1, 256, 64, 64]), value("point_coords", [1, 2, 2]), value("point_labels", [1, 2]),
    value("mask_input", [1, 1, 256, 256]), value("has_mask_input", [1]), value("orig_im_size", [2])],
    [value("masks", [1, 1, "h", "w"]), value("iou_predictions", [])],
    i0=np.int64(0), i1=np.int64(1), as_rows=np.array([-1, 1]), as_columns=np.array([1, -1]), side=np.float32(1024), four=np.array([4]),
    c0=np.int64(0), c1=np.int64(1), c2=np.int64(2), c3=np.int64(3), plus=np.float32(1), minus=np.float32(-1), axes=np.array([0, 1]))
# LaMa: [1, 3, 512, 512] of 0 to 1 and [1, 1, 512, 512] of 0 and 1 → levels of 0 to 255; the mask becomes (10, 20, 30).
write("remover", [node("Mul", ["image", "levels"], ["as_levels"]), node("Sub", ["one", "mask"], ["keep"]), node("Mul", ["as_levels", "keep"], ["kept"]),
                  node("Mul", ["colour", "mask"], ["painted"]), node("Add", ["kept", "painted"], ["output"])],
      [value("image", [1, 3, 512, 512]), value("mask", [1, 1, 512, 512])], [value("output", [1, 3, 512, 512])],
      levels=np.float32(255), one=np.float32(1), colour=np.array([10, 20, 30], "f4").reshape(1, 3, 1, 1))

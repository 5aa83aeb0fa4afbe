"""Encoders whose large matrix products take 8-bit numbers: weights per output channel, activations as they come.

A few channels of a Transformer's states are many times larger than the others, which then share few of the 256 levels.
Each input channel of a layer is therefore divided by a scale, by which the weights are multiplied (Xiao et al. 2023,
"SmoothQuant", eq. 4). Layers that narrow the state, the second of a feed-forward block, stay in float32: what the
activation function gives them is too uneven.
"""

# B sentences, T tokens, I inputs and O outputs of a layer
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .processor import sums_8_bits_exactly

SHARE = 0.75  # of the uneven ranges that the weights take over: alpha of eq. 4; .7 to .8 gave the same cosines
SMALLEST = 1e-5  # of a range, for channels that are always 0
MARK = "quantised"  # the name of a layer in the traced file
PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # without it the library warns on the root logger


class Smoothed(nn.Module):
    """A linear layer of inputs that are divided by a scale for each channel."""

    def __init__(self, layer: nn.Linear, largest_I: Tensor):
        super().__init__()
        weights_I = layer.weight.detach().abs().amax(0).clamp(min=SMALLEST)
        scale_I = largest_I.clamp(min=SMALLEST) ** SHARE / weights_I ** (1 - SHARE)
        self.inverse = nn.Parameter(1 / scale_I)
        self.quantised = layer
        with torch.no_grad():
            layer.weight.mul_(scale_I)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the layer gave before."""
        return self.quantised(inputs * self.inverse)


@torch.inference_mode(False)
def smooth(network: nn.Module, backbone: nn.Module, probes: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Replace the linear layers of an encoder by `Smoothed` ones, measured on batches of ids and mask (B, T)."""
    layers = {
        name: layer
        for name, layer in backbone.named_modules()
        if isinstance(layer, nn.Linear) and layer.in_features <= layer.out_features
    }
    largest = {name: torch.zeros(layer.in_features) for name, layer in layers.items()}

    def measure(name: str) -> Any:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen_I = inputs[0].detach().abs().flatten(0, -2).amax(0)
            largest[name] = torch.maximum(largest[name], seen_I)

        return note

    hooks = [layer.register_forward_pre_hook(measure(name)) for name, layer in layers.items()]
    with torch.no_grad():
        for probe in probes:
            network(*probe)
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        above, _, own = name.rpartition(".")
        setattr(backbone.get_submodule(above), own, Smoothed(layer, largest[name]))


def quantise(file: Path) -> None:
    """Turn the products of the smoothed layers in an ONNX file into products of 8-bit numbers.

    Weights are signed, or unsigned where sums with signed ones are not exact, which is slower.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(file)
    names = [node.name for node in model.graph.node if node.op_type == "MatMul" and f"/{MARK}/" in node.name]
    if not names:
        raise ValueError("the encoder has no layers whose products could take 8-bit numbers: leave precision int8 out")
    onnx.helper.set_model_props(model, dict([PREPARED]))
    kind = QuantType.QInt8 if sums_8_bits_exactly() else QuantType.QUInt8
    quantize_dynamic(model, file, per_channel=True, weight_type=kind, nodes_to_quantize=names)

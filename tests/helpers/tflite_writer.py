"""Writes tiny LiteRT models: `python tflite_writer.py DIRECTORY SIDE FADING`; see `runtime_helpers`."""

from __future__ import annotations

import sys

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import quantizer, recipe


def main(directory: str, side: int, fading: float) -> None:
    class Stream(torch.nn.Module):
        def forward(self, frame, past):
            past = fading * past + frame.mean(dim=(1, 2))
            return told(past[:, None, None]) | {"next_past": past}

    class Clip(torch.nn.Module):
        def forward(self, clips):
            return told(clips.mean(dim=1, keepdim=True))

    examples = {
        "stream": (Stream(), {"frame": torch.zeros(1, 3, 1, side, side), "past": torch.zeros(1, side, side)}),
        "clip": (Clip(), {"clips": torch.zeros(1, 3, 2, side, side)}),
    }
    for mode, (module, example) in examples.items():
        litert_torch.convert(module.eval(), (), example).export(f"{directory}/{mode}.tflite")
    quantise(f"{directory}/stream.tflite", f"{directory}/int8.tflite", examples["stream"][1])


def quantise(source: str, target: str, example: dict[str, torch.Tensor]) -> None:
    """Write a model whose inputs, outputs and state are int8, for light in 0..1."""
    ramp = np.linspace(0, 1, example["past"].numel(), dtype=np.float32).reshape(example["past"].shape)
    feed = {
        "frame": np.broadcast_to(ramp, example["frame"].shape).copy(),
        "past": 2 * ramp,
    }
    tool = quantizer.Quantizer(source)
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    tool.quantize(tool.calibrate({"serving_default": [feed]})).export_model(target)


def told(light):
    heatmap = torch.cat([-light, light], dim=1)
    return {"logits": heatmap.mean(dim=(2, 3, 4)), "heatmap": heatmap}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))

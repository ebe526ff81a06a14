"""Writes tiny LiteRT models: `python tflite_writer.py DIRECTORY SIDE FADING`; see `runtime_helpers`."""

from __future__ import annotations

import sys

import litert_torch
import torch


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


def told(light):
    heatmap = torch.cat([-light, light], dim=1)
    return {"logits": heatmap.mean(dim=(2, 3, 4)), "heatmap": heatmap}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))

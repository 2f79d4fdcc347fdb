#!/usr/bin/env python3
"""titans-pytorch's neural memory on the CPU: the peer of `titans_layer`.

    pip install torch titans-pytorch
    python titans_layer.py --threads 2

The whole layer of the package (norms, projections, learned rates), in float32. `batch` says after how many tokens the
surprise is taken at fresh weights; without it, it is taken at the initial weights, whatever was learned since. Prints
medians as rows of the table that `titans_layer` prints.
"""
import argparse
import time

import torch
from titans_pytorch import MemoryMLP, NeuralMemory

TIME, RUNS = 2048, 9
SHAPES = [(64, 1), (64, 2), (256, 2)]
OPTIONS = [(16, 64), (64, None)]


def median(run):
    run()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[RUNS // 2]


def rows():
    for channels, depth in SHAPES:
        for chunk, batch in OPTIONS:
            model = MemoryMLP(channels, depth=depth, expansion_factor=2.0)
            layer = NeuralMemory(
                dim=channels, chunk_size=chunk, batch_size=batch, model=model, default_step_transform_max_lr=0.1
            )
            x = torch.randn(1, TIME, channels, requires_grad=True)

            def forward():
                with torch.no_grad():
                    layer(x)

            def both():
                layer.zero_grad()
                layer(x)[0].square().sum().backward()

            a, b = (TIME / median(run) / 1e3 for run in (forward, both))
            what = f"fresh weights every {batch}" if batch else "surprise at the initial weights"
            print(f"| titans-pytorch, {channels} channels, depth {depth}, {what} | {chunk} | {a:.1f} k | {b:.1f} k |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    rows()

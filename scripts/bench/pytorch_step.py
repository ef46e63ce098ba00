#!/usr/bin/env python3
"""A training step, or a forward pass, of one of alexnet's networks in PyTorch, on the CPU.

    pytorch_step.py alexnet 32 WEIGHTS PIXELS RATE             images per second, as one JSON line
    pytorch_step.py cifar10-quick 128 WEIGHTS PIXELS RATE --forward

The layers are those of alexnet.net with its columns merged (groups in conv2, conv4 and conv5, and
norms of half of the maps) and of nets/cifar10-quick.net. WEIGHTS has float32 numbers; each
parameter is filled with them from their beginning, and again when they end. PIXELS has a byte a
pixel, images one after the other, channels last. Image i has the label i modulo the count of classes.

First come the steps that are checked, without dropout: "losses" has the loss with these weights, and
unless --forward is given the loss after one step at RATE. Then the clock starts. The figure is the
median of the steps that follow.
"""

import argparse
import ctypes
import json
import os
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class HalfNorm(nn.Module):
    """alexnet's norm, inside each half of the maps. PyTorch divides alpha by the size."""

    def forward(self, x):
        halves = x.reshape(2 * x.shape[0], x.shape[1] // 2, *x.shape[2:])
        return F.local_response_norm(halves, 5, alpha=5 * 1e-4, beta=0.75, k=2).reshape(x.shape)


class AvgPool(nn.Module):
    """3x3, stride 2, the last window hanging over the edge, over the pixels that exist."""

    def forward(self, x):
        return F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)


def alexnet():
    def relu():
        return nn.ReLU(inplace=True)

    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=2), relu(), HalfNorm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), relu(), HalfNorm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), relu(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), relu(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), relu(), nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(256 * 6 * 6, 4096), relu(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), relu(), nn.Dropout(0.5),
        nn.Linear(4096, 1000),
    ), (224, 1000, 60_965_224)


def cifar10_quick():
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(inplace=True), AvgPool(),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), AvgPool(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 64), nn.Linear(64, 10),
    ), (32, 10, 145_578)


NETWORKS = {"alexnet": alexnet, "cifar10-quick": cifar10_quick}


def blas():
    """Which library multiplies matrices, and which of its kernels for which processor it chose."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "blas" in line or "mkl_" in line}
    for path in sorted(p for p in paths if "openblas" in os.path.basename(p)):
        library = ctypes.CDLL(path)
        for suffix in "", "64_":
            try:
                core, config = (getattr(library, f"openblas_get_{what}{suffix}") for what in ("corename", "config"))
            except AttributeError:
                continue
            core.restype = config.restype = ctypes.c_char_p
            return f"{' '.join(config().decode().split()[:2])}, kernels for {core().decode()}"
    return ", ".join(sorted(os.path.basename(p) for p in paths)) or "PyTorch's own"


def fill(net, weights):
    for p in net.parameters():
        times = -(-p.numel() // len(weights))
        p.data.copy_(weights.repeat(times)[:p.numel()].view(p.shape))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=NETWORKS)
    parser.add_argument("batch", type=int)
    parser.add_argument("weights")
    parser.add_argument("pixels")
    parser.add_argument("rate", type=float)
    parser.add_argument("--forward", action="store_true", help="the forward pass of a test alone")
    parser.add_argument("--steps", type=int, default=5, help="that count")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    net, (side, classes, parameters) = NETWORKS[args.net]()
    assert sum(p.numel() for p in net.parameters()) == parameters
    fill(net, torch.from_file(args.weights, size=os.path.getsize(args.weights) // 4))
    x = torch.from_file(args.pixels, size=args.batch * side * side * 3, dtype=torch.uint8)
    x = x.view(args.batch, side, side, 3).permute(0, 3, 1, 2).float().contiguous()
    labels = torch.arange(args.batch) % classes
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=args.rate, momentum=0.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def forward():
        with torch.no_grad():
            return criterion(net(x), labels).item()

    net.eval()
    losses = [forward()] if args.forward else [step(), forward()]
    net.train(not args.forward)
    optimizer.param_groups[0]["lr"] = 1e-6  # so that the weights stay small
    took = []
    for _ in range(args.steps):
        start = time.perf_counter()
        forward() if args.forward else step()
        took.append(time.perf_counter() - start)
    print(json.dumps({
        "images_per_second": args.batch / statistics.median(took), "losses": losses,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "version": torch.__version__, "threads": torch.get_num_threads(), "matrix_products": blas(),
    }))


main()

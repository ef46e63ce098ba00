#!/usr/bin/env python3
"""A training step, or a forward pass, of one of alexnet's networks in PyTorch, on the CPU.

    pytorch_step.py alexnet 32              images per second, as one JSON line
    pytorch_step.py cifar10-quick 128 --forward

The layers are those of alexnet.net with its columns merged (groups in conv2, conv4 and conv5) and
of nets/cifar10-quick.net. Images lie in memory before the clock starts. A first step does not
count; the figure is the median of the following ones.
"""

import argparse
import json
import os
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class AvgPool(nn.Module):
    """3x3, stride 2, the last window hanging over the edge, over the pixels that exist."""

    def forward(self, x):
        return F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)


def alexnet():
    def lrn():
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)  # PyTorch divides alpha by the size

    def relu():
        return nn.ReLU(inplace=True)

    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=2), relu(), lrn(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), relu(), lrn(), nn.MaxPool2d(3, 2),
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=NETWORKS)
    parser.add_argument("batch", type=int)
    parser.add_argument("--forward", action="store_true", help="the forward pass of a test alone")
    parser.add_argument("--steps", type=int, default=5, help="that count")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    net, (side, classes, parameters) = NETWORKS[args.net]()
    assert sum(p.numel() for p in net.parameters()) == parameters
    for p in net.parameters():
        nn.init.normal_(p, std=0.01)
    x = torch.randint(0, 256, (args.batch, 3, side, side)).float()
    labels = torch.arange(args.batch) % classes
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def forward():
        with torch.no_grad():
            return criterion(net(x), labels).item()

    if args.forward:
        net.eval()
    work = forward if args.forward else step
    took = []
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        loss = work()
        took.append(time.perf_counter() - start)
    assert loss == loss, "the loss is no number"
    print(json.dumps({
        "images_per_second": args.batch / statistics.median(took[1:]),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "torch": torch.__version__, "threads": torch.get_num_threads(),
    }))


main()

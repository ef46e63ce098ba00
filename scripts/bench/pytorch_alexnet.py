#!/usr/bin/env python3
"""Times a training step of alexnet.net in PyTorch, and the machine's ceilings.

Prints one JSON object a line; whatever the libraries print goes to stderr.
"kind" is one of

  torch    versions, and the device
  ready    with --paced: a measurement is next, and waits for a line on stdin
  step     images_per_second: median of five timings, and the slowest and fastest of them;
           layout: of images and weights, channels_last or contiguous;
           prepare_seconds: until steps in it were as fast as they get;
           peak_memory_bytes: of all steps after that
  matmul   tflops of a product of two square matrices
  copy     gb_per_second of a copy in the device's memory, bytes read plus bytes written
  skipped  a case that this machine cannot do, and why
  failed   a case that went wrong, and how
  done     the last line

The network is that of alexnet.net with its columns merged: groups in conv2, conv4 and
conv5, 60,965,224 parameters. Its normalisation sums over neighbours of both
columns, which is the same work. Images lie on the device before the clock starts.

bf16 runs with channels last, as NVIDIA advises for tensor cores. For fp32 and tf32
both layouts are tried for a moment, and the faster one is measured. They are tried
in the mode that is measured, but for max-autotune in eager mode: compiling for it
takes minutes.
"""

import argparse
import contextlib
import gc
import json
import math
import os
import statistics
import sys
import time

OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def emit(**line):
    OUT.write(json.dumps(line, allow_nan=False) + "\n")
    OUT.flush()


try:
    import torch
    from torch import nn
except Exception as e:  # a broken installation can raise anything
    emit(kind="skipped", why=f"{sys.executable} cannot import torch: {e}")
    emit(kind="done")
    sys.exit(0)

PRECISIONS = ["fp32", "tf32", "bf16"]
MODES = ["eager", "compile", "max-autotune"]
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
CLASSES = 1000
TIMINGS = 5
DIVIDE = 1  # kernels and neurons by this; see --divide


def network():
    def lrn():
        # PyTorch divides alpha by the size.
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)

    def relu():
        return nn.ReLU(inplace=True)

    def of(count):
        return count // DIVIDE

    net = nn.Sequential(
        nn.Conv2d(3, of(96), 11, stride=4, padding=2), relu(), lrn(), nn.MaxPool2d(3, 2),
        nn.Conv2d(of(96), of(256), 5, padding=2, groups=2), relu(), lrn(), nn.MaxPool2d(3, 2),
        nn.Conv2d(of(256), of(384), 3, padding=1), relu(),
        nn.Conv2d(of(384), of(384), 3, padding=1, groups=2), relu(),
        nn.Conv2d(of(384), of(256), 3, padding=1, groups=2), relu(), nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(of(256) * 6 * 6, of(4096)), relu(), nn.Dropout(0.5),
        nn.Linear(of(4096), of(4096)), relu(), nn.Dropout(0.5),
        nn.Linear(of(4096), CLASSES),
    )
    for p in net.parameters():
        nn.init.normal_(p, std=0.01)
    assert DIVIDE > 1 or sum(p.numel() for p in net.parameters()) == 60_965_224
    return net


class Device:
    """The device, and the only two things that differ between CPU and GPU: waiting and timing."""

    def __init__(self, name):
        self.name = name
        self.gpu = name == "cuda"

    def wait(self):
        if self.gpu:
            torch.cuda.synchronize()

    def seconds(self, work, count):
        """How long `count` runs of work take, without waits in between."""
        self.wait()
        if not self.gpu:
            start = time.perf_counter()
            for _ in range(count):
                work()
            return time.perf_counter() - start
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def timings(self, work, seconds):
        """Seconds a run, TIMINGS times, within about so many seconds in all."""
        self.seconds(work, 2)
        once = self.seconds(work, 1)
        count = max(1, math.ceil(seconds / TIMINGS / max(once, 1e-6)))
        return [self.seconds(work, count) / count for _ in range(TIMINGS)]

    def clean(self):
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()

    def reset(self):
        """Forgets what was compiled, and its memory."""
        if hasattr(torch, "_dynamo"):
            torch._dynamo.reset()
        self.clean()


def set_precision(precision):
    for backend in torch.backends.cuda.matmul, torch.backends.cudnn:
        backend.allow_tf32 = precision == "tf32"


def prepare(device, mode, precision, batch, layout):
    """Returns a training step, which returns the loss."""
    set_precision(precision)
    layout = LAYOUTS[layout]
    torch.manual_seed(1)
    net = network().to(device.name).to(memory_format=layout)
    x = torch.randint(0, 256, (batch, 3, 224, 224), device=device.name).float().contiguous(memory_format=layout)
    labels = torch.arange(batch, device=device.name) % CLASSES
    criterion = nn.CrossEntropyLoss()
    # So low a rate that pixels of noise do not drive the weights to infinity.
    fused = {"fused": True} if device.gpu and version() >= (2, 4) else {}
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4, **fused)
    model = net
    if mode == "compile":
        model = torch.compile(net)
    elif mode == "max-autotune":
        model = torch.compile(net, mode="max-autotune")

    def step():
        optimizer.zero_grad(set_to_none=True)
        lowered = torch.autocast(device.name, dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
        with lowered:
            loss = criterion(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def version():
    return tuple(int(n) for n in torch.__version__.split("+")[0].split(".")[:2])


def warm(device, mode, precision, batch, layout):
    """Returns a step that is as fast as it will be, and the seconds that this took."""
    start = time.perf_counter()
    step = prepare(device, mode, precision, batch, layout)
    # The first steps compile, choose algorithms and, with max-autotune, record a graph.
    for _ in range(5 if device.gpu else 1):
        step()
    device.wait()
    return step, time.perf_counter() - start


def fastest(device, args, mode, precision, batch):
    """Returns the faster layout, a step in it, and the seconds that its preparation took."""
    if precision == "bf16":
        return ("channels_last", *warm(device, mode, precision, batch, "channels_last"))
    trial = "eager" if mode == "max-autotune" else mode
    took = {}
    for layout in LAYOUTS:
        step = None  # one is in memory at a time
        device.reset()
        step, prepared = warm(device, trial, precision, batch, layout)
        took[layout] = statistics.median(device.timings(step, args.seconds / 2))
    best = min(took, key=took.get)
    if best != layout or trial != mode:
        step = None
        device.reset()
        step, prepared = warm(device, mode, precision, batch, best)
    return best, step, prepared


def time_steps(device, args, mode, precision, batch):
    case = dict(mode=mode, precision=precision, batch=batch)
    device.clean()
    layout, step, prepared = fastest(device, args, mode, precision, batch)
    device.clean()
    if device.gpu:
        torch.cuda.reset_peak_memory_stats()
    for number in range(1, args.rounds + 1):
        if args.paced:
            device.clean()
            emit(kind="ready", round=number, **case)
            if not sys.stdin.readline():
                raise SystemExit("stdin was closed while a case waited for its turn")
        took = device.timings(step, args.seconds)
        loss = step()
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"the loss is {loss.item()}")
        emit(kind="step", round=number, **case, layout=layout,
             images_per_second=batch / statistics.median(took), slowest=batch / max(took), fastest=batch / min(took),
             peak_memory_bytes=torch.cuda.max_memory_allocated() if device.gpu else None,
             prepare_seconds=prepared)


def time_matmul(device, args, precision, size):
    set_precision(precision)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=device.name, dtype=dtype) for _ in range(2))
    c = torch.empty_like(a)
    took = device.timings(lambda: torch.mm(a, b, out=c), args.seconds)
    emit(kind="matmul", precision=precision, size=size, tflops=2 * size**3 / statistics.median(took) / 1e12)


def time_copy(device, args, size):
    src = torch.randint(0, 256, (size,), device=device.name, dtype=torch.uint8)
    dst = torch.empty_like(src)
    took = device.timings(lambda: dst.copy_(src), args.seconds)
    emit(kind="copy", bytes=size, gb_per_second=2 * size / statistics.median(took) / 1e9)


def attempt(device, args, started, work, **case):
    """Does work, and says so if it cannot be done. What happens to one case is nothing to the others."""
    if time.perf_counter() - started > args.within:
        emit(kind="skipped", **case, why=f"no time was left of {args.within:g} s")
        return
    try:
        work()
    except Exception as e:
        text = str(e) or repr(e)
        out_of_memory = "out of memory" in text.lower()
        emit(kind="failed", **case, out_of_memory=out_of_memory, why=f"{type(e).__name__}: {text[:2000]}")
    finally:
        device.reset()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda allowed: lambda text: [allowed[allowed.index(n)] for n in text.split(",")]
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--ceilings", action="store_true", help="matrix products and a copy instead of training steps")
    parser.add_argument("--modes", type=names(MODES), default=MODES, help=",".join(MODES))
    parser.add_argument("--precisions", type=names(PRECISIONS), default=PRECISIONS, help=",".join(PRECISIONS))
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")], default=[128, 256, 1024])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each case")
    parser.add_argument("--seconds", type=float, default=1, help="that a measurement takes")
    parser.add_argument("--within", type=float, default=math.inf, help="begin no case after so many seconds")
    parser.add_argument("--paced", action="store_true", help="wait for a line on stdin before each measurement")
    parser.add_argument("--quick", action="store_true", help="one round of short measurements, small ceilings")
    parser.add_argument("--divide", type=int, choices=[1, 2, 4, 8, 16], default=1, help="all kernels and neurons by so many: a quick test of this script")
    args = parser.parse_args()
    global DIVIDE
    DIVIDE = args.divide
    if args.quick:
        args.rounds, args.seconds = 1, min(args.seconds, 0.2)

    started = time.perf_counter()
    device = Device(args.device)
    if device.gpu and not torch.cuda.is_available():
        emit(kind="skipped", why=f"torch {torch.__version__} sees no GPU")
        emit(kind="done")
        return
    # As a user who cares for speed sets it; ours measures its algorithms as well.
    torch.backends.cudnn.benchmark = True
    emit(kind="torch", version=torch.__version__, cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
         python=sys.executable, device=torch.cuda.get_device_name() if device.gpu else "cpu", threads=torch.get_num_threads())

    def why_not(precision, mode="eager"):
        if precision == "tf32" and not device.gpu:
            return "tf32 is a format of GPUs"
        if mode != "eager" and not hasattr(torch, "compile"):
            return f"torch {torch.__version__} has no torch.compile"
        return None

    if args.ceilings:
        size = (4096 if args.quick else 8192) if device.gpu else 256
        for precision in args.precisions:
            if why_not(precision):
                emit(kind="skipped", precision=precision, why=why_not(precision))
                continue
            attempt(device, args, started, lambda: time_matmul(device, args, precision, size), precision=precision)
        size = (1 << 30 if args.quick else 4 << 30) if device.gpu else 1 << 24
        attempt(device, args, started, lambda: time_copy(device, args, size), bytes=size)
    else:
        for mode in args.modes:
            for batch in args.batches:
                for precision in args.precisions:
                    case = dict(mode=mode, precision=precision, batch=batch)
                    if why_not(precision, mode):
                        emit(kind="skipped", **case, why=why_not(precision, mode))
                        continue
                    attempt(device, args, started, lambda: time_steps(device, args, **case), **case)
    emit(kind="done")


main()

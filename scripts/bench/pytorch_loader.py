#!/usr/bin/env python3
"""PyTorch's usual way from JPEG files to batches of training images, and how fast it is.

    pytorch_loader.py measure FOLDER --seconds 5   images per second, as one JSON line
    pytorch_loader.py prepare ORIGINALS FOLDER     makes such a FOLDER, as is usual before a training

Both folders are <class>/<image>. Prepared are files whose shorter side was scaled to
256, the centre cut out, and which are JPEG of quality 90. Measured is a Dataset that decodes
them with PIL, crops 224x224 somewhere, mirrors half of them, and gives normalised float
tensors, behind a DataLoader with worker processes that put them together to batches: what
torchvision's ImageFolder, RandomCrop, RandomHorizontalFlip, ToTensor and Normalize do,
which need not be installed.
"""

import argparse
import json
import os
import random
import sys
import time

import numpy as np
import PIL
import torch
from PIL import Image, features
from torch.utils.data import DataLoader, Dataset

SIZE, CROP, BATCH = 256, 224, 128
WARMUP = 1.0  # seconds that do not count, after the first batch
# An epoch is about as long as ImageNet's, however few the files: its start, when the
# workers begin with nothing, is not to be a part of the figure.
EPOCH = 1_000_000


def files(folder):
    """Paths and labels of all images."""
    classes = sorted(e.name for e in os.scandir(folder) if e.is_dir())
    found = [(os.path.join(folder, name, f), label)
             for label, name in enumerate(classes) for f in sorted(os.listdir(os.path.join(folder, name)))]
    if not found:
        sys.exit(f"{folder}: there are no images in it; they must lie at <class>/<image>")
    return found


class Images(Dataset):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

    def __init__(self, folder):
        self.files = files(folder)

    def __len__(self):
        return max(EPOCH, len(self.files))

    def __getitem__(self, i):
        path, label = self.files[i % len(self.files)]
        with open(path, "rb") as f:
            image = Image.open(f).convert("RGB")
        left, top = (random.randint(0, side - CROP) for side in image.size)
        image = image.crop((left, top, left + CROP, top + CROP))
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return x.sub_(self.mean).div_(self.deviation), label


def measure(args):
    loader = DataLoader(Images(args.folder), batch_size=BATCH, num_workers=args.workers, shuffle=True, drop_last=True)
    images, start = 0, None
    for number, (x, _) in enumerate(loader):
        now = time.perf_counter()
        if number == 0:
            assert x.shape == (BATCH, 3, CROP, CROP) and x.dtype == torch.float32
            begin = now + WARMUP
        if start is None:
            if now >= begin:
                start = now
            continue
        images += BATCH
        if now >= start + args.seconds:
            break
    print(json.dumps(dict(
        images_per_second=images / (now - start), images=images, seconds=now - start, workers=args.workers, batch=BATCH,
        torch=torch.__version__, pil=PIL.__version__, numpy=np.__version__,
        libjpeg_turbo=features.check_feature("libjpeg_turbo"))))


def prepare(args):
    count, refused = 0, 0
    for path, _ in files(args.originals):
        try:
            with open(path, "rb") as f:
                image = Image.open(f).convert("RGB")
        except Exception as e:  # PIL raises many kinds for damaged files
            print(f"{os.path.basename(path)}: {e}", file=sys.stderr)
            refused += 1
            continue
        scale = SIZE / min(image.size)
        width, height = (max(SIZE, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.BICUBIC)
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        image = image.crop((left, top, left + SIZE, top + SIZE))
        name, _ = os.path.splitext(os.path.basename(path))
        out = os.path.join(args.folder, os.path.basename(os.path.dirname(path)))
        os.makedirs(out, exist_ok=True)
        image.save(os.path.join(out, name + ".jpg"), quality=90)
        count += 1
    print(json.dumps(dict(images=count, refused=refused)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("measure")
    p.add_argument("folder")
    p.add_argument("--seconds", type=float, default=5)
    p.add_argument("--workers", type=int, default=1)
    p.set_defaults(run=measure)
    p = commands.add_parser("prepare")
    p.add_argument("originals")
    p.add_argument("folder")
    p.set_defaults(run=prepare)
    args = parser.parse_args()
    args.run(args)


main()

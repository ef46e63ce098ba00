# Makes the fixtures: little-endian ones with SciPy (1.10.1), and a big-endian
# one, which SciPy does not write, by hand; SciPy then reads it back.
#
#   python3 make.py
import os
import struct

import numpy as np
import scipy.io
import scipy.sparse

here = os.path.dirname(os.path.abspath(__file__))

# The table of a small development kit: IDs are not in the synsets' order, and
# the last is an inner node.
rows = [
    (1, "n02119789", "kit fox, Vulpes macrotis", "small grey fox", []),
    (2, "n01440764", "tench, Tinca tinca", "freshwater fish", []),
    (3, "n03126707", "crane", "lifts and moves heavy objects", []),
    (4, "n02012849", "crane", "large long-necked wading bird", []),
    (5, "n07930864", "d\u00e9cor \u2014 cup", "", []),
    (1001, "n00001740", "entity", "that which is perceived", [1, 2, 3, 4, 5]),
]
fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images"]
synsets = np.zeros((len(rows), 1), dtype=[(f, object) for f in fields])
for i, (n, wnid, words, gloss, children) in enumerate(rows):
    synsets[i, 0] = (np.float64(n), wnid, words, gloss, np.uint8(len(children)), np.array([children], np.float64),
                     np.uint8(len(children)), np.uint16(1300))

# An array of each kind of number, two rows of text, a struct in a struct, and
# what is passed over.
kinds = {t: np.array([[1, 2, 3], [4, 5, 100]], t) for t in
         ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]}
kinds["negative"] = np.array([[-1, -100]], "int16")
kinds["complex"] = np.array([[1 + 2j, 3]])
kinds["rows"] = np.array(["one", "two"])
kinds["inner"] = {"deep": 7.5}
kinds["cell"] = np.array([["a", 1]], object)
first = {"skipped": np.array([["x", 2]], object), "sparse": scipy.sparse.eye(2), "number": 3.25}

for name, packed, content in [("plain", False, synsets), ("compressed", True, synsets), ("kinds", False, kinds)]:
    path = os.path.join(here, name + ".mat")
    scipy.io.savemat(path, {**first, "synsets": content}, do_compression=packed)
    with open(path, "r+b") as f:  # no date, so that the same comes out each time
        f.write(b"MATLAB 5.0 MAT-file, by SciPy".ljust(116))


def element(kind, data):
    if 0 < len(data) <= 4:
        return struct.pack(">HH", len(data), kind) + data.ljust(4, b"\0")
    return struct.pack(">II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(kind, name, rows, cols, data):
    return element(14, element(6, struct.pack(">II", kind, 0)) + element(5, struct.pack(">ii", rows, cols)) +
                   element(1, name.encode()) + data)


def text(s):  # MATLAB writes type 4, of which SciPy reads Latin-1 alone
    b = s.encode("utf-16-be")
    return matrix(4, "", 1 if s else 0, len(b) // 2, element(4 if s.isascii() else 17, b))


table = element(5, struct.pack(">i", 32)) + element(1, b"".join(f.encode().ljust(32, b"\0") for f in fields[:3] + fields[5:6]))
for n, wnid, words, _, children in rows:
    table += matrix(6, "", 1, 1, element(4, struct.pack(">H", n))) + text(wnid) + text(words)
    table += matrix(6, "", 1 if children else 0, len(children), element(9, struct.pack(">%dd" % len(children), *children)))
path = os.path.join(here, "big-endian.mat")
with open(path, "wb") as f:
    f.write(b"MATLAB 5.0 MAT-file, by hand".ljust(116) + bytes(8) + b"\x01\x00MI")
    f.write(matrix(6, "number", 1, 1, element(9, struct.pack(">d", 3.25))) + matrix(2, "synsets", len(rows), 1, table))
for name in ["plain", "compressed", "big-endian"]:
    got = scipy.io.loadmat(os.path.join(here, name + ".mat"))
    assert got["number"] == 3.25
    for s, (n, wnid, words, _, children) in zip(got["synsets"][:, 0], rows):
        assert (s["ILSVRC2012_ID"].item(), s["WNID"].item(), s["words"].item(), s["children"].ravel().tolist()) == (n, wnid, words, children), s

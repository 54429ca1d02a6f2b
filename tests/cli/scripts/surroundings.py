"""What a script can see of how it was started, and what must come before torch."""

import os
import sys

os.environ["OMP_NUM_THREADS"] = "2"
before = [m for m in ("numpy", "torch") if m in sys.modules]

import torch  # noqa: E402

print(before, torch.get_num_threads(), type(torch.__loader__).__name__)
print(sys.argv, os.path.basename(sys.path[0]), __name__, __spec__, __package__, __doc__)
print(sys.modules["__main__"].before is before, type(__builtins__).__name__, sorted(globals()))
print("exec_module" in vars(torch.__loader__))

import helper  # noqa: E402

print(helper.NAME)

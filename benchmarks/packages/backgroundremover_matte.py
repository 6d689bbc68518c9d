"""backgroundremover's command with another net in the place of U2NETP: python backgroundremover_matte.py WORDS ...

WORDS are those of `backgroundremover`. The environment names the net: BENCHMARK_NET is an .onnx file of fixed batch 1
(so the words need --gpubatchsize 1), which is converted to Torch, so that the command can trace it as its own.
Worker processes import this file again, and so have it too.
"""

import os
from pathlib import Path
from typing import Any

import torch

_register = torch.library.register_fake


def _lenient(name: str, *rest: Any, **more: Any) -> Any:
    """torchvision that was built for CUDA beside Torch for the CPU lacks its own operators and does not load; nothing
    here uses them."""
    def decorate(made: Any) -> Any:
        try:
            return _register(name, *rest, **more)(made)
        except RuntimeError:
            return made

    return decorate


torch.library.register_fake = _lenient

from backgroundremover.u2net import u2net  # noqa: E402 - after what it needs
from onnx2torch import convert  # noqa: E402


class Given(torch.nn.Module):
    """The net as U2NETP is called: it gives a tuple, whose first item is (n, 1, h, w)."""

    def __init__(self, *_: int) -> None:
        super().__init__()
        self.inner = convert(os.environ["BENCHMARK_NET"]).eval()

    def forward(self, pictures: Any) -> tuple[Any]:
        return (self.inner(pictures),)


u2net.U2NETP = Given


def main() -> None:
    """Weights where the command looks for them, then the command."""
    weights = Path(os.environ["U2NETP_PATH"])
    if not weights.exists():
        torch.save(Given().state_dict(), weights)
    from backgroundremover.cmd.cli import main as command
    command()


if __name__ == "__main__":
    main()

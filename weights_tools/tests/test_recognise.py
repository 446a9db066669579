"""tests/golden/recognise.json, which the C++ library is tested on as well: what each checkpoint is recognised as."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import zeros
from d3ad_weights.naming import SPELLINGS
from d3ad_weights.recognise import recognise
from d3ad_weights.refusal import Refusal
from d3ad_weights.safetensors_file import Tensors

TABLE = json.loads((Path(__file__).resolve().parents[2] / "tests/golden/recognise.json").read_text())
Shapes = dict[str, list[int]]


def names(pattern: str) -> list[str]:
    """a.{b,c}.{0..1} stands for a.b.0, a.b.1, a.c.0 and a.c.1."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    first, dots, last = found[1].partition("..")
    each = [str(i) for i in range(int(first), int(last) + 1)] if dots else found[1].split(",")
    return [name for one in each for name in names(pattern[: found.start()] + one + pattern[found.end() :])]


def expanded(patterns: Shapes) -> Shapes:
    return {name: shape for pattern, shape in patterns.items() for name in names(pattern)}


def tensors_of(case: dict[str, Any]) -> Tensors:
    shapes: Shapes = {}
    for name, shape in expanded(TABLE["checkpoints"][case["of"]]).items():
        if name.startswith(tuple(case.get("without", []))):
            continue
        for theirs, ours in case.get("renamed", []):
            name = name.replace(theirs, ours)
        shapes[name] = shape
    shapes.update(expanded(case.get("with", {})))
    shapes = {case.get("prefix", "") + name: shape for name, shape in shapes.items()}
    shapes.update(expanded(case.get("beside", {})))
    return {name: zeros(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("case", TABLE["cases"], ids=[case["case"] for case in TABLE["cases"]])
def test_a_checkpoint_of_the_table(case: dict[str, Any]) -> None:
    tensors = tensors_of(case)
    if "refused" in case:
        with pytest.raises(Refusal) as refusal:
            recognise(tensors, "x.pth")
        assert case["refused"] in str(refusal.value)
        return
    found = recognise(tensors, "x.pth")
    assert (found.spelling.family, found.spelling.spelling) == (case["network"], case["spelling"])
    assert found.spelling.prefix == case.get("prefix", "")
    assert found.network.config == case["config"]


def test_the_table_has_every_network_in_every_spelling() -> None:
    recognised = {(case["network"], case["spelling"]) for case in TABLE["cases"] if "network" in case}
    assert recognised == {(family, spelling) for family, all_of_it in SPELLINGS.items() for spelling in all_of_it}

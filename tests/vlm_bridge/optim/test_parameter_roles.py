"""Which parameter is what, on a network with one of each and on an InternVL."""

from __future__ import annotations

import inspect

import pytest
from torch import nn

from tests.vlm_bridge.optim.small_network import small_network
from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.parameter_roles import parameter_groups, sort_parameters


def test_each_role_is_found_by_its_module() -> None:
    roles = {one.name: one.role for one in sort_parameters(small_network())}
    assert roles == {
        "positions": "table",
        "embedding.weight": "embedding",  # the head is tied to it, and counts once
        "mixer.weight": "kernel", "mixer.bias": "vector",
        "norm.weight": "vector", "norm.bias": "vector",
        "wide.weight": "matrix", "wide.bias": "vector",
        "narrow.weight": "matrix", "narrow.bias": "vector",
        "unused.weight": "matrix", "unused.bias": "vector",
    }  # fmt: skip


@pytest.mark.parametrize("tied", [True, False])
def test_an_internvl_is_sorted(tied: bool) -> None:
    model = tiny_internvl(tied=tied)
    found = sort_parameters(model)
    assert [one.name for one in found] == [name for name, _ in model.named_parameters()]
    by_role: dict[str, list[str]] = {}
    for one in found:
        by_role.setdefault(one.role, []).append(one.name)
    assert len(by_role["embedding"]) == 1
    assert by_role.get("head", []) == ([] if tied else ["lm_head.weight"])
    assert [name.split(".")[-2] for name in by_role["kernel"]] == ["projection"]
    assert sorted(name.split(".")[-1] for name in by_role["table"]) == ["cls_token", "position_embeddings"]
    # 2 vision layers of 4 + 2, the connector's 2, 2 language layers of 4 + 3
    assert len(by_role["matrix"]) == 2 * 6 + 2 + 2 * 7
    assert all(one.parameter.ndim == 1 for one in found if one.role == "vector")


def test_a_head_inside_a_larger_model_is_found() -> None:
    model = nn.ModuleDict({"backbone": tiny_internvl(), "masks": nn.Linear(4, 2)})
    roles = {one.name: one.role for one in sort_parameters(model)}
    assert roles["backbone.lm_head.weight"] == "head"
    assert roles["masks.weight"] == "matrix"


def test_what_is_frozen_is_left_out() -> None:
    model = small_network()
    model.wide.requires_grad_(False)
    assert not any(one.name.startswith("wide") for one in sort_parameters(model))


def test_tensors_decay_and_vectors_do_not() -> None:
    found = sort_parameters(small_network(), without_decay={"wide.weight"})
    assert {one.name for one in found if one.decays} == {
        "positions", "embedding.weight", "mixer.weight", "narrow.weight", "unused.weight"
    }  # fmt: skip
    decaying, other = parameter_groups(found, 0.1, 0.5, {"rank": 3})
    assert (decaying["weight_decay"], other["weight_decay"]) == (0.1, 0.0)
    assert (decaying["rank"], other["rank"]) == (3, 3)
    assert (len(decaying["params"]), len(other["params"])) == (5, 7)


def test_empty_groups_are_left_out() -> None:
    found = sort_parameters(nn.Linear(3, 2, bias=False))
    assert [group["weight_decay"] for group in parameter_groups(found, 0.1, 0.5)] == [0.1]
    assert parameter_groups([], 0.1, 0.5) == []


def test_the_first_override_that_fits_wins() -> None:
    roles = {
        one.name: one.role
        for one in sort_parameters(small_network(), overrides={"wide.*": "table", "*.weight": "embedding"})
    }
    assert roles["wide.weight"] == roles["wide.bias"] == "table"
    assert roles["narrow.weight"] == "embedding"
    assert roles["narrow.bias"] == "vector"


def test_overrides_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"fits none of 12"):
        sort_parameters(small_network(), overrides={"*.missing": "matrix"})
    wrong: dict = {"*.weight": "magic"}
    with pytest.raises(InvalidInputError, match="expected one of matrix"):
        inspect.unwrap(sort_parameters)(small_network(), overrides=wrong)  # where no checker of types is in between

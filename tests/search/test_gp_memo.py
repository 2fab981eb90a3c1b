"""What a fit leaves for the next batches, and what is not taken for it."""

import math
from dataclasses import replace

import pytest

from search.gp import memo
from search.gp.fit import Hyperparameters
from search.gp.memo import Fitted
from search.searcher import Memo

AT = Hyperparameters(lengths=(0.5, 2.0), noise=1e-3)
FITTED = Fitted(members=(AT,) * 4, lessons=200)


def test_a_memo_gives_back_what_was_written():
    written = memo.write(FITTED)
    assert memo.read(written) == FITTED
    assert memo.read(replace(written, version=2)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"lessons": "200"},
        {"members": []},
        {"members": [{"lengths": [1.0], "noise": 0.1}] * 3},
        {"members": [{"lengths": [1.0], "noise": -0.1}] * 4},
        {"members": [{"lengths": [math.inf], "noise": 0.1}] * 4},
        {"members": [{"lengths": [math.nan], "noise": 0.1}] * 4},
        {"members": [{"lengths": ["1"], "noise": 0.1}] * 4},
        {"members": [{"lengths": [1.0]}] * 4},
        {"members": [[1.0]] * 4},
        {"members": None},
    ],
)
def test_a_memo_that_is_not_sound_reads_as_none(change):
    data = {**memo.write(FITTED).data, **change}
    assert memo.read(Memo(version=1, data=data)) is None


def test_a_fit_serves_until_a_fiftieth_is_new_and_only_its_own_space():
    assert FITTED.serves(200, free=2)
    assert FITTED.serves(204, free=2)
    assert not FITTED.serves(205, free=2)
    assert not FITTED.serves(199, free=2)
    assert not FITTED.serves(200, free=3)

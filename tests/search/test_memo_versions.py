"""A memo is known by its version: no two kinds of one searcher may share it."""

from search.bayes import gradient_memo, outcomes_model, transfer_memo, warm


def test_every_memo_of_botorch_has_a_version_of_its_own() -> None:
    versions = [module.VERSION for module in (gradient_memo, outcomes_model, transfer_memo, warm)]
    assert len(set(versions)) == len(versions)

"""Who teaches whom in the columns of the threshold tables."""

from pathlib import Path

import pytest

from msfp.errors import NotComputable
from msfp.experiment.data import Fold, Part, halves
from msfp.types import Scene, Sequence
from tests.notebooks.plain import plain


def scene(name: str) -> Scene:
    sequence = Sequence(f"{name}-SDP", "mot17", "train", Path(name), 30.0, 10, 64, 48)
    return Scene(name, sequence, (sequence,))


def split(*names: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    learn, evaluate = zip(*(halves(scene(name)) for name in names), strict=True)
    return learn, evaluate


def test_a_sequence_left_out_teaches_the_others_only() -> None:
    learn, evaluate = split("MOT17-02", "MOT17-04", "MOT17-09")
    folds = plain("04").each_left_out([Fold("half", learn, evaluate)])
    assert [fold.evaluate for fold in folds] == [(part,) for part in evaluate], "the same frames are evaluated"
    for fold, part in zip(folds, evaluate, strict=True):
        assert fold.learn == learn
        assert [p.scene.name for p in fold.atl] == [p.scene.name for p in learn if p.scene.name != part.scene.name]


def test_a_single_sequence_cannot_be_left_out() -> None:
    learn, evaluate = split("MOT17-02")
    with pytest.raises(NotComputable, match="only one sequence is there to learn from"):
        plain("04").each_left_out([Fold("half", learn, evaluate)])

"""msfp: an open reproduction suite for the paper MSFP-Track.

A run holds settings, data and the store; all that is computed in a notebook is a verb of it.

    run = msfp.open("demo")                          # or smoke, mot17, full; dotted settings as text
    fold = run.fold()                                # msfp.Fold: .learn and .evaluate parts of scenes
    clip = run.clips()[0]                            # msfp.Clip: labels(), detections("FRCNN"), image(1), score(tracks)
    head = run.train("attention-instance", seed=0)   # msfp.Trained: .curve, .embed; or a class and a loss of your own
    run.embed(head, clip), run.reid(head)            # (N, D) embeddings; how well they tell people apart
    frame = run.evaluate([msfp.Method("mine", "bytetrack")], fold)
    run.table(1), run.figure(2)                      # what the notebook's cell with that number makes
    run.cached(function)                             # keep a function's results under its source
    isinstance(run.settings, msfp.Settings)

One call that opens its run by itself (`root=` data of your own, `profile=`, `weights=`, `home=`):

    msfp.load("MOT17")                               # clips of a folder in the MOTChallenge layout
    msfp.evaluate("MOT17", "results")                # HOTA and others of result files, or of two frames: labels, tracks
    msfp.train("attention-instance", root="MOT17")   # msfp.Trained
    msfp.tune("ByteTrack", root="MOT17", trials=50)  # a tracker's settings, selected on learning frames
    msfp.trackers()                                  # names

Track people in boxes that you have, or through the frames of a camera:

    msfp.track("bytetrack", boxes, fps=30)           # a frame in, a frame out: frame, id, x1, y1, x2, y2, score
    tracker = msfp.Tracker("msfp-track")             # tracker.update(image): one frame after the other
    msfp.iou(boxes, others)                          # (N, M) overlap of corners
    msfp.draw(clip, tracks, frames=[1, 20])          # pictures with boxes

A row of a table is a method; thresholds are two numbers or a rule.

    msfp.Method("row", "msfp-attention", "attention-instance", thresholds=(0.6, 0.1), options={"buffer": 10})
    msfp.Method("row", "msfp-track", "attention-instance", msfp.atl("offset"), joint=True)
    msfp.Method("row", "msfp-attention", msfp.Appearance("native", layers=(4,)), msfp.searched())
    msfp.fixed(0.6, 0.1), msfp.policy("percentile")  # the same thresholds everywhere; a rule that sees scores only

From measurements to a table:

    msfp.combine(frame, by="row")                    # as TrackEval combines: sums are added, ratios taken of the sums
    msfp.difference(frame, "mine", "ByteTrack")      # with its interval over scenes and seeds
    msfp.measures(clip.score(tracks))                # HOTA, AssA, DetA, IDF1, MOTA, IDSW of one sequence
    msfp.tracking_cells(frame, ["HOTA", "IDSW"], by_detector=True)
    msfp.difference_cell(frame, "mine", "ByteTrack", ("row", "column"))
    msfp.ceiling_cells(run.ceiling([fold]), ["HOTA"])  # what no tracker that adds no box can exceed
    msfp.reid_cells(run, {"row": "concat"}, fold.evaluate, fold.learn)
    msfp.association_cells(run, {"row": "concat"}), msfp.embedding_cells(run, {"row": "concat"})
    msfp.cell("row", "column", [0.71, 0.72, 0.70])   # one value a seed: mean and spread
    msfp.attempt("row", "column", function)          # or the reason why there is none
    msfp.absent("row", ["HOTA"], "no labels here")
    msfp.Cell("row", "Notes", "text"), msfp.reference(1)  # a plain cell; the paper's own table
    msfp.judged(run, 1), msfp.validation(run), msfp.crowded(run), msfp.cross_domain(run)  # where it is measured

What is inside a head, and how two boxes are compared:

    class Mine(msfp.FusionHead): ...                 # msfp.strategies() lists those that are there
    msfp.make_head("concat", {4: 64, 9: 256, 14: 192}, run.settings.fusion)
    msfp.Batches(labels, run.settings.training)      # P people with K boxes each
    msfp.SceneEncoder(192, "single", run.settings.atl)
    msfp.pairs(frame, identity), msfp.auc(positives, negatives), msfp.reid(embeddings, boxes)
    msfp.show(msfp.FusionHead)                       # its source

Errors are `msfp.MsfpError`: `msfp.InputError` names what is to be changed, `msfp.NotComputable` what is missing. Every
name is loaded when it is used; `help(msfp.track)` and so on says the rest.
"""

import importlib
import os
from typing import TYPE_CHECKING

# OpenCV reads it when it is loaded: an image of a few bytes that declares gigabytes is refused by its head.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")

if TYPE_CHECKING:
    from msfp.config import Settings as Settings
    from msfp.errors import InputError as InputError
    from msfp.errors import MsfpError as MsfpError
    from msfp.errors import NotComputable as NotComputable
    from msfp.experiment.clip import Clip as Clip
    from msfp.experiment.clip import draw as draw
    from msfp.experiment.clip import show as show
    from msfp.experiment.data import Fold as Fold
    from msfp.experiment.heads import Appearance as Appearance
    from msfp.experiment.heads import Trained as Trained
    from msfp.experiment.methods import Method as Method
    from msfp.experiment.methods import atl as atl
    from msfp.experiment.methods import combine as combine
    from msfp.experiment.methods import difference as difference
    from msfp.experiment.methods import fixed as fixed
    from msfp.experiment.methods import measures as measures
    from msfp.experiment.methods import policy as policy
    from msfp.experiment.methods import searched as searched
    from msfp.experiment.methods import track as track
    from msfp.experiment.verbs import measure
    from msfp.heads.fusion import FusionHead as FusionHead
    from msfp.heads.fusion import make_head as make_head
    from msfp.heads.fusion import strategies as strategies
    from msfp.heads.threshold import SceneEncoder as SceneEncoder
    from msfp.heads.triplets import Batches as Batches
    from msfp.metrics.reid import auc as auc
    from msfp.metrics.reid import pairs as pairs
    from msfp.online.tracker import Tracker as Tracker
    from msfp.paper.measure import absent as absent
    from msfp.paper.measure import association_cells as association_cells
    from msfp.paper.measure import attempt as attempt
    from msfp.paper.measure import ceiling_cells as ceiling_cells
    from msfp.paper.measure import cell as cell
    from msfp.paper.measure import cross_domain as cross_domain
    from msfp.paper.measure import crowded as crowded
    from msfp.paper.measure import difference_cell as difference_cell
    from msfp.paper.measure import embedding_cells as embedding_cells
    from msfp.paper.measure import judged as judged
    from msfp.paper.measure import reid_cells as reid_cells
    from msfp.paper.measure import tracking_cells as tracking_cells
    from msfp.paper.measure import validation as validation
    from msfp.paper.notebook import begin
    from msfp.paper.notebook import evaluate as evaluate
    from msfp.paper.notebook import load as load
    from msfp.paper.notebook import train as train
    from msfp.paper.notebook import tune as tune
    from msfp.paper.registry import frame
    from msfp.tracking import names
    from msfp.tracking.costs import iou as iou
    from msfp.types import Cell as Cell

    open, reid, reference, trackers = begin, measure, frame, names

__version__ = "0.1.0"

_NAMES = {
    "msfp.config": "Settings",
    "msfp.errors": "InputError MsfpError NotComputable",
    "msfp.experiment.clip": "Clip draw show",
    "msfp.experiment.data": "Fold",
    "msfp.experiment.heads": "Appearance Trained",
    "msfp.experiment.methods": "atl combine difference fixed measures Method policy searched track",
    "msfp.experiment.verbs": "reid:measure",
    "msfp.heads.fusion": "FusionHead make_head strategies",
    "msfp.heads.threshold": "SceneEncoder",
    "msfp.heads.triplets": "Batches",
    "msfp.metrics.reid": "auc pairs",
    "msfp.online.tracker": "Tracker",
    "msfp.paper.measure": "absent association_cells attempt ceiling_cells cell cross_domain "
    "crowded difference_cell embedding_cells judged reid_cells tracking_cells validation",
    "msfp.paper.notebook": "evaluate load open:begin train tune",
    "msfp.paper.registry": "reference:frame",
    "msfp.tracking": "trackers:names",
    "msfp.tracking.costs": "iou",
    "msfp.types": "Cell",
}
"""Module -> the public names that it defines; `open:begin` where it is called otherwise there."""

_PLACES = {
    word.partition(":")[0]: f"{module}:{word.partition(':')[2] or word}"
    for module, words in _NAMES.items()
    for word in words.split()
}
"""Public name -> `module:name`."""

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> object:
    """A public name, loaded when asked for: most need torch or pandas, which this package alone must not load."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other = _PLACES[name].partition(":")
    found = getattr(importlib.import_module(module), other)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*_PLACES, "__version__"})

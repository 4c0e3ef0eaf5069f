"""msfp: an open reproduction suite for the paper MSFP-Track.

    import msfp

    run = msfp.open("demo")                 # settings, data, store; the verbs of a notebook
    run.clips(), run.reid_clips()           # stretches of scenes: labels, detections, pictures, scores
    run.train("attention-instance")         # a head; or a class and a loss of your own
    run.embed(head, clip), run.reid(head)   # embeddings, and how well they tell people apart
    run.evaluate([msfp.Method(...)])        # trackers on clips, a tidy frame; msfp.combine adds it up
    run.table(3), run.figure(2)             # the paper's tables and figures
    run.cached(function)                    # keep a function's results under its source

    msfp.track("bytetrack", boxes)          # people through a sequence of boxes you have
    msfp.Tracker("msfp-track")              # people through the frames of a camera, one after the other

Every name is loaded when it is used; `help(msfp.track)` and so on says the rest.
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
    from msfp.experiment.evaluate import combine as combine
    from msfp.experiment.evaluate import difference as difference
    from msfp.experiment.evaluate import measures as measures
    from msfp.experiment.evaluate import track as track
    from msfp.experiment.look import draw as draw
    from msfp.experiment.look import show as show
    from msfp.experiment.method import Method as Method
    from msfp.experiment.method import atl as atl
    from msfp.experiment.method import fixed as fixed
    from msfp.experiment.method import policy as policy
    from msfp.experiment.method import searched as searched
    from msfp.experiment.run import measure
    from msfp.experiment.trained import Trained as Trained
    from msfp.heads.fusion import FusionHead as FusionHead
    from msfp.heads.fusion import make_head as make_head
    from msfp.heads.fusion import strategies as strategies
    from msfp.heads.sampling import Batches as Batches
    from msfp.heads.threshold import SceneEncoder as SceneEncoder
    from msfp.metrics.pairs import pairs as pairs
    from msfp.metrics.reid import auc as auc
    from msfp.paper.notebook import begin
    from msfp.pipeline.data import Fold as Fold
    from msfp.pipeline.tracker import Tracker as Tracker
    from msfp.tracking.iou import iou as iou
    from msfp.types import Cell as Cell

    open, reid = begin, measure

__version__ = "0.1.0"

_PLACES = {
    "Batches": "msfp.heads.sampling",
    "Cell": "msfp.types",
    "Clip": "msfp.experiment.clip",
    "Fold": "msfp.pipeline.data",
    "FusionHead": "msfp.heads.fusion",
    "InputError": "msfp.errors",
    "Method": "msfp.experiment.method",
    "MsfpError": "msfp.errors",
    "NotComputable": "msfp.errors",
    "SceneEncoder": "msfp.heads.threshold",
    "Settings": "msfp.config",
    "Tracker": "msfp.pipeline.tracker",
    "Trained": "msfp.experiment.trained",
    "atl": "msfp.experiment.method",
    "auc": "msfp.metrics.reid",
    "combine": "msfp.experiment.evaluate",
    "difference": "msfp.experiment.evaluate",
    "draw": "msfp.experiment.look",
    "fixed": "msfp.experiment.method",
    "iou": "msfp.tracking.iou",
    "make_head": "msfp.heads.fusion",
    "measures": "msfp.experiment.evaluate",
    "pairs": "msfp.metrics.pairs",
    "policy": "msfp.experiment.method",
    "searched": "msfp.experiment.method",
    "open": "msfp.paper.notebook:begin",
    "reid": "msfp.experiment.run:measure",
    "show": "msfp.experiment.look",
    "strategies": "msfp.heads.fusion",
    "track": "msfp.experiment.evaluate",
}
"""Public name -> where it is defined; `module:name` where it is called otherwise there."""


def __getattr__(name: str) -> object:
    """A public name, loaded when asked for: most need torch or pandas, which this package alone must not load."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other = _PLACES[name].partition(":")
    found = getattr(importlib.import_module(module), other or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*_PLACES, "__version__"})

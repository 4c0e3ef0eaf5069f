"""What `explore.ipynb` begins with."""

from pathlib import Path

import ipywidgets as widgets

from msfp.explore.clip import FULL
from msfp.explore.people import PeoplePanel
from msfp.explore.sequence_controls import SequenceControls
from msfp.explore.session import open_session
from msfp.explore.thresholds import ThresholdPanel
from msfp.explore.trackers import TrackersPanel


class Explorer:
    """The panels over one run; the sequence and the frame are the same in all of them."""

    def __init__(self, desk: SequenceControls) -> None:
        self._desk = desk

    @property
    def sequences(self) -> widgets.Dropdown:
        """Choose the sequence."""
        return self._desk.chooser

    def people(self, tracker: str = FULL) -> PeoplePanel:
        """Boxes and identities; click a person."""
        return PeoplePanel(self._desk, tracker)

    def thresholds(self, tracker: str = FULL) -> ThresholdPanel:
        """Thresholds by hand beside ATL's."""
        return ThresholdPanel(self._desk, tracker)

    def trackers(self, first: str = FULL, second: str = "ByteTrack") -> TrackersPanel:
        """Two trackers side by side."""
        return TrackersPanel(self._desk, first, second)


def begin(
    profile: str = "demo",
    *,
    dataset: str = "",
    sequence: str = "",
    root: str = "",
    weights: str = "",
    device: str = "",
    settings: str = "",
    home: str | Path = "..",
) -> Explorer:
    """Open a finished run.

    Args:
        profile: smoke, demo, mot17 or full.
        dataset: of the run's; empty: its main one.
        sequence: opened first, such as SYNTH17-01-FRCNN; empty: the first there is.
        root, weights, device, settings: as the run was made.
        home: folder that holds data/ and runs/.

    Raises:
        NoRun: this profile has not been run; says how.
        InputError: unknown profile, setting or sequence, or a path that is not there.
        NotComputable: not one sequence has its frames.
    """
    session = open_session(
        profile, dataset=dataset, root=root, weights=weights, device=device, settings=settings, home=home
    )
    return Explorer(SequenceControls(session, sequence))

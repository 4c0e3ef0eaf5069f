"""What `explore.ipynb` begins with."""

from typing import Any

import ipywidgets as widgets

from msfp.explore.clip import FULL
from msfp.explore.people import PeoplePanel
from msfp.explore.sequence_controls import SequenceControls
from msfp.explore.session import open_clips
from msfp.explore.thresholds import ThresholdPanel
from msfp.explore.trackers import TrackersPanel


class Explorer(SequenceControls):
    """The panels over one run; the sequence and the frame are the same in all of them."""

    @property
    def sequences(self) -> widgets.Dropdown:
        """Choose the sequence."""
        return self.chooser

    def people(self, tracker: str = FULL) -> PeoplePanel:
        """Boxes and identities; click a person."""
        return PeoplePanel(self, tracker)

    def thresholds(self, tracker: str = FULL) -> ThresholdPanel:
        """Thresholds by hand beside ATL's."""
        return ThresholdPanel(self, tracker)

    def trackers(self, first: str = FULL, second: str = "ByteTrack") -> TrackersPanel:
        """Two trackers side by side."""
        return TrackersPanel(self, first, second)


def begin(profile: str = "demo", *, sequence: str = "", **options: Any) -> Explorer:
    """Open a finished run at a sequence, such as SYNTH17-01-FRCNN (empty: the first); for the rest see `open_clips`."""
    return Explorer(open_clips(profile, **options), sequence)

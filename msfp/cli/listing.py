"""What there is of each kind, read from the registries."""

from collections.abc import Callable

from msfp.errors import InputError

Row = dict[str, object]


def _artefacts(kind: str) -> list[Row]:
    from msfp.paper.registry import artefacts

    return [
        {"id": a.number, "status": a.status, "notebook": a.notebook, "title": a.title}
        for a in artefacts()
        if a.kind == kind
    ]


def _trackers() -> list[Row]:
    from msfp.tracking import names, tracker_class

    classes = [tracker_class(name) for name in names()]
    return [{"name": c.name, "label": c.label, "appearance": c.appearance or "none"} for c in classes]


def _datasets() -> list[Row]:
    from msfp.datasets.catalog import DATASETS

    return [{"name": d.name, "role": d.role, "licence": d.licence} for d in DATASETS.values()]


def _presets() -> list[Row]:
    from msfp.features.presets import PRESETS

    return [{"name": p.name, "taps": ",".join(map(str, p.taps)), "note": p.note} for p in PRESETS.values()]


def _strategies() -> list[Row]:
    from msfp.heads.fusion import STRATEGIES

    return [{"name": n, "what": (c.__doc__ or "").splitlines()[0]} for n, c in sorted(STRATEGIES.items())]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "tables": lambda: _artefacts("table"),
    "figures": lambda: _artefacts("figure"),
    "trackers": _trackers,
    "datasets": _datasets,
    "presets": _presets,
    "appearances": _strategies,
}


def listing(what: str) -> list[Row]:
    """Rows of one kind.

    Raises:
        InputError: a kind that does not exist.
    """
    if what not in KINDS:
        raise InputError(f"list {what}: there are {', '.join(KINDS)}")
    return KINDS[what]()

"""What there is of each kind, read from the registries, or from their source where they are slow to import."""

from collections.abc import Callable

from msfp.errors import InputError

Row = dict[str, object]


def _artefacts(kind: str, extra: bool = False) -> list[Row]:
    from msfp.paper.registry import EXTRA, every

    return [
        {"id": a.number, "status": a.status, "notebook": a.notebook, "title": a.title}
        for a in every()
        if a.kind == kind and (a.number > EXTRA) == extra
    ]


def _trackers() -> list[Row]:
    from msfp.tracking import names, tracker_class

    classes = [tracker_class(name) for name in names()]
    return [{"name": c.name, "label": c.label, "appearance": c.appearance or "none"} for c in classes]


def _datasets() -> list[Row]:
    from msfp.datasets.catalog import DATASETS

    return [{"name": d.name, "role": d.role, "licence": d.licence} for d in DATASETS.values()]


def _presets() -> list[Row]:
    from msfp.features.presets import presets

    return [
        {"name": p.name, "detector": p.architecture, "layers": ",".join(map(str, p.layers)), "remark": p.remark}
        for p in presets().values()
    ]


def _strategies() -> list[Row]:
    """Read from the source: importing the heads would load PyTorch."""
    import ast
    from importlib.resources import files

    rows: list[Row] = []
    for path in files("msfp.heads").iterdir():
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.name.endswith(".py") else ast.Module([], [])
        for node in (n for n in tree.body if isinstance(n, ast.ClassDef)):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "strategy":
                    what = (ast.get_docstring(node) or "").splitlines()[0]
                    rows.append({"name": ast.literal_eval(call.args[0]), "what": what})
    return sorted(rows, key=lambda row: str(row["name"]))


def _thresholds() -> list[Row]:
    from msfp.tracking.thresholds import policies

    return [{"name": n, "what": (c.__doc__ or "").splitlines()[0]} for n, c in policies().items()]


def _notebooks() -> list[Row]:
    from msfp.paper.registry import every
    from msfp.paper.tagged import notebooks_folder

    found = every()
    made = {n: [a for a in found if a.notebook == n and a.status == "ready"] for n in {a.notebook for a in found}}
    names = sorted(path.stem for path in notebooks_folder().glob("[0-9][0-9]_*.ipynb"))
    return [{"name": name, "makes": ", ".join(a.name for a in made.get(name, ()))} for name in names]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "tables": lambda: _artefacts("table"),
    "figures": lambda: _artefacts("figure"),
    "extras": lambda: _artefacts("table", extra=True),
    "trackers": _trackers,
    "datasets": _datasets,
    "presets": _presets,
    "appearances": _strategies,
    "thresholds": _thresholds,
    "notebooks": _notebooks,
}


def listing(what: str) -> list[Row]:
    """Rows of one kind.

    Raises:
        InputError: a kind that does not exist.
    """
    if what not in KINDS:
        raise InputError(f"list {what}: there are: {', '.join(KINDS)}")
    return KINDS[what]()

"""What there is of each kind, read from the registries, or from their source where they are slow to import."""

import ast
import json
from collections.abc import Iterator
from importlib.resources import files

from msfp.errors import InputError, hint

Row = dict[str, object]
KINDS = ("tables", "figures", "extras", "trackers", "datasets", "presets", "appearances", "thresholds", "notebooks")


def listing(what: str) -> list[Row]:
    """Rows of one kind, each with a line that says what it is; InputError: a kind that does not exist."""
    rows: list[Row] = []
    match what:
        case "tables" | "figures" | "extras":
            from msfp.paper.registry import EXTRA, every

            extra = what == "extras"
            return [
                {"id": a.number, "kind": a.kind, "status": a.status, "notebook": a.notebook, "title": a.title}
                for a in every()
                if (a.number > EXTRA) == extra and (extra or f"{a.kind}s" == what)
            ]
        case "trackers":
            from msfp.tracking import names, tracker_class

            for c in map(tracker_class, names()):
                settings = " ".join(name for name in c.Settings.model_fields if name != "fps")
                about = {"name": c.name, "label": c.label, "appearance": c.appearance or "none", "what": _first(c)}
                rows.append({**about, "--set": settings})
            return rows
        case "datasets":
            from msfp.data.catalog import DATASETS

            return [{"name": d.name, "role": d.role, "licence": d.licence} for d in DATASETS.values()]
        case "presets":
            from msfp.features.presets import presets

            return [
                {"name": p.name, "detector": p.architecture, "layers": ",".join(map(str, p.layers)), "remark": p.remark}
                for p in presets().values()
            ]
        case "appearances":
            found = [*_declared("msfp.heads"), ("reid", "The separate ReID network on crops (OSNet x0.25).")]
            return [{"name": name, "what": what} for name, what in sorted(found)]
        case "thresholds":
            from msfp.tracking.thresholds import policies

            return [{"name": name, "what": _first(kind)} for name, kind in policies().items()]
        case "notebooks":
            from msfp.paper.registry import every, notebooks_folder

            ready = [a for a in every() if a.status == "ready"]
            for path in sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb")):
                head = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
                makes = ", ".join(a.name for a in ready if a.notebook == path.stem)
                rows.append({"name": path.stem, "what": f"{head}**".split("**")[1], "makes": makes})
            return rows
    raise InputError(f"list {what}: there are: {', '.join(KINDS)}")


def _first(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def check_name(kind: str, option: str, word: str) -> None:
    """Refuse a word that no tracker or appearance is called by; takes no time, as sources are read and not imported.

    Raises InputError: names what there is.
    """
    from msfp.heads import ALIASES

    if kind == "trackers":
        known = sorted(name for name, _ in _declared("msfp.tracking"))
    else:
        known = ["none", *sorted({*(name for name, _ in _declared("msfp.heads")), *ALIASES, "reid"})]
    if word not in known:
        raise InputError(f"{option} {word}: not known; there are: {', '.join(known)}{hint(word, known)}")


def _declared(package: str) -> Iterator[tuple[str, str]]:
    """Name and first line of each class of a registry, from the source: importing it would load PyTorch or Numba."""
    for path in files(package).iterdir():
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.name.endswith(".py") else ast.Module([], [])
        for node in (n for n in tree.body if isinstance(n, ast.ClassDef)):
            for line in node.body:
                match line:
                    case (
                        ast.Assign([ast.Name("name")], ast.Constant(str(name)))
                        | ast.AnnAssign(ast.Name("name"), value=ast.Constant(str(name)))
                        | ast.Assign([ast.Tuple([ast.Name("name"), *_])], ast.Tuple([ast.Constant(str(name)), *_]))
                    ) if name:
                        yield name, (ast.get_docstring(node) or "").partition("\n")[0]

"""What a shell offers where a name is expected, read from the same lists as `msfp list` shows."""

from collections.abc import Callable, Iterable

Offer = Callable[[str], list[str]]
PROFILES = ("smoke", "demo", "mot17", "full")
THRESHOLDS = ("default", "atl", "atl-single", "atl-dual")


def among(names: Iterable[str]) -> Offer:
    """Offers those of the names that begin with what was typed."""
    known = tuple(names)

    def offer(typed: str) -> list[str]:  # typer reads the annotation
        return [name for name in known if name.startswith(typed)]

    return offer


def of_kind(*kinds: str, also: Iterable[str] = ()) -> Offer:
    """Offers the names (or numbers) of `msfp list KIND`, looked up when they are asked for."""
    more = tuple(also)

    def offer(typed: str) -> list[str]:
        from msfp.cli.listing import listing

        found = [str(row.get("name", row.get("id"))) for kind in kinds for row in listing(kind)]
        return [name for name in (*more, *found) if name.startswith(typed)]

    return offer


def kinds(typed: str) -> list[str]:
    """Offers what `msfp list` lists."""
    from msfp.cli.listing import KINDS

    return [kind for kind in KINDS if kind.startswith(typed)]

"""What a shell offers where a name is expected, read from the same lists as `msfp list` shows, when it is asked for."""

from collections.abc import Callable, Iterable

Offer = Callable[[str], list[str]]
THRESHOLDS = ("default", "atl", "atl-single", "atl-dual")


def offering(names: Callable[[], Iterable[str]]) -> Offer:
    """Offers those of the names that begin with what was typed."""

    def offer(typed: str) -> list[str]:  # typer reads the annotation
        return [name for name in names() if name.startswith(typed)]

    return offer


def of_kind(*kinds: str, also: Iterable[str] = ()) -> Offer:
    """Offers the names (or numbers) of `msfp list KIND`."""
    more = tuple(also)

    def names() -> list[str]:
        from msfp.cli.listing import listing

        return [*more, *(str(row.get("name", row.get("id"))) for kind in kinds for row in listing(kind))]

    return offering(names)


def profiles() -> Iterable[str]:
    """Names of the profiles."""
    from msfp.config import PROFILES

    return PROFILES


def kinds() -> Iterable[str]:
    """What `msfp list` lists."""
    from msfp.cli.listing import KINDS

    return KINDS


def fetched() -> Iterable[str]:
    """Data sets that `msfp data get` fetches."""
    from msfp.datasets.registry import DATASETS

    return [one.name for one in DATASETS.values() if one.archives]

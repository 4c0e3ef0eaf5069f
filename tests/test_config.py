"""Settings: every profile is valid, unknown keys and wrong values stop with one line, switches are all listed."""

from typing import get_args

import pytest
from pydantic import BaseModel

from msfp.config import PROFILES, SWITCHES, Settings, choices_used, settings
from msfp.errors import InputError
from msfp.pipeline.run import literal, parse_overrides


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_valid(profile: str) -> None:
    assert settings(profile).profile == profile


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("atl.betta", 0.9, r"setting 'atl.betta' is not known; there are: atl.tau_min, .*atl.beta"),
        ("altl.beta", 0.9, r"setting 'altl.beta' is not known; there are: profile, seeds"),
        ("seeds.first", 0, r"setting 'seeds.first' is not known"),
        ("atl.beta", "much", r"setting atl.beta = 'much': .*valid number"),
        ("atl.beta", 1.5, r"setting atl.beta = 1.5: .*less than 1"),
        ("split", "thirds", r"setting split = 'thirds': .*'half', 'loso' or 'paper'"),
    ],
)
def test_what_does_not_fit_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings("demo", {key: value})


def test_unknown_profile() -> None:
    with pytest.raises(InputError, match="'demmo' is not known; there are: smoke, demo, mot17, full"):
        settings("demmo")


def test_overrides_do_not_leak_into_the_profile() -> None:
    assert settings("demo", {"input.size": (320, 192)}).input.size == (320, 192)
    assert settings("demo").input.size == (640, 384)


def literal_switches(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted names of the settings that choose between words."""
    found = set()
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= literal_switches(kind, f"{prefix}{name}.")
        elif get_args(kind) and all(isinstance(a, str) for a in get_args(kind)):
            found.add(prefix + name)
    return found


def test_every_choice_between_words_is_told_in_the_report() -> None:
    assert literal_switches(Settings) <= set(SWITCHES)
    assert [row[0] for row in choices_used(settings())] == list(SWITCHES)


def test_words_become_values() -> None:
    assert parse_overrides("atl.beta=0.7 split=loso seeds=0,1 data.crowded=none") == {
        "atl.beta": 0.7,
        "split": "loso",
        "seeds": [0, 1],
        "data.crowded": None,
    }
    assert literal("1e-3") == 0.001
    with pytest.raises(InputError, match="setting 'beta': write it as name=value"):
        parse_overrides("beta")

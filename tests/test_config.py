"""Settings: every profile is valid, unknown keys and wrong values stop with one line, switches are all listed."""

import string
from math import inf, nan
from typing import get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from msfp import tracking
from msfp.config import PROFILES, SWITCHES, Settings, choices_used, settings
from msfp.errors import InputError
from msfp.experiment.run import literal, parse_overrides


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
        ("seeds", 0, r"setting seeds = 0: .*tuple; separate values by commas, one alone is written seeds=0,"),
        ("seeds", [-1], r"setting seeds.0 = -1: .*greater than or equal to 0"),
        ("split", "thirds", r"setting split = 'thirds': .*'half', 'loso' or 'paper'"),
    ],
)
def test_what_does_not_fit_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings("demo", {key: value})


def leaves(model: type[BaseModel], kind: type, prefix: str = "") -> dict[str, bool]:
    """Dotted names of the settings that hold values of a type -> whether they hold several."""
    found = {}
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= leaves(annotation, kind, f"{prefix}{name}.")
        elif annotation is kind or kind in get_args(annotation):
            found[prefix + name] = get_origin(annotation) is tuple
    return found


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("kind", [int, float])
def test_numbers_that_are_not_finite_are_refused_by_name(kind: type, value: str) -> None:
    names = leaves(Settings, kind)
    assert len(names) > 10
    for key, several in names.items():
        text = f"{key}=0.1,{value}" if several else f"{key}={value}"
        with pytest.raises(InputError) as refused:
            settings("demo", parse_overrides(text))
        assert str(refused.value).startswith(f"setting {key}")
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", tracking.names())
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_trackers_take_no_such_number_either(name: str, value: float) -> None:
    for key in leaves(tracking.tracker_class(name).Settings, float):
        with pytest.raises(InputError, match=key):
            tracking.make(name, **{key: value})


@given(st.lists(st.integers(0, 3), max_size=4))
def test_seeds_are_there_each_once(seeds: list[int]) -> None:
    if seeds and len(set(seeds)) == len(seeds):
        assert settings("demo", {"seeds": seeds}).seeds == tuple(seeds)
        return
    with pytest.raises(InputError, match=r"setting seeds = \[.*\]: (a seed stands there twice|give at least one seed)"):
        settings("demo", {"seeds": seeds})


@pytest.mark.parametrize("key", ["profile", *(f"data.{n}" for n in ("main", "crowded", "cross", "dance", "embedded"))])
@given(
    st.text(max_size=8) | st.sampled_from(["../../x", "/tmp/x", ".", "..", "a/b", "a\\b", "", ".x", "x\n", "a b", "é"])
)
def test_what_becomes_part_of_a_path_is_a_plain_name(key: str, name: str) -> None:
    plain = set(name) <= set(string.ascii_letters + string.digits + "-_.") and not name.startswith(".") and name
    if plain:
        settings("demo", {key: name})
        return
    with pytest.raises(InputError, match=rf"setting {key} = .*give a plain name of letters"):
        settings("demo", {key: name})


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
    assert parse_overrides("seeds=[0,1] data.learn_from=[MOT17-*]") == {"seeds": [0, 1], "data.learn_from": ["MOT17-*"]}
    assert literal("1e-3") == 0.001
    with pytest.raises(InputError, match="setting 'beta': write it as name=value"):
        parse_overrides("beta")

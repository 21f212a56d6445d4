import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.demand.rules import VolumeNames, clashes, counted, numbered

COUNTS = st.dictionaries(st.sampled_from("abcde"), st.none() | st.integers(1, 4), min_size=1)


def _names(counts: dict[str, int | None]) -> VolumeNames:
    return VolumeNames((name, numbered(name, count)) for name, count in counts.items())


@pytest.mark.slow
@given(COUNTS, st.data())
def test_names_stand_for_volumes_each_once_in_order(
    counts: dict[str, int | None], data: st.DataObject
) -> None:
    """As if every volume of the demand were asked in turn whether one of the names means it."""
    volumes = [(name, each) for name, count in counts.items() for each in numbered(name, count)]
    usable = sorted({name for pair in volumes for name in pair})
    chosen = data.draw(st.lists(st.sampled_from(usable)))
    expected = tuple(each for written, each in volumes if written in chosen or each in chosen)
    assert _names(counts).ordered(chosen) == expected


def test_a_counted_name_means_all_and_a_numbered_name_one() -> None:
    """With a count of one, too."""
    names = _names({"corpus": None, "scratch": 2, "only": 1})
    assert list(names.meant_by("corpus")) == ["corpus"]
    assert list(names.meant_by("scratch")) == ["scratch-1", "scratch-2"]
    assert list(names.meant_by("scratch-2")) == ["scratch-2"]
    assert list(names.meant_by("only")) == ["only-1"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("corpse", "no volume is called 'corpse'; did you mean corpus?"),
        ("Corpus", "no volume is called 'Corpus'; did you mean corpus?"),
        (
            "scratch-3",
            "no volume is called 'scratch-3'; `scratch` stands for scratch-1 to scratch-2",
        ),
        ("scratch-", "no volume is called 'scratch-'; did you mean scratch?"),
        ("zzz", "no volume is called 'zzz'"),
        ("corpus-1", "no volume is called 'corpus-1'; did you mean corpus?"),
    ],
)
def test_an_unknown_name_is_answered_with_what_was_meant(name: str, sentence: str) -> None:
    """Also where the number is beyond the count, or the volume has none."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the whole sentence is compared
        _names({"corpus": None, "scratch": 2}).meant_by(name)
    assert str(caught.value) == sentence


def test_a_name_of_two_things_is_refused() -> None:
    """`s-1` may be one of `s`, or all of `s-1`; the volumes themselves do not clash."""
    counts: dict[str, int | None] = {"s": 2, "s-1": 2}
    names = _names(counts)
    with pytest.raises(ValueError, match="'s-1' is one volume of a counted entry and all volumes"):
        names.ordered(["s-1"])
    assert names.ordered(["s-1-2", "s"]) == ("s-1", "s-2", "s-1-2")


@pytest.mark.slow
def test_equal_slips_share_one_search() -> None:
    """A name misspelt a thousand times has its hint each time, beyond the bound on searches."""
    names = VolumeNames((f"volume{n}", [f"volume{n}"]) for n in range(10_000))
    sentences = set()
    for slip in ["volumme77"] * 10 + ["wolume78", "vollume79", "volumee80", "volumme77"]:
        with pytest.raises(ValueError, match="no volume is called") as caught:
            names.meant_by(slip)
        sentences.add(str(caught.value))
    assert "no volume is called 'volumme77'; did you mean volume77?" in sentences
    assert "no volume is called 'volumee80'" in sentences
    assert len(sentences) == 4


def test_only_sound_names_and_counts_are_counted() -> None:
    """What is wrong by itself is reported by its field; a wrong count leaves its name unsure."""
    volumes: list[tuple[int, dict[str, object]]] = [
        (0, {"name": "a"}),
        (1, {"name": "b", "count": None}),
        (3, {"name": "c", "count": 0}),
        (4, {"name": "d e"}),
        (5, {}),
        (6, {"name": "f", "count": True}),
    ]
    assert counted({"count": 2}, volumes) == ([(0, "a", 2), (1, "b", None)], {"c", "f"})


def test_a_clash_is_told_at_the_later_entry() -> None:
    """The first to use a name keeps it."""
    sound = [(0, "s", 2), (2, "s-2", None), (5, "t", None)]
    expected = (("volumes", 2, "name"), "'s-2' is also a name of volumes[0]")
    assert list(clashes(sound)) == [expected]


def test_the_bound_on_volumes_counts_the_expanded() -> None:
    """Exactly a hundred thousand are still planned."""
    ten = [(n, f"v{n}", 10_000) for n in range(10)]
    assert list(clashes(ten)) == []
    assert list(clashes([*ten, (10, "w", None)])) == [
        (("volumes",), "expands to 100,001 volumes; at most 100,000 are planned")
    ]

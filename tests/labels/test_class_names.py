"""Names that a person cannot tell apart are one class."""

import pytest

from project.work.labels.naming import canonical, notes


@pytest.mark.parametrize(
    "written",
    ["caf\u00e9", "cafe\u0301", "caf\u00e9 ", " caf\u00e9", "caf\u00e9\u200b", "\ufeffcaf\u00e9", "ca\u00adf\u00e9",
     "\uff43\uff41\uff46\u00e9", "caf\u00e9\u00a0", "caf\u00e9\u3000", "caf\u00e9\r"],
)  # fmt: skip
def test_what_looks_the_same_is_the_same_name(written: str) -> None:
    assert canonical(written) == "caf\u00e9"


@pytest.mark.parametrize(
    "name", ["cat", "The Eiffel Tower", "\u6f22", "\u00e9t\u00e9", "m\u00b2", "hot-dog", "Cat", "a_b", "\U0001f600"]
)
def test_a_name_in_its_usual_form_stays_as_it_is(name: str) -> None:
    assert canonical(name) == name


def test_a_person_is_told_of_names_that_became_one_and_of_capitals() -> None:
    told = notes(["cat", "cat ", "dog", "Dog", "bird"])
    assert told == [
        "'cat', 'cat ' are one class, cat: they look the same",
        "Dog and dog differ by capitals alone and are 2 classes",
    ]
    assert notes(["cat", "cat", "dog"]) == []

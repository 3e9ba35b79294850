import json
import unicodedata
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from syncd.digest import canonical, digest, document_digests
from tests.documents import attributes

unicode_text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | unicode_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(unicode_text, inner),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_the_quick_encoder_writes_the_same_bytes_as_rfc8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(attributes, st.randoms())
def test_equal_documents_have_equal_digests_whatever_the_order_of_keys(document: dict[str, Any], chance: Any) -> None:
    assert digest(_shuffled(document, chance)) == digest(document)


def _shuffled(value: Any, chance: Any) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(one, chance) for one in value] if isinstance(value, list) else value


@given(st.sampled_from(["é", "Å", "ガ", "ệ"]))
def test_the_unicode_form_is_part_of_the_content(text: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)

    assert digest({"title": composed}) != digest({"title": decomposed})
    assert composed.encode() in canonical({"title": composed})


def test_a_number_is_not_its_text_but_one_is_one_point_zero() -> None:
    assert digest({"version": 1}) != digest({"version": "1"})
    assert digest({"version": 1}) == digest({"version": 1.0})


@given(attributes)
def test_the_document_digest_is_the_digest_of_state_and_attributes(document: dict[str, Any]) -> None:
    whole, single = document_digests("findable", document)

    assert whole == digest({"attributes": document, "state": "findable"})
    assert set(single) == set(document)
    assert whole != document_digests("draft", document)[0]


@given(attributes, attributes)
def test_attribute_digests_differ_exactly_where_the_attributes_do(one: dict[str, Any], other: dict[str, Any]) -> None:
    _, first = document_digests("findable", one)
    _, second = document_digests("findable", other)

    for name in one.keys() & other.keys():
        same = canonical(one[name]) == canonical(other[name])
        assert (first[name] == second[name]) == same


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, -(2**60), "\ud800", {1: 2}, object()])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - rfc8785's own subclasses
        canonical({"member": value})


def test_a_digest_can_be_computed_again_with_any_tool() -> None:
    import hashlib

    text = json.dumps({"a": "ü", "b": [1, None]}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert digest({"b": [1, None], "a": "ü"}) == "v1:" + hashlib.sha256(text.encode()).hexdigest()

"""What RFC 9535 promises, by small cases of our own. test_compliance.py runs the public suite."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from botstate_ext.errors import StateQueryError
from botstate_ext.jsonpath import JsonPath

ORDER: dict[str, Any] = {
    "code": "12345",
    "paid": False,
    "note": None,
    "total": 0,
    "pizzas": [
        {"name": "Margherita", "price": 8, "by": "Ann", "extras": []},
        {"name": "Funghi", "price": 9.5, "by": "Bob", "extras": ["olives", "basil"]},
        {"name": "Marinara", "price": 7, "extras": ["garlic"], "gift": True},
    ],
    "address": {"city": "Utrecht", "floor": 2, "first name": "Ann", "it's": 1},
}
MARGHERITA, FUNGHI, MARINARA = ORDER["pizzas"]


def found(path: str, value: Any) -> list[Any]:
    return JsonPath(path).find(value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", [ORDER]),
        ("$.code", ["12345"]),
        ("$['code']", ["12345"]),
        ('$["code"]', ["12345"]),
        ("$.address.city", ["Utrecht"]),
        ("$.address['first name']", ["Ann"]),
        (r"$.address['it\'s']", [1]),
        (r"$['\u0063ode']", ["12345"]),
        ("$ .address [ 'city' ]", ["Utrecht"]),
        ("$.missing", []),
        ("$.code.length", []),
        ("$.note", [None]),
        ("$.note.more", []),
        ("$.pizzas[0].name", ["Margherita"]),
        ("$.pizzas[-1].name", ["Marinara"]),
        ("$.pizzas[3]", []),
        ("$.pizzas[-4]", []),
        ("$.pizzas['0']", []),
        ("$.address[0]", []),
        ("$.code[0]", []),
    ],
)
def test_names_and_indexes(path: str, expected: list[Any]) -> None:
    assert JsonPath(path).singular
    assert found(path, ORDER) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$[*]", [0, 1, 2, 3, 4]),
        ("$[1:3]", [1, 2]),
        ("$[1:]", [1, 2, 3, 4]),
        ("$[:2]", [0, 1]),
        ("$[:]", [0, 1, 2, 3, 4]),
        ("$[::2]", [0, 2, 4]),
        ("$[::-1]", [4, 3, 2, 1, 0]),
        ("$[3:0:-2]", [3, 1]),
        ("$[-2:]", [3, 4]),
        ("$[-100:100]", [0, 1, 2, 3, 4]),
        ("$[3:1]", []),
        ("$[::0]", []),
        ("$[0,0,-1]", [0, 0, 4]),
        ("$[4,1:3,*]", [4, 1, 2, 0, 1, 2, 3, 4]),
        ("$[5]", []),
    ],
)
def test_slices_and_lists_of_selectors(path: str, expected: list[int]) -> None:
    assert found(path, [0, 1, 2, 3, 4]) == expected
    assert found(path, "01234") == []


def test_an_index_beyond_the_end_finds_nothing_among_other_selectors_too() -> None:
    for path in ["$[0,1]", "$[-1,'a']", "$..[0]", "$[*][0]"]:
        assert found(path, []) == []
    assert found("$[0,-1,1,-2]", ["only"]) == ["only", "only"]
    assert found("$[*][0,-1]", [["a", "b"], [], ["c"]]) == ["a", "b", "c", "c"]


def test_a_wildcard_gives_members_and_elements_in_their_order() -> None:
    assert found("$.address.*", ORDER) == ["Utrecht", 2, "Ann", 1]
    assert found("$.pizzas[*].by", ORDER) == ["Ann", "Bob"]
    assert found("$.code[*]", ORDER) == []


def test_descendants_come_in_document_order_each_node_before_its_children() -> None:
    assert found("$..by", ORDER) == ["Ann", "Bob"]
    assert found("$..['by','gift']", ORDER) == ["Ann", "Bob", True]
    assert found("$..[0]", [[1, [2]], 3]) == [[1, [2]], 1, 2]
    assert found("$..*", {"a": [1, {"b": 2}], "c": 3}) == [[1, {"b": 2}], 3, 1, {"b": 2}, 2]
    assert found("$.pizzas..[1:]", ORDER) == [FUNGHI, MARINARA, "basil"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("@.by", ["Margherita", "Funghi"]),
        ("!@.by", ["Marinara"]),
        ("@.extras[0]", ["Funghi", "Marinara"]),
        ("@.extras[*]", ["Funghi", "Marinara"]),
        ("@.by == 'Ann'", ["Margherita"]),
        ('"Ann" == @.by', ["Margherita"]),
        ("@.by != 'Ann'", ["Funghi", "Marinara"]),
        ("@.price < 9", ["Margherita", "Marinara"]),
        ("@.price <= 8", ["Margherita", "Marinara"]),
        ("@.price > 8", ["Funghi"]),
        ("@.price >= 9.5", ["Funghi"]),
        ("@.price == 8.0", ["Margherita"]),
        ("@.price == 8e0", ["Margherita"]),
        ("@.price > 7 && @.price < 9", ["Margherita"]),
        ("@.by == 'Bob' || @.gift && @.price < 8", ["Funghi", "Marinara"]),
        ("(@.by == 'Bob' || @.gift) && @.price < 8", ["Marinara"]),
        ("!(@.by == 'Bob' || @.gift)", ["Margherita"]),
        ("@.gift == true", ["Marinara"]),
        ("@.gift == 1", []),
        ("@.by == @.missing", ["Marinara"]),
        ("@.by <= @.missing", ["Marinara"]),
        ("@.by < @.missing", []),
        ("@.price > $.address.floor", ["Margherita", "Funghi", "Marinara"]),
        ("@.by == $.address['first name']", ["Margherita"]),
        ("$.paid", ["Margherita", "Funghi", "Marinara"]),
        ("$.missing", []),
        ("@.extras == $.pizzas[2].extras", ["Marinara"]),
        ("@ == $.pizzas[1]", ["Funghi"]),
        ("@.extras[?@ == 'basil']", ["Funghi"]),
        ("length(@.name) == 6", ["Funghi"]),
        ("length(@.extras) > 0", ["Funghi", "Marinara"]),
        ("length(@) == 4", ["Margherita", "Funghi", "Marinara"]),
        ("length(@.price) == @.missing", ["Margherita", "Funghi", "Marinara"]),
        ("count(@.extras[*]) == 1", ["Marinara"]),
        ("count(@.missing) == 0", ["Margherita", "Funghi", "Marinara"]),
        ("count($.pizzas[*]) == 3", ["Margherita", "Funghi", "Marinara"]),
        ("value(@..by) == 'Bob'", ["Funghi"]),
        ("value(@.extras[*]) == 'garlic'", ["Marinara"]),
        ("match(@.name, 'Mar.*')", ["Margherita", "Marinara"]),
        ("match(@.name, 'Mar')", []),
        ("search(@.name, 'ar')", ["Margherita", "Marinara"]),
        ("search(@.name, '[gh]{2}')", ["Margherita", "Funghi"]),
        ("search(@.by, 'n|o')", ["Margherita", "Funghi"]),
        ("match(@.price, '8')", []),
        ("match(@.name, @.by)", []),
        ("match(@.name, '(')", []),
        ("match(@.name, '[z-a]')", []),
        ("!match(@.name, 'M.*')", ["Funghi"]),
    ],
)
def test_filters(test: str, expected: list[str]) -> None:
    assert found(f"$.pizzas[?{test}].name", ORDER) == expected


def test_what_exists_is_found_however_false_it_looks() -> None:
    assert found("$[?@]", [0, 1, False, None, "", [], {}]) == [0, 1, False, None, "", [], {}]
    assert found("$[?@.a]", [{"a": 0}, {"a": None}, {"b": 1}]) == [{"a": 0}, {"a": None}]
    assert found("$[?count(@) == 1]", [0, "", "three"]) == [0, "", "three"]


def test_a_number_is_not_a_boolean_anywhere() -> None:
    value = [1, True, 0, False, [1], [True], {"a": 0}, {"a": False}, 1.0]
    assert [type(one) for one in found("$[?@ == 1]", value)] == [int, float]
    assert found("$[?@ == true]", value) == [True]
    assert str(found("$[?@ == $[4]]", value)) == "[[1]]"
    assert str(found("$[?@ == $[7]]", value)) == "[{'a': False}]"
    assert found("$[?@ < true]", value) == []
    assert found("$[?@ <= true]", value) == [True]


def test_the_root_is_the_same_in_every_filter_however_deep() -> None:
    value: dict[str, Any] = {"limit": 8, "groups": [[{"price": 7}, {"price": 9}], [{"price": 9}]]}
    assert found("$.groups[?@[?@.price < $.limit]]", value) == value["groups"][:1]
    assert found("$.groups[?@[?@.price > $.groups[0][0].price]]", value) == value["groups"]


def test_null_equals_null_and_nothing_else() -> None:
    value: list[Any] = [{"a": None}, {"a": 0}, {}]
    assert found("$[?@.a == null]", value) == [{"a": None}]
    assert found("$[?@.a <= null]", value) == [{"a": None}]
    assert found("$[?@.a < null]", value) == []


def test_integers_beyond_a_float_keep_every_digit() -> None:
    ids = [9007199254740993, 9007199254740992]
    assert found("$[?@ == 9007199254740993]", ids) == ids[:1]


def test_a_dot_in_a_pattern_is_no_line_end_and_a_class_stays_as_it_is() -> None:
    value = ["a.b", "a\nb", "a\rb", "axb", "a\u2028b"]
    assert found("$[?match(@, 'a.b')]", value) == ["a.b", "axb", "a\u2028b"]
    assert found("$[?match(@, 'a[.]b')]", value) == ["a.b"]
    assert found(r"$[?match(@, 'a\\.b')]", value) == ["a.b"]
    assert found(r"$[?match(@, '\\p{Ll}.[b]')]", value) == ["a.b", "axb", "a\u2028b"]


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("[0-9]{10}", ["0612345678"]),
        ("[0-9]{1,12}", ["12", "0612345678"]),
        ("[0-9]{10,}", ["0612345678"]),
        (r"[a-z]+@[a-z]+\\.[a-z]{2,63}", ["ann@example.org"]),
        ("[{10}]{4}", ["{01}"]),
        (r"\\{01\\}", ["{01}"]),
        ("[0-9]{,3}", []),
        ("[0-9]{3,2}", []),
        ("[0-9]{0,99999999999}", []),
        (r"\\d+", []),
        ("(?:12)", []),
        ("1+?2", []),
    ],
)
def test_patterns_are_iregexps_and_no_others(pattern: str, matching: list[str]) -> None:
    value = ["12", "0612345678", "ann@example.org", "{01}"]
    assert found(f"$[?match(@, '{pattern}')]", value) == matching


def test_the_pattern_of_a_filter_may_come_from_the_document() -> None:
    value = {"pattern": "[0-9]+", "items": ["12", "a1"]}
    assert found("$.items[?match(@, $.pattern)]", value) == ["12"]


def test_a_lone_surrogate_is_no_pattern() -> None:
    assert found("$.items[?match(@, $.p)]", {"p": "\ud800", "items": ["\ud800"]}) == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "name",
        ".name",
        "@.name",
        " $.name",
        "$.name ",
        "$.",
        "$..",
        "$.1",
        "$[01]",
        "$[-0]",
        "$[1.0]",
        "$[9007199254740992]",
        "$['a]",
        "$[a]",
        "$[]",
        "$['a',]",
        r"$['\x']",
        r"$['\ud800']",
        "$[?]",
        "$[?1]",
        "$[?true]",
        "$[?'a']",
        "$[?@.a = 1]",
        "$[?@.a === 1]",
        "$[?@.a == 1 == 2]",
        "$[?@.* == 1]",
        "$[?@..a == 1]",
        "$[?!!@.a]",
        "$[?!1]",
        "$[?!length(@.a)]",
        "$[?!@.a == 1]",
        "$[?@.a && 1]",
        "$[?count(@.a)]",
        "$[?length(@.a)]",
        "$[?match(@.a, 'a') == true]",
        "$[?count(1) == 1]",
        "$[?length(@.*) == 1]",
        "$[?length(@.a, 1) == 1]",
        "$[?unknown(@.a)]",
        "$[?(@.a]",
        "$[?@.a == $.*]",
    ],
)
def test_what_the_rfc_does_not_allow_is_refused_when_compiled(path: str) -> None:
    with pytest.raises(StateQueryError, match=r"not valid|has a filter|compares"):
        JsonPath(path)


def test_an_error_shows_the_path_and_the_position() -> None:
    with pytest.raises(StateQueryError, match=r"'\$\.orders\[x\]' is not valid: .* position 9"):
        JsonPath("$.orders[x]")


@pytest.mark.parametrize(
    "name", ["中文", "é", "a中", "中1_b", "\x80", "\ud7ff\ue000", "😀", "\U0010ffff"]
)
def test_a_name_beyond_ascii_needs_no_brackets(name: str) -> None:
    value = {name: 1, "x": {"y": {name: 2}}}
    assert found(f"$.{name}", value) == found(f"$['{name}']", value) == [1]
    assert found(f"$..{name}", value) == [1, 2]
    assert found(f"$.x[?@.{name} == 2]", value) == [{name: 2}]


@pytest.mark.parametrize("name", ["1中", "-中", "中-", "\ud800", "a\udfff", "\x7f", "中 文"])
def test_not_every_character_is_part_of_a_name(name: str) -> None:
    with pytest.raises(StateQueryError, match="not valid"):
        JsonPath(f"$.{name}")


ROWS = [{"x": [{"b": 1}, {"c": 1}, {"d": 1}]}, {"x": [{"b": 0}]}]


@pytest.mark.parametrize(
    ("test", "matches"),
    [
        ("count(@.x[?@.b, ?@.c]) == 2", [0]),
        ("count(@.x[?@.b == 0, 0]) == 2", [1]),
        ("count(@.x[0, ?@.b]) == 2", [0, 1]),
        ("count(@.x[?(@.b), ?(@.c || @.d), 0]) == 4", [0]),
        ("count(@.x[?length(@.b) == 1, ?match(@.c, 'b')]) == 0", [0, 1]),
        ("count(@.x[?count(@[?@ == 1, ?@ == 0]) == 1, ?@.b]) > 3", [0]),
        ("value(@.x[?@.c, ?@.e].c) == 1", [0]),
        ("count(@.x[?@.b, ?@.c]) == 2 && @.x[?@.d, ?@.e]", [0]),
    ],
)
def test_a_comma_after_a_filter_in_the_argument_of_a_function(
    test: str, matches: list[int]
) -> None:
    assert found(f"$[?{test}]", ROWS) == [ROWS[index] for index in matches]


@pytest.mark.parametrize(
    "path",
    [
        "$[?count(@.x[?@.b,]) > 1]",
        "$[?count(@.x[?@.b], @.x) > 1]",
        "$[?count(@.x[?@.b, ?@.c) > 1]",
        "$[?count(@.x[?(@.b, @.c)]) > 1]",
        "$[?count((@.x, @.y)) > 1]",
        "$[?match(@.x[?@.b, ?@.c], 'b')]",
    ],
)
def test_a_comma_in_the_wrong_place_is_refused(path: str) -> None:
    with pytest.raises(StateQueryError, match="not valid"):
        JsonPath(path)


def test_the_other_spelling_of_a_root_is_accepted() -> None:
    assert JsonPath(".$DateOfBirth.Year") == JsonPath("$.DateOfBirth.Year")
    assert JsonPath(".$['a']") == JsonPath("$['a']")
    assert JsonPath(".$") == JsonPath("$")
    assert str(JsonPath(".$a")) == "$.a"


def test_only_names_and_indexes_are_singular() -> None:
    for path in ["$[*]", "$..a", "$['a','b']", "$[0:1]", "$.a[?@]", "$.a.*", "$.a..b"]:
        assert not JsonPath(path).singular
    for path in ["$", "$.a", "$.a['b'][0][-1]"]:
        assert JsonPath(path).singular


def test_run_answers_a_singular_path_with_its_value_and_others_with_a_list() -> None:
    assert JsonPath("$.code").run(ORDER) == "12345"
    assert JsonPath("$.paid").run(ORDER) is False
    assert JsonPath("$.missing").run(ORDER) is None
    assert JsonPath("$.pizzas[*].gift").run(ORDER) == [True]
    assert JsonPath("$.missing[*]").run(ORDER) == []


def test_first_gives_the_default_only_when_there_is_nothing() -> None:
    assert JsonPath("$.note").first(ORDER, "default") is None
    assert JsonPath("$.missing").first(ORDER, "default") == "default"
    assert JsonPath("$..price").first(ORDER) == 8
    assert JsonPath("$..weight").first(ORDER) is None


def test_what_is_found_is_the_value_itself_and_the_list_is_new() -> None:
    path = JsonPath("$.pizzas[*]")
    first, again = path.find(ORDER), path.find(ORDER)
    assert first[0] is MARGHERITA
    first.clear()
    assert len(again) == 3
    whole = JsonPath("$.pizzas").find(ORDER)
    whole.append(1)
    assert len(ORDER["pizzas"]) == 3


def test_a_path_is_compiled_once_immutable_and_hashable() -> None:
    path = JsonPath("$.a.b")
    assert JsonPath("$.a.b") is path
    assert path == copy.deepcopy(path) == pickle.loads(pickle.dumps(path))  # noqa: S301 - our own
    assert path != JsonPath("$.a.c")
    assert path != "$.a.b"
    assert {path: 1}[JsonPath("$.a.b")] == 1
    assert repr(path) == "JsonPath('$.a.b')"
    with pytest.raises(AttributeError):
        path.singular = False  # type: ignore[misc]  # that it fails is the point


def test_a_path_is_a_string() -> None:
    with pytest.raises(StateQueryError, match="is a string, not int"):
        JsonPath(5)  # type: ignore[arg-type]  # what an untyped caller may do

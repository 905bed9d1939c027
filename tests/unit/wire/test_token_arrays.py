"""Token arrays cut out of a text and put back: the text is the same afterwards, whatever it holds."""

import random
from typing import Any

import orjson
import pytest

from nemo_gym.wire.token_arrays import put_back_arrays, take_out_arrays

LONG = list(range(1000, 1200))
PROBS = [-0.5 - n / 1000 for n in range(200)]
ITEM = {"type": "message", "prompt_token_ids": LONG, "generation_token_ids": LONG, "generation_log_probs": PROBS}


def test_what_is_cut_out_leaves_little_and_is_put_back_exactly() -> None:
    text = orjson.dumps({"output": [{"type": "reasoning"}, ITEM, {**ITEM, "n": 2}], "after": [1]})
    small, arrays = take_out_arrays(text)
    assert len(arrays) == 6
    assert len(small) < 600
    assert orjson.loads(small)["after"] == [1]
    assert put_back_arrays(small, arrays) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(orjson.dumps({"generation_token_ids": [1, 2, 3]}), id="short"),
        pytest.param(orjson.dumps({"generation_token_ids": ["x" * 300]}), id="texts"),
        pytest.param(orjson.dumps({"generation_token_ids": [[1] * 300]}), id="nested"),
        pytest.param(orjson.dumps({"generation_token_ids": [{"a": n} for n in range(99)]}), id="objects"),
        pytest.param(orjson.dumps({"generation_token_ids": None, "x": LONG}), id="null"),
        pytest.param(orjson.dumps({"text": orjson.dumps(ITEM).decode()}), id="inside-a-string"),
        pytest.param(orjson.dumps({'a"generation_token_ids': LONG}), id="end-of-another-key"),
        pytest.param(b'{"generation_token_ids": [1, 2', id="torn"),
    ],
)
def test_everything_but_a_long_array_of_numbers_under_its_key_is_left_as_it_is(text: bytes) -> None:
    assert take_out_arrays(text) == (text, {})


def test_white_space_makes_no_difference() -> None:
    text = orjson.dumps(ITEM, option=orjson.OPT_INDENT_2).replace(b'": [', b'"\n :\t[')
    small, arrays = take_out_arrays(text)
    assert len(arrays) == 3
    assert put_back_arrays(small, arrays) == text


def test_pieces_of_several_texts_make_one() -> None:
    one, other = (take_out_arrays(orjson.dumps({"generation_token_ids": [n] * 200})) for n in (1, 2))
    joined = put_back_arrays(b"[%s,%s,%s]" % (other.text, one.text, other.text), one.arrays | other.arrays)
    assert [item["generation_token_ids"][0] for item in orjson.loads(joined)] == [2, 1, 2]


def test_a_text_that_looks_like_a_mark_is_left_as_it_is() -> None:
    forged = orjson.dumps([{"generation_token_ids": ["cut-0000000000000000-0"]}, ITEM])
    small, arrays = take_out_arrays(forged)
    assert put_back_arrays(small, arrays) == forged


def test_texts_of_all_kinds_come_back() -> None:
    chance = random.Random(7)
    for _ in range(300):
        text = orjson.dumps(_anything(chance, 4), option=chance.choice([0, orjson.OPT_INDENT_2]))
        small, arrays = take_out_arrays(text)
        orjson.loads(small)
        assert put_back_arrays(small, arrays) == text


def _anything(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(7 if depth else 4)
    keys = [*ITEM, "x", '"generation_token_ids"', "\\", 'generation_token_ids":[']
    match kind:
        case 0:
            return chance.choice([*keys, "]", None, True, 1.5, "ü\u2028"])
        case 1:
            return chance.choice([LONG, PROBS, [], [1]])
        case 2:
            return [-n for n in range(chance.randrange(400))]
        case 3:
            return orjson.dumps(ITEM).decode()
        case 4 | 5:
            return {chance.choice(keys): _anything(chance, depth - 1) for _ in range(4)}
    return [_anything(chance, depth - 1) for _ in range(3)]

"""What a training script logs is what is read, whatever it is."""

from __future__ import annotations

import math
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.core import codec
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.names import flatten
from besom.core.plain import DEPTH, ELEMENTS
from besom.testing import values

RECORDS = [
    rec.Run(1.5, id="r", entity="me", project="p", tags=("a",), meta={"python": "3.11"}, starts=True),
    rec.Config({"lr": 1e-3, "net": {"width": 8}}, ("old",)),
    rec.History(3, 1.5, {"loss": 0.5}),
    rec.History(3, 1.5, {"loss": 0.5}, True),
    rec.Summary({"best": 0.5}, ("old",)),
    rec.Define("val/*", "epoch", ("min", "last"), "minimize"),
    rec.Stats(1.5, {"cpu": 12.0}),
    rec.Console(1.5, "out", "epoch 1\n"),
    rec.File("model.bin", "00", 12, 1.5),
    rec.Artifact("model", "model", {"a": "00"}, ("latest",), True, {"n": 1}),
    rec.Alert(1.5, "it diverged", "loss is NaN", "WARN", 60.0),
    rec.Preempt(1.5),
    rec.Exit(1.5, None, rec.CRASHED, "no word", "reaper"),
]


def same(left, right) -> bool:
    """Equal, and equal bit by bit where floats are concerned; True is not 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return left == right


def logged(data, odd=None):
    """The row that is read after `data` was logged."""
    return codec.decode(codec.encode_history(3, 1.5, data, False, odd)).data


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_every_record_comes_back(record):
    assert codec.decode(codec.encode(record)) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_the_slow_path_writes_what_the_fast_one_does(record):
    assert codec.decode(codec._slow(record, None)) == record


@pytest.mark.parametrize(("what", "value"), values.EXACT, ids=[v[0] for v in values.EXACT])
def test_exact_values_come_back_as_they_are(what, value):
    odd: list[str] = []
    assert same(logged({"k": value}, odd)["k"], value)
    assert same(logged({"k": [value]}, odd)["k"], [value])
    assert same(codec.decode(codec.encode(rec.Config({"k": {"x": value}}), odd)).update, {"k": {"x": value}})
    assert same(codec.load(codec.dump({"k": [value]}, odd)), {"k": [value]})
    assert odd == []


@pytest.mark.parametrize(("what", "value", "read"), values.CHANGED, ids=[v[0] for v in values.CHANGED])
def test_numbers_of_libraries_and_such_become_plain(what, value, read):
    odd: list[str] = []
    assert same(logged({"k": value, "other": 2**70}, odd)["k"], read)  # with 2**70 beside it, all goes the slow path
    assert same(logged({"k": value}, odd)["k"], read)
    assert same(codec.decode(codec.encode(rec.Config({"k": value}), odd)).update["k"], read)
    assert odd == []


@pytest.mark.parametrize(("what", "value", "flat"), values.NESTED, ids=[v[0] for v in values.NESTED])
def test_nested_maps_become_dotted_keys(what, value, flat):
    odd: list[str] = []
    assert logged({"k": value}, odd) == flat
    assert codec.decode(codec.encode(rec.Summary({"k": value}), odd)).update == flat
    config = codec.decode(codec.encode(rec.Config({"k": value}), odd)).update
    assert dict(flatten(config)) == flat
    assert odd == []


@pytest.mark.parametrize(("what", "value", "text"), values.ODD, ids=[v[0] for v in values.ODD])
def test_unknown_objects_become_text_and_their_key_is_told(what, value, text):
    odd: list[str] = []
    read = logged({"a": {"b": value}}, odd)["a.b"]
    while isinstance(read, list):
        read = read[0]
    assert read == text
    assert odd == ["a.b"]


def test_a_map_that_contains_itself_is_cut_there():
    odd: list[str] = []
    assert logged({"k": values.circle()}, odd) == {"k.x": 1, "k.self": "<dict that contains itself>"}
    deep = values.nest(DEPTH + 5, leaf=values.circle())
    assert logged({"k": deep}, odd)["k" + ".d" * (DEPTH + 5) + ".x"] == 1


def test_the_same_list_twice_is_not_a_circle():
    one = [1]
    odd: list[str] = []
    assert logged({"k": [one, one], "big": 2**70}, odd)["k"] == [[1], [1]]
    assert odd == []


def test_a_long_array_becomes_text():
    odd: list[str] = []
    assert isinstance(logged({"k": np.zeros(ELEMENTS + 1)}, odd)["k"], str)
    assert odd == ["k"]


def test_a_deep_config_is_shallow_enough_for_json():
    config = codec.decode(codec.encode(rec.Config({"k": values.nest(1000)})))
    msgspec.json.encode(config.update)


def test_steps_and_times_of_numpy_are_numbers():
    read = codec.decode(codec.encode_history(np.int64(7), np.float32(1.5), {"a": 1}))
    assert (read.step, read.time) == (7, 1.5)
    assert codec.decode(codec.encode_history(7.0, 1, {"a": 1})).step == 7


def test_a_tensor_that_raises_becomes_text():
    class Gone:
        shape = (1,)

        def item(self):
            raise RuntimeError("the buffer was given away")

        def __str__(self):
            return "a tensor"

    odd: list[str] = []
    assert logged({"k": Gone()}, odd) == {"k": "a tensor"}
    assert odd == ["k"]


def test_an_object_that_raises_at_every_touch_does_not_take_its_row_with_it():
    """A closed file of h5py raises when it is asked for its shape."""

    class Closed:
        @property
        def shape(self):
            raise ValueError("not a dataset (not a dataset)")

        @property
        def __class__(self):
            raise RuntimeError("no proxy behind this")

        def __str__(self):
            raise RuntimeError("closed")

    odd: list[str] = []
    assert logged({"k": Closed(), "loss": 0.5}, odd) == {"k": "<Closed>", "loss": 0.5}
    assert odd == ["k"]


def test_console_text_with_lone_surrogates_is_kept_readable():
    read = codec.decode(codec.encode(rec.Console(1.5, "out", "a\udcffb")))
    assert read.text == "a\\udcffb"


def test_a_map_that_changes_while_it_is_logged_does_not_raise():
    class Growing(dict):
        def items(self):
            self[len(self)] = 1
            return super().items()

    assert logged({"k": Growing(a=1), "big": 2**70})["k.a"] == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\xc1",
        b"\x90",
        b"\x92\x02",
        b"\x91\x63",
        b"\x93\x02\x01\x02",
        b"\x94\x02\x01\x01\x81\xc0",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_bytes_that_are_no_record_raise_one_kind_of_error(payload):
    with pytest.raises(msgspec.DecodeError):
        codec.decode(payload)


def test_fields_and_kinds_of_a_later_version_are_skipped():
    longer = msgspec.msgpack.encode([10, 1.5, "a field to come"])
    unknown = msgspec.msgpack.encode([77, 1.5])
    assert codec.decode(longer) == rec.Preempt(1.5)
    body = msgspec.msgpack.encode([0, 30, [0, 10, 20], [longer, unknown, longer]])
    assert codec.unpack(body) == Batch(0, 30, (0, 20), (rec.Preempt(1.5), rec.Preempt(1.5)))


def test_a_batch_survives_the_wire():
    batch = Batch(0, 100, tuple(range(0, len(RECORDS) * 5, 5)), tuple(RECORDS))
    assert codec.unpack(codec.pack(batch)) == batch
    with pytest.raises(msgspec.DecodeError):
        codec.unpack(msgspec.msgpack.encode([0, 30, [0, 10], [b"\x92\x0a\x01"]]))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(alphabet=st.characters(categories=["Cs", "Ll"])),
    st.binary(max_size=20),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.complex_numbers().map(lambda z: values.Tensor(z.real)),
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), anything, max_size=5))
def test_whatever_is_logged_is_read_and_reads_the_same_again(data):
    first = codec.decode(codec.encode_history(3, 1.5, data))
    again = codec.decode(codec.encode(first))
    assert same(first.data, again.data)
    slow = codec.decode(codec._slow(rec.History(3, 1.5, data), None))
    assert same(first.data, slow.data)


@given(st.dictionaries(st.text(), scalars.filter(lambda v: not hasattr(v, "item")), max_size=8))
def test_plain_rows_are_read_exactly(data):
    keys = {key.encode("utf-8", "backslashreplace").decode() for key in data}
    read = logged(data)
    assert read.keys() == keys
    assert all(same(read[key], value) for key, value in data.items() if key in read)


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_no_bytes_make_the_decoder_fail_in_another_way(payload):
    try:
        codec.decode(payload)
    except msgspec.DecodeError:
        pass


def test_infinities_of_numpy_stay():
    assert logged({"k": np.float32("inf")})["k"] == math.inf

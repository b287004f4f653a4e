import pytest

from swallow_spark.kernels.order.capacity import needs

SETTING = {"bands": 40, "rows_per_band": 20, "bands_per_pass": 10}


def test_needs_grow_with_pages_and_bands() -> None:
    one, many = needs(1000, **SETTING), needs(1_000_000, **SETTING)
    for name, value in one._asdict().items():
        assert getattr(many, name) == pytest.approx(1000 * value, rel=1e-3), name
    twice = needs(1000, **{**SETTING, "bands": 80})
    assert twice.sketches > 1.9 * one.sketches
    assert twice.exchanged > one.exchanged
    assert twice.pages == one.pages


def test_sketches_hold_all_keys_and_a_bit_of_each_value() -> None:
    assert needs(1000, **SETTING).sketches >= 1000 * (40 * 8 + 800 // 8 + 8 + 8)


def test_fewer_bands_of_a_pass_bound_what_is_exchanged_at_once() -> None:
    at_once = [needs(1000, **{**SETTING, "bands_per_pass": passes}).exchanged_at_once for passes in (10, 30, 40, 99)]
    assert at_once[0] < at_once[1] < at_once[2]
    assert at_once[2] == at_once[3]  # there are no more bands than 40
    assert at_once == sorted(at_once)


def test_wrong_numbers_are_refused() -> None:
    for wrong in ({"bands": 0}, {"rows_per_band": 0}, {"bands_per_pass": 0}, {"chars_per_page": -1}):
        with pytest.raises(ValueError, match="at least"):
            needs(1000, **{**SETTING, **wrong})
    with pytest.raises(ValueError, match="at least"):
        needs(0, **SETTING)

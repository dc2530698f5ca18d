"""The rungs of the ladder train the same model, and what is said about them is what was measured."""

from __future__ import annotations

import dataclasses
import json
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import GPTConfig
from microgpt.ladder import measure, memory, others, rungs, table
from microgpt.ladder.graph import Pass
from microgpt.ladder.measure import Plan
from microgpt.ladder.results import PARTS, Results, Size, UnreadableResults, load
from microgpt.ladder.rungs import LADDER, fresh_parameters

CONFIG = GPTConfig(7, n_layer=1, n_embd=4, n_head=2, block_size=5)
DOCUMENTS = [[6, 1, 2, 6], [6, 0, 3, 5, 4, 2, 1, 6], [6, 6]]
RATES = [0.01, 0.02, 0.003]


def silent(what: str) -> None:
    pass


def small_plan(**more) -> Plan:
    return Plan(CONFIG, DOCUMENTS, **{"rounds": 1, "pass_scale": 0.01, **more})


def results_of(plan: Plan) -> Results:
    found, losses = measure.ladder(plan, silent)
    model = {**CONFIG._asdict(), "parameters": CONFIG.num_params}
    machine = {"cpu": "a processor", "cores": 1, "system": "a system", "pinned": None, "load": None}
    software = {"microgpt": "1", "python": "P", "compiler": "C", "flags": "-O", "libc": "l", "instruction_set": "avx2"}
    return Results("microgpt bench", "2026-01-01T00:00:00+00:00", machine, software, model, "3 names", 1, losses, found)


@pytest.fixture(scope="module")
def results() -> Results:
    return results_of(small_plan())


@pytest.fixture(scope="module")
def told_and_sizes() -> tuple[list[str], list[Size]]:
    """What was told of the progress of a ladder and of wider models, all of which were left out; and those."""
    told: list[str] = []
    plan = small_plan(max_step_seconds=0.0)
    measure.ladder(plan, told.append)
    return told, measure.sizes(plan, told.append)


# ---- the rungs ----


@pytest.mark.parametrize("name", LADDER)
def test_every_rung_has_the_losses_of_the_lowest_to_the_bit(name):
    lowest, this = (
        LADDER[rung].make(CONFIG, fresh_parameters(CONFIG)).run(DOCUMENTS, RATES) for rung in ("interpreted", name)
    )
    assert [loss.hex() for loss in this.losses] == [loss.hex() for loss in lowest.losses]
    assert set(this.seconds) == set(PARTS)


@settings(max_examples=10)
@given(
    st.builds(
        lambda heads, width, layers, block: GPTConfig(5, layers, heads * width, heads, block),
        *(st.integers(1, 3) for _ in range(3)),
        st.integers(1, 6),
    ),
    st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=8), min_size=1, max_size=3),
)
def test_rungs_of_any_size_have_the_same_losses(config, documents):
    rates = [0.01] * len(documents)
    losses = {
        name: tuple(loss.hex() for loss in kind.make(config, fresh_parameters(config)).run(documents, rates).losses)
        for name, kind in LADDER.items()
    }
    assert len(set(losses.values())) == 1, losses


def test_the_parameters_are_those_of_the_scripts_seed():
    parameters = fresh_parameters(CONFIG)
    assert parameters["wte"][0][0] == random.Random(42).gauss(0, 0.08)


def test_rungs_share_no_bytecode():
    codes = []
    for name in ("interpreted", "compiled", "typed", "bulk"):
        functions = LADDER[name].make(CONFIG, fresh_parameters(CONFIG)).functions.values()
        codes += [function.__code__ for function in functions if hasattr(function, "__code__")]
    assert len(codes) >= 4 + 2 * 8  # gpt of all; the functions that it calls where they are Python
    assert len(set(map(id, codes))) == len(codes)


def test_another_interpreter_is_sent_the_same_training():
    lowest = LADDER["interpreted"].make(CONFIG, fresh_parameters(CONFIG))
    first, second = others.run_elsewhere(sys.executable, CONFIG, fresh_parameters(CONFIG), DOCUMENTS, RATES, 2)
    assert first.losses == lowest.run(DOCUMENTS, RATES).losses
    assert second.losses == lowest.run(DOCUMENTS, RATES).losses != first.losses


def test_another_interpreter_that_fails_says_why():
    with pytest.raises(others.BrokenInterpreterError, match="ZeroDivisionError"):
        others.run_elsewhere(sys.executable, CONFIG, fresh_parameters(CONFIG), [[6]], [0.1], 1)


# ---- measuring ----


def test_all_rungs_are_measured_from_the_lowest_to_the_highest(results):
    assert [rung.name for rung in results.rungs] == list(LADDER)
    assert [rung.number for rung in results.rungs] == list(range(len(LADDER)))
    assert all(rung.same_bits for rung in results.rungs)
    assert results.rungs[0].ratio == 1.0
    for rung in results.rungs:
        step = rung.ms["step"]
        assert 0 < step.min <= step.median <= step.max
        assert rung.ratio == pytest.approx(results.rungs[0].ms["step"].median / step.median)


def test_nodes_are_those_of_the_graphs(results):
    nodes = {rung.name: rung.nodes for rung in results.rungs}
    assert nodes["interpreted"] == nodes["compiled"] == nodes["typed"] > 3 * nodes["bulk"] > 0
    assert nodes["recorded"] is None and nodes["fused"] is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from the kernel's account of the process")
def test_memory_is_measured_where_the_system_tells():
    config = GPTConfig(27)
    needs = {name: memory.measured(name, config, [[26, 1, 2, 3, 4, 5, 26]]) for name in ("interpreted", "typed")}
    assert 150 < needs["interpreted"].bytes_per_node < 300
    assert 30 < needs["typed"].bytes_per_node < 90
    assert needs["interpreted"].peak_bytes > needs["typed"].peak_bytes > 0


def test_memory_of_a_rung_that_breaks_down_is_unknown():
    assert memory.measured("interpreted", CONFIG, [[6, 99]]) == memory.Memory(None, None, None)


def test_a_rung_with_other_bits_is_found_out(monkeypatch):
    class Wrong:
        def run(self, documents, lrs):
            done = LADDER["bulk"].make(CONFIG, fresh_parameters(CONFIG)).run(documents, lrs)
            return Pass([*done.losses[:-1], done.losses[-1] * (1 + 2**-52)], done.seconds)

    monkeypatch.setitem(rungs.LADDER, "fused", LADDER["fused"]._replace(make=lambda config, parameters: Wrong()))
    found = results_of(small_plan())
    assert [rung.name for rung in found.rungs if not rung.same_bits] == ["fused"]
    assert "LOSSES DIFFER from those of the interpreted rung: fused" in table.text(found)


def test_larger_models_are_left_out_where_a_rung_would_take_too_long(told_and_sizes):
    _, found = told_and_sizes
    assert [size.n_embd for size in found] == list(measure.WIDTHS)
    assert set(found[0].ms) == set(LADDER)
    assert all(size.ms == {} for size in found[1:])


def test_progress_is_told_as_often_as_promised(told_and_sizes):
    told, _ = told_and_sizes
    assert len(told) == small_plan(max_step_seconds=0.0).work
    assert "fused: round 1 of 1" in told


# ---- results ----


def test_results_come_back_from_json_as_they_were(results, told_and_sizes, tmp_path):
    results = dataclasses.replace(results, others=[results.rungs[2]], sizes=told_and_sizes[1])
    (tmp_path / "bench.json").write_text(results.to_json())
    assert load(tmp_path / "bench.json") == results
    assert results.rung("fused").number == len(LADDER) - 1
    with pytest.raises(KeyError):
        results.rung("seventh heaven")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"format": 2}', b'{"format": 99}', b'{"format": 2, "rungs": 3}']
)
def test_a_file_of_another_kind_is_refused_by_name(content, tmp_path):
    (tmp_path / "bench.json").write_bytes(content)
    with pytest.raises(UnreadableResults, match=r"bench\.json"):
        load(tmp_path / "bench.json")


# ---- the table ----


def test_the_table_has_a_row_for_each_rung_and_says_that_the_bits_are_the_same(results):
    lines = table.text(results).splitlines()
    for number, (name, line) in enumerate(zip(LADDER, lines[1:])):
        assert line.startswith(f"{number} {name}")
    assert f"The losses are the same on all {len(LADDER)} rungs, to the last bit (steps: 3)." in lines


def test_what_was_not_measured_is_a_dash_and_never_zero(results):
    fused = results.rung("fused")
    bare = dataclasses.replace(fused, ms={"step": fused.ms["step"]}, nodes=None, bytes_per_node=None, peak_bytes=None)
    assert table.cells(bare)[4:8] == ("-", "-", "-", "-")
    assert table.cells(bare)[-2:] == ("-", "-")


def test_the_table_fits_a_terminal(results):
    for line in table.text(results, width=100).splitlines()[:6]:
        assert len(line) <= 100


def test_bench_json_is_json_with_a_format(results):
    assert json.loads(results.to_json())["format"] == 2

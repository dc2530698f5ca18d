"""What the fused GPT takes and gives: arguments, views, state, generation."""

from __future__ import annotations

import math
import random

import pytest
from processes import printed, python
from script_gpt import Script, flat, gpt

from microgpt import GPT, GPTConfig, Value, _fused

CONFIG = GPTConfig(5, n_embd=4, n_head=2, block_size=4)


def model_of(seed=0):
    return GPT(CONFIG, random.Random(seed))


# ---- making a model -------------------------------------------------------------------------------------------------


def test_without_rng_every_model_is_another():
    assert flat(GPT(CONFIG).state_dict()) != flat(GPT(CONFIG).state_dict())


def test_config_and_t_can_be_read_and_not_written():
    model = model_of()
    assert model.config is CONFIG and model.t == 0
    for name in ("config", "t"):
        with pytest.raises(AttributeError):
            setattr(model, name, 3)
    assert "t=0" in repr(model)


def test_what_is_no_config_is_refused():
    for wrong in (None, 27, {"vocab_size": 5}):
        with pytest.raises(TypeError, match="GPTConfig"):
            GPT(wrong)


def test_a_model_too_large_for_memory_is_a_memory_error():
    for sizes in ((5, 1, 2**31, 1, 1), (5, 1, 4, 1, 10**12), (2**39, 1, 4, 1, 4), (5, 10**12, 4, 1, 4)):
        with pytest.raises(MemoryError):
            GPT(GPTConfig(*sizes))


# ---- wrong arguments ------------------------------------------------------------------------------------------------

DOCUMENTS = [
    ([], ValueError, "two tokens"),
    ([4], ValueError, "two tokens"),
    ([4, 5, 4], IndexError, "token 5 .* 0 to 4"),
    ([4, -1, 4], IndexError, "token -1"),
    ([4, 10**30, 4], IndexError, "token 1000"),
    ([4, 1.0, 4], TypeError, "an int, not 'float'"),
    ([4, "a", 4], TypeError, "an int, not 'str'"),
    ([4, None, 4], TypeError, "an int, not 'NoneType'"),
    ("abc", TypeError, "an int, not 'str'"),
    (3, TypeError, "not iterable"),
    (None, TypeError, "not iterable"),
]


@pytest.mark.parametrize(("tokens", "error", "words"), DOCUMENTS)
@pytest.mark.parametrize("method", ["train_step", "loss", "backward", "train_batch", "train_steps"])
def test_a_wrong_document_is_refused_in_clear_words(method, tokens, error, words):
    model = model_of()
    before = flat(model.state_dict())
    arguments = {"train_batch": ([tokens],), "train_steps": ([tokens], [0.1])}.get(method, (tokens,))
    with pytest.raises(error, match=words):
        getattr(model, method)(*arguments)
    assert flat(model.state_dict()) == before and model.t == 0
    assert math.isfinite(model.loss([4, 1, 4]))


def test_tokens_behind_the_block_are_not_looked_at():
    model = model_of()
    assert model.loss([4, 1, 2, 3, 0, 99, "x"]) == model.loss([4, 1, 2, 3, 0])


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"lr": "fast"}, TypeError, "lr must be a number, not str"),
        ({"betas": (0.9, 1.0)}, ValueError, "betas"),
        ({"betas": (-0.1, 0.9)}, ValueError, "betas"),
        ({"betas": (math.nan, 0.9)}, ValueError, "betas"),
        ({"betas": (0.9,)}, ValueError, "betas must be two numbers, not 1"),
        ({"betas": 0.9}, TypeError, "betas must be two numbers, not float"),
        ({"eps": -1e-8}, ValueError, "eps"),
        ({"eps": math.inf}, ValueError, "eps"),
        ({"eps": math.nan}, ValueError, "eps"),
    ],
)
def test_settings_out_of_range_are_refused(settings, error, words):
    model = model_of()
    for call in (model.train_step, lambda d, **more: model.train_batch([d], **more)):
        with pytest.raises(error, match=words):
            call([4, 1, 4], **settings)
    if "lr" not in settings:
        with pytest.raises(error, match=words):
            model.train_steps([[4, 1, 4]], [0.1], **settings)
    assert model.t == 0


def test_eps_of_zero_divides_by_zero_where_a_moment_is_zero():
    model = model_of()
    before = flat(model.state_dict())
    with pytest.raises(ZeroDivisionError):
        model.train_step([4, 1, 4], eps=0)
    assert flat(model.state_dict()) == before and model.t == 0


def test_batches_refuse_what_makes_no_sense():
    model = model_of()
    for arguments, words in (
        (([],), "one document"),
        (([[4, 1, 4]], 0.1, {"threads": 0}), "threads"),
        (([[4, 1, 4]], 0.1, {"clip_norm": 0}), "clip_norm"),
        (([[4, 1, 4]], 0.1, {"clip_norm": math.nan}), "clip_norm"),
    ):
        more = arguments[2] if len(arguments) > 2 else {}
        with pytest.raises(ValueError, match=words):
            model.train_batch(*arguments[:2], **more)
    with pytest.raises(ValueError, match="2 documents, but 1 learning"):
        model.train_steps([[4, 1, 4]] * 2, [0.1])


# ---- logits and generation ------------------------------------------------------------------------------------------


def test_logits_are_those_of_the_last_token(compiled):
    model = model_of()
    script = Script(compiled, CONFIG, {name: view.tolist() for name, view in model.state_dict().items()})
    keys, values = [[]], [[]]
    for p, token in enumerate([4, 1, 0, 2]):
        expected = [logit.data for logit in gpt(CONFIG, script.state_dict, token, p, keys, values)]
        assert model.logits([4, 1, 0, 2][: p + 1]) == expected
    for wrong in ([], [1] * 5):
        with pytest.raises(ValueError, match="1 to 4 tokens"):
            model.logits(wrong)


def test_generation_consumes_one_random_number_a_token():
    model = model_of()
    for seed in range(20):
        rng, count = random.Random(seed), random.Random(seed)
        sample = model.generate(rng, 1.0)
        for _ in range(len(sample) + (len(sample) < 4)):
            count.random()
        assert rng.getstate() == count.getstate()


def test_top_k_draws_among_the_most_probable():
    model = model_of()
    best = max(range(5), key=model.logits([4]).__getitem__)
    for seed in range(10):
        sample = model.generate(random.Random(seed), 1.0, top_k=1)
        assert (sample[0] if sample else 4) == best
        assert model.generate(random.Random(seed), 1.0, top_k=5) == model.generate(random.Random(seed), 1.0)
        assert model.generate(random.Random(seed), 1.0, top_k=99) == model.generate(random.Random(seed), 1.0)
    order = sorted(range(5), key=lambda o: (-model.logits([4])[o], o))
    firsts = {(model.generate(random.Random(seed), 5.0, top_k=3) or [4])[0] for seed in range(200)}
    assert firsts == set(order[:3])
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="top_k"):
            model.generate(random.Random(0), top_k=wrong)
    with pytest.raises(TypeError):
        model.generate(random.Random(0), top_k=1.5)


def test_of_equally_probable_tokens_top_k_keeps_the_first():
    model = model_of()
    model.load_state_dict({name: [[0.0] * columns for _ in range(rows)] for name, (rows, columns) in CONFIG.shapes()})
    firsts = {(model.generate(random.Random(seed), top_k=2) or [4])[0] for seed in range(100)}
    assert firsts == {0, 1}


def test_a_prompt_begins_the_sample_and_is_not_drawn():
    model = model_of()
    rng = random.Random(1)
    sample = model.generate(rng, prompt=[2, 1])
    assert sample[:2] == [2, 1] and len(sample) <= 4
    rng = random.Random(1)
    state = rng.getstate()
    assert model.generate(rng, prompt=(3, 2, 1, 0)) == [3, 2, 1, 0]
    assert rng.getstate() == state
    with pytest.raises(ValueError, match="prompt has 5 tokens"):
        model.generate(rng, prompt=[1] * 5)
    with pytest.raises(IndexError, match="token 5"):
        model.generate(rng, prompt=[5])
    with pytest.raises(TypeError, match="an int"):
        model.generate(rng, prompt="ab")


def test_another_token_may_stand_at_the_ends():
    model = model_of()
    for seed in range(20):
        assert 0 not in model.generate(random.Random(seed), 2.0, bos=0)
    with pytest.raises(IndexError, match="token 5"):
        model.generate(random.Random(0), bos=5)
    with pytest.raises(TypeError, match="an int"):
        model.generate(random.Random(0), bos=1.5)


@pytest.mark.parametrize("options", [{}, {"prompt": [2, 1]}, {"prompt": [3, 2, 1, 0]}, {"top_k": 2, "bos": 1}])
def test_many_documents_in_one_call_are_those_of_as_many_calls(options):
    model, temperature = model_of(), 1.5
    ours, theirs = random.Random(3), random.Random(3)
    many = model.generate_many(50, ours, temperature, **options)
    assert many == [model.generate(theirs, temperature, **options) for _ in range(50)]
    assert ours.getstate() == theirs.getstate()
    assert model.generate_many(0, ours) == []


def test_documents_of_one_call_are_lists_of_their_own():
    first, second = model_of().generate_many(2, random.Random(1), prompt=[0, 1, 2, 3])
    first.append(9)
    assert second == [0, 1, 2, 3]


@pytest.mark.parametrize(("count", "error"), [(-1, ValueError), (1.5, TypeError), ("two", TypeError)])
def test_a_count_that_is_none_is_refused(count, error):
    model = model_of()
    with pytest.raises(error):
        model.generate_many(count, random.Random(1))
    assert model.generate_many(1, random.Random(1)) == [model.generate(random.Random(1))]


def documents_of(model):
    return model.generate_many(100, random.Random(0), 2.0)


def write_through_views(model):
    for to, source in zip(model.state_dict().values(), model_of(1).state_dict().values()):
        to.cast("B")[:] = source.cast("B")


CHANGES = {
    "load_state_dict": lambda model: model.load_state_dict(model_of(1).state_dict()),
    "views": write_through_views,
    "__init__": lambda model: model.__init__(CONFIG, random.Random(7)),
    "train_step": lambda model: model.train_step([0, 1, 2, 3, 0], 1.0),
    "train_batch": lambda model: model.train_batch([[0, 1, 2], [1, 3]], 1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_generator_sees_changed_parameters(change):
    model, copied = model_of(), GPT(CONFIG)
    before = documents_of(model)
    for _ in range(3):
        change(model)
        copied.load_state_dict(model.state_dict())
        assert documents_of(model) == documents_of(model) == documents_of(copied) != before
        assert model.generate(random.Random(3), 2.0) == copied.generate(random.Random(3), 2.0)


def test_the_generator_sees_what_is_written_through_views_that_stay():
    model, seen = model_of(), []
    views = list(model.state_dict().values())
    for seed in range(1, 5):
        other = model_of(seed)
        for to, source in zip(views, other.state_dict().values()):
            to.cast("B")[:] = source.cast("B")
        assert documents_of(model) == documents_of(other)
        seen.append(str(documents_of(other)))
    assert len(set(seen)) == 4


# ---- state ----------------------------------------------------------------------------------------------------------


def test_state_dict_is_a_view_in_the_scripts_order():
    import numpy

    model = model_of()
    state = model.state_dict()
    assert [(name, view.shape) for name, view in state.items()] == list(CONFIG.shapes())
    assert all(view.format == "d" and view.ndim == 2 and not view.readonly for view in state.values())
    before = model.loss([4, 1, 4])
    array = numpy.asarray(state["wte"])
    array[4, 0] += 1.0
    assert model.loss([4, 1, 4]) != before and state["wte"][4, 0] == array[4, 0]
    assert model.state_dict()["wte"][4, 0] == array[4, 0]


def test_a_state_goes_round_and_training_continues_to_the_bit():
    model = model_of()
    documents = [[4, 1, 2, 4], [4, 3, 4], [4, 0, 0, 1, 4]] * 4
    for tokens in documents[:6]:
        model.train_step(tokens)
    copy = model_of(9)
    first, second = model.moments()
    copy.load_state_dict(model.state_dict(), t=model.t, m=first, v=second)
    for tokens in documents[6:]:
        assert model.train_step(tokens) == copy.train_step(tokens)
    assert flat(model.state_dict()) == flat(copy.state_dict()) and copy.t == 12


def test_load_state_dict_takes_buffers_lists_and_values():
    import numpy

    source = model_of(3)
    expected = flat(source.state_dict())
    views = source.state_dict()
    values = source.to_values()
    for state in (
        {name: view.tolist() for name, view in views.items()},
        {name: numpy.array(view) for name, view in views.items()},
        {name: numpy.array(view, order="F") for name, view in views.items()},
        values,
        dict(reversed(list(views.items()))),
    ):
        model = model_of()
        model.load_state_dict(state)
        assert flat(model.state_dict()) == expected
    model.load_state_dict({name: numpy.ones(view.shape, "f") for name, view in views.items()})
    assert set(flat(model.state_dict())) == {1.0}


def broken(**changes):
    state = {name: view.tolist() for name, view in model_of(1).state_dict().items()}
    state.update(changes)
    return {name: rows for name, rows in state.items() if rows is not None}


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (broken(wte=None), KeyError, "no 'wte'"),
        (broken(wx=[[1.0]]), KeyError, "'wx'"),
        (broken(wpe=[[0.0] * 4] * 3), ValueError, "wpe.* 4 rows, not 3"),
        (broken(wpe=[[0.0] * 4] * 3 + [[0.0]]), ValueError, "wpe.* 4 columns, not 1 in row 3"),
        (broken(wpe=[["a"] * 4] * 4), TypeError, "wpe"),
        (broken(wpe=[0.0] * 4), TypeError, "wpe"),
        (broken(wpe=3), TypeError, "wpe"),
        ([1, 2], TypeError, "mapping"),
        (None, TypeError, "mapping"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, error, words):
    model = model_of()
    before = flat(model.state_dict())
    with pytest.raises(error, match=words):
        model.load_state_dict(state)
    assert flat(model.state_dict()) == before


def test_moments_and_t_that_do_not_fit_change_nothing():
    model = model_of()
    before = flat(model.state_dict())
    other = model_of(1).state_dict()
    for more, error in (
        ({"t": -1}, ValueError),
        ({"t": 1.5}, TypeError),
        ({"m": broken(wte=None)}, KeyError),
        ({"v": broken(wte=[[-1.0] * 4] * 5)}, ValueError),
    ):
        with pytest.raises(error):
            model.load_state_dict(other, **more)
        assert flat(model.state_dict()) == before and model.t == 0


def test_values_go_there_and_back():
    model = model_of()
    values = model.to_values()
    assert all(type(p) is Value for rows in values.values() for row in rows for p in row)
    again = GPT.from_values(CONFIG, values)
    assert isinstance(again, GPT) and flat(again.state_dict()) == flat(model.state_dict())
    values["wte"][0][0].data = 7.0
    assert again.state_dict()["wte"][0, 0] != 7.0
    del values["wte"]
    with pytest.raises(KeyError):
        GPT.from_values(CONFIG, values)


# ---- instruction sets -----------------------------------------------------------------------------------------------


def test_the_environment_chooses_the_instruction_set():
    code = "from microgpt import _fused; print(_fused.instruction_set())"
    assert printed(code, MICROGPT_ISA="baseline") == "baseline"
    wrong = python("from microgpt import GPT", MICROGPT_ISA="sse9")
    assert wrong.returncode != 0 and "MICROGPT_ISA=sse9" in wrong.stderr.splitlines()[-1]


def test_a_set_is_used_for_a_while_and_then_the_one_before_again():
    before = _fused.instruction_set()
    assert before in _fused._instruction_sets() and "baseline" in _fused._instruction_sets()
    with _fused._use_instruction_set("baseline"):
        assert _fused.instruction_set() == "baseline"
    assert _fused.instruction_set() == before
    with pytest.raises(ImportError, match="sse9"), _fused._use_instruction_set("sse9"):
        pass

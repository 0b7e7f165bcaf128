"""The decoder against torch.nn and transformers on shared weights, and against closed forms."""

import math

import pytest
import torch
from seedbook import decoding, seeds
from seedbook.transformer import Transformer, sample, token_log_probs
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

VOCAB, CONTEXT, WIDTH, HEADS = 11, 9, 16, 4


def make(name="model", **options):
    options = {"d_model": WIDTH, "n_heads": HEADS, "embedding_std": 0.5, **options}
    return Transformer(VOCAB, CONTEXT, generator=seeds.torch(3, name), **options).eval()


@pytest.fixture
def ids():
    return torch.randint(VOCAB, (5, CONTEXT), generator=seeds.torch(3, "ids"))


def assert_close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_is_llama(ids):
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=HEADS, rms_norm_eps=1e-5, max_position_embeddings=CONTEXT,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config).eval()
    ours = make(d_ff=24, positions="rotary", norm="rms", mlp="swiglu")
    theirs.model.embed_tokens.weight.copy_(ours.embedding.weight)
    theirs.lm_head.weight.copy_(ours.head.weight)
    for block, layer in zip(ours.blocks, theirs.model.layers, strict=True):
        for norm in (block.norm1, block.norm2):
            norm.weight.uniform_(0.5, 1.5, generator=seeds.torch(3, "gains"))
        attention, mlp = layer.self_attn, layer.mlp
        parts = [attention.q_proj, attention.k_proj, attention.v_proj]
        for part, weight in zip(parts, block.qkv.weight.chunk(3), strict=True):
            part.weight.copy_(weight)
        halves = [mlp.gate_proj, mlp.up_proj]
        for part, weight in zip(halves, block.mlp_in.weight.chunk(2), strict=True):
            part.weight.copy_(weight)
        attention.o_proj.weight.copy_(block.attention_out.weight)
        mlp.down_proj.weight.copy_(block.mlp_out.weight)
        layer.input_layernorm.weight.copy_(block.norm1.weight)
        layer.post_attention_layernorm.weight.copy_(block.norm2.weight)
    assert_close(ours(ids), theirs(ids).logits)


@torch.no_grad()
def test_is_gpt2_without_biases(ids):
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=2, n_head=HEADS,
        activation_function="gelu", bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).eval()  # its biases start at zero
    ours = make(tied=True)
    theirs.transformer.wte.weight.copy_(ours.embedding.weight)
    theirs.transformer.wpe.weight.copy_(ours.position.weight)
    for block, layer in zip(ours.blocks, theirs.transformer.h, strict=True):
        layer.attn.c_attn.weight.copy_(block.qkv.weight.T)
        layer.attn.c_proj.weight.copy_(block.attention_out.weight.T)
        layer.mlp.c_fc.weight.copy_(block.mlp_in.weight.T)
        layer.mlp.c_proj.weight.copy_(block.mlp_out.weight.T)
    assert_close(ours(ids), theirs(ids).logits)
    assert ours.head.weight is ours.embedding.weight


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
def test_a_block_is_made_of_torch_modules(causal):
    block = make(positions="none", causal=causal).blocks[0]
    x = torch.randn(2, CONTEXT, WIDTH, generator=seeds.torch(3, "states"))
    attention = nn.MultiheadAttention(WIDTH, HEADS, bias=False, batch_first=True)
    attention.in_proj_weight.copy_(block.qkv.weight)
    attention.out_proj.weight.copy_(block.attention_out.weight)
    norm = nn.LayerNorm(WIDTH)
    h = norm(x)
    mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT) if causal else None
    y = x + attention(h, h, h, attn_mask=mask, need_weights=False)[0]
    y = y + block.mlp_out(nn.GELU()(block.mlp_in(norm(y))))
    assert_close(block(x, None), y)


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["none", "rotary"])
def test_linear_attention_is_its_sum(causal, positions):
    model = make(attention="linear", positions=positions, causal=causal)
    block, half = model.blocks[0], WIDTH // HEADS // 2
    x = torch.randn(2, CONTEXT, WIDTH, generator=seeds.torch(3, "states"))
    q, k, v = (
        part.view(2, CONTEXT, HEADS, -1) for part in (x @ block.qkv.weight.T).chunk(3, dim=-1)
    )

    def feature(z):
        return torch.where(z > 0, z + 1, z.exp())

    def turned(z, position):
        """The pairs (i, i + half) as complex numbers, turned by position * 10000^(-i / half)."""
        if positions == "none":
            return z
        angle = position * 10000.0 ** (-torch.arange(half) / half)
        w = torch.complex(z[..., :half], z[..., half:]) * torch.polar(torch.ones(half), angle)
        return torch.cat([w.real, w.imag], dim=-1)

    expected = torch.zeros(2, CONTEXT, HEADS, WIDTH // HEADS)
    for t in range(CONTEXT):
        total = 0
        for s in range(t + 1 if causal else CONTEXT):
            a, b = feature(q[:, t]), feature(k[:, s])
            weight = (turned(a, t) * turned(b, s)).sum(-1, keepdim=True)
            expected[:, t] += weight * v[:, s]
            total = total + (a * b).sum(-1, keepdim=True)
        expected[:, t] /= total
    assert_close(block._attend(x, model.angles), expected.flatten(2))


@torch.no_grad()
@pytest.mark.parametrize("attention", ["softmax", "linear"])
@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
def test_causal_means_that_the_past_does_not_see_the_future(ids, attention, positions):
    changed = ids.clone()
    changed[:, 6] = (changed[:, 6] + 1) % VOCAB
    for causal in (True, False):
        model = make(attention=attention, positions=positions, causal=causal)
        same = torch.isclose(model(ids), model(changed), atol=1e-6).all(-1)[:, :6].all()
        assert bool(same) == causal


@torch.no_grad()
def test_without_positions_order_does_not_matter(ids):
    order = torch.tensor([4, 2, 0, 8, 6, 1, 3, 5, 7])
    model = make(positions="none", causal=False)
    assert_close(model(ids[:, order]), model(ids)[:, order])
    model = make(positions="rotary", causal=False)
    assert not torch.allclose(model(ids[:, order]), model(ids)[:, order], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("mlp, inner", [("gelu", 24), ("swiglu", 48)])
def test_mixers_stand_where_they_should(ids, mlp, inner):
    """A module that doubles equals doubled weights right after it, or right before it."""

    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    widths = {"A": WIDTH, "B": 3 * WIDTH, "C": WIDTH, "D": inner}
    asked = []
    for place, doubled in {"A": "qkv", "B": "qkv", "C": "mlp_in", "D": "mlp_in"}.items():

        def mixers(at, width, place=place):
            asked.append((at, width))
            return Double() if at == place else None

        mixed, plain = make(mixers=mixers, mlp=mlp, d_ff=24), make(mlp=mlp, d_ff=24)
        for block in plain.blocks:
            getattr(block, doubled).weight.mul_(2)
        assert_close(mixed(ids), plain(ids))
        assert list(mixed.blocks[1].mixers) == [place]
    assert asked == 8 * list(widths.items())


def test_the_weights_of_mixers_are_left_alone_and_are_trained():
    def mixers(place, width):
        return nn.Linear(width, width) if place == "C" else None

    torch.manual_seed(5)
    expected = nn.Linear(WIDTH, WIDTH).weight.clone()
    torch.manual_seed(5)
    model = make(mixers=mixers)
    assert torch.equal(model.blocks[0].mixers["C"].weight, expected)
    extra = {n for n, _ in model.named_parameters() if "mixers" in n}
    assert len(extra) == 4


@torch.no_grad()
def test_embeddings_may_be_given_instead_of_ids(ids):
    model = make()
    vectors = model.embedding(ids)
    assert torch.equal(model(embeddings=vectors), model(ids))
    mixture = 0.3 * vectors + 0.7 * model.embedding((ids + 1) % VOCAB)
    weights = torch.zeros(*ids.shape, VOCAB).scatter(-1, ids[..., None], 0.3)
    weights = weights.scatter(-1, (ids[..., None] + 1) % VOCAB, 0.7)
    assert_close(model(embeddings=mixture), model(embeddings=weights @ model.embedding.weight))
    for wrong in ({}, {"ids": ids, "embeddings": vectors}):
        with pytest.raises(ValueError, match="one of the two"):
            model(**wrong)


def test_weights_come_from_the_generator_alone():
    before = torch.random.get_rng_state()
    a, b, other = make(), make(), make("another")
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, weight in a.state_dict().items():
        assert torch.equal(weight, b.state_dict()[name])
        assert "norm" in name or not torch.equal(weight, other.state_dict()[name])


def test_scales_of_the_weights():
    generator = seeds.torch(3, "large")
    model = Transformer(300, 200, d_model=192, n_layers=8, generator=generator)
    std = 0.55 / math.sqrt(192)
    block = model.blocks[3]
    for weight, expected in (
        (model.embedding.weight, 0.02),
        (model.position.weight, 0.02),
        (model.head.weight, std),
        (block.qkv.weight, std),
        (block.mlp_in.weight, std),
        (block.attention_out.weight, std / 4),
        (block.mlp_out.weight, std / 8),  # fan-in is four times as large
    ):
        assert weight.std().item() == pytest.approx(expected, rel=0.03)
    assert Transformer(9, 4, d_model=768, n_layers=1, generator=generator).blocks[
        0
    ].qkv.weight.std().item() == pytest.approx(0.02, rel=0.03)


@torch.no_grad()
def test_samples_one_at_a_time_and_together_are_the_same(ids):
    model, prompts = make(), ids[:, :3]
    together = sample(model, prompts, 6, generator=seeds.torch(3, "draws"))
    assert together.shape == (5, 9) and torch.equal(together[:, :3], prompts)
    generator = seeds.torch(3, "draws")
    alone = [sample(model, row[None], 6, generator=generator)[0] for row in prompts]
    assert torch.equal(together, torch.stack(alone))

    best = sample(model, prompts, 2, rule=decoding.greedy, generator=generator)
    first = model(prompts)[:, -1].argmax(-1)
    assert torch.equal(best[:, 3], first)
    assert torch.equal(best[:, 4], model(best[:, :4])[:, -1].argmax(-1))


@torch.no_grad()
def test_samples_have_the_model_s_frequencies(ids):
    model = make()
    n = 4000
    drawn = sample(model, ids[:1, :3].expand(n, -1), 1, generator=seeds.torch(3, "draws"))[:, 3]
    p = model(ids[:1, :3])[0, -1].softmax(-1)
    spread = (p * (1 - p) / n).sqrt()
    assert ((torch.bincount(drawn, minlength=VOCAB) / n - p).abs() < 4 * spread).all()


@torch.no_grad()
def test_token_log_probs(ids):
    model = make()
    found = token_log_probs(model, ids, batch_size=2)
    expected = model(ids).log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    assert_close(found, expected)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"positions": "rotery"}, "'learned', 'rotary', 'none'"),
        ({"attention": "flash"}, "'softmax', 'linear'"),
        ({"norm": "batch"}, "'layer', 'rms'"),
        ({"mlp": "relu6"}, "'gelu', 'swiglu'"),
        ({"n_heads": 3}, "multiple of the heads"),
        ({"n_heads": 16, "positions": "rotary"}, "even width"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        make(**options)


def test_too_long_a_sequence(ids):
    with pytest.raises(ValueError, match="10 tokens are too long for a context of 9"):
        make()(torch.zeros(1, 10, dtype=torch.long))

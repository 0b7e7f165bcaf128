# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 3
#     uses: [setup, method]
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# A text's surprise can be held against what the model itself expects, with no other text at hand: if the model wrote it by plain sampling, the difference is a martingale and goes to nought, at a speed that can be computed. The same argument says what the test cannot see: any source whose cross-entropy happens to equal
# the entropy. And its nought belongs to the author's own probabilities, not to those of a stand-in.
#
# ## Where students stumble
#
# - *"Low perplexity means a machine."* The test asks for perplexity *near the entropy*. Greedy text has too little surprise for $A$ and is as foreign to it as text with too much.
# - Entropy $h_A$, cross-entropy $h_{B,A}$ and log-perplexity $L_A$ are three averages along *this* text's contexts. Two of them are expectations, given the contexts; one is what happened.
# - The bound is not the error. (2) holds always and is far from tight; (3) says how fast errors really fall. x6 stands near its threshold: another draw of sources may leave it open.
# - *"The edited text is not by A any more, so the test is right."* Yes, as a theorem. As a detector of machines it has been undone by one token in ten.
# - A wrong evaluator does not blur, it shifts (x3). The signed score and plain log-perplexity compare with human texts and so do not notice; but then texts of known origin are needed.
# - c4 speaks of 64 tokens of a manual that the model has probably read. Neither verdict on it would be one on human text in general.
#
# ## The discussion
#
# *Why temperature 1?* The martingale needs the next token drawn from the very law whose entropy is subtracted. Under another temperature, or with the tail cut off, the expected surprise is $-\sum_v\tilde p\ln p$ with another $\tilde p$; for colder or truncated sampling it lies below $H$ (but for a uniform law),
# and the sum of the differences drifts away. Hardly any service samples plainly, so that for deployed text the null is false from the start.
#
# *The class of 200.* Of 190 who wrote themselves 5 % are accused, 9.5 on average; of the ten, eight. Of 17.5 accused more than half, 54 %, are innocent. Neither rate alone tells this; the share of culprits does.
#
# *An unknown $c$.* Nothing. At 300 tokens $e^{-cN}$ is about $10^{-13}$ for $c=0.1$ and 0.74 for $c=0.001$. An exponent in a theorem is a promise only with its constant and its premises; here both are computed, and people's texts are where neither is known.
#
# ## On the board
#
# 1. One context: bars $p_A(v)$, and over each its surprise. The mean under $p_A$ is $H$; under $p_B$ the cross-entropy. That is the short exercise.
# 2. The sum as a walk: nought drift for $A$, constant drift for $B$, spread $\sqrt N$. Where do they part?
# 3. The blind spot on a line of surprises: greedy below $H$, uniform above; mix them until the mean is $H$. Any mean has two sides.
# 4. The class of 200 as a table of four numbers.
#
# ## Time
#
# Seventy-five minutes: ten of bets (how many tokens?), twenty-five of board, twenty-five of discussion with the class of 200, fifteen on the figure of edits. The short exercise takes 10 minutes, the coding one 30, the open one an afternoon. The chapter's `quick` run takes about two minutes.

# %% [markdown] tags=["short"]
# Given $s_{<i}$ the only random thing is the token. If A is the author, it is drawn from $p_A(\cdot\mid s_{<i})$: $\mathbb E[-\ln p_A(s_i)\mid s_{<i}]=-\sum_vp_A(v\mid s_{<i})\ln p_A(v\mid s_{<i})=H_i$ (1 point).
#
# If B is, the weights change and the surprise does not: $-\sum_vp_B(v\mid s_{<i})\ln p_A(v\mid s_{<i})$, the cross-entropy, which is the entropy of B plus $\mathrm{KL}(p_B\,\|\,p_A)$. It may lie above $H_i$ or below, or be equal to it, in which case the test sees nothing (1 point).

# %% [markdown] tags=["task"]
# `logits[i]` belong to the law from which token `ids[i]` was drawn: they are aligned already, and need not be normalised. $H_i$ and $V_i$ are the mean and the variance of the surprise $-\ln p_A(v)$ under that law, with $p_A$ their softmax. `zscore` must take one text, or many at once along leading axes. Of the chapter, `markov_chain` and `generate` help with the second check; `chain_texts` puts them together.

# %% tags=["given"]
from scipy.special import log_softmax


def chain_texts(rng, author, reader, length, n):
    """Texts by the chain `author`: logits under `reader` (n, length, k), ids (n, length)."""
    tokens = generate(author[None], np.zeros(n, int), length, rng)
    context = tokens[:-2] * author.shape[-1] + tokens[1:-1]
    return np.log(reader)[context].swapaxes(0, 1), tokens[2:].T


# %% tags=["solution"]
def zscore(logits, ids):
    """Z of texts: surprise less its expectation, over the root of its variance.

    Parameters
    ----------
    logits : numpy.ndarray
        (..., tokens, vocab), normalised or not.
    ids : numpy.ndarray
        The tokens of the texts, (..., tokens).

    Returns
    -------
    numpy.ndarray or float
        (...), nearly standard normal if the texts were drawn from these laws.
    """
    ### BEGIN SOLUTION
    log_p = log_softmax(np.asarray(logits, float), axis=-1)
    p = np.exp(log_p)
    H = -(p * log_p).sum(-1)
    V = (p * log_p**2).sum(-1) - H**2
    surprise = -np.take_along_axis(log_p, np.asarray(ids)[..., None], -1)[..., 0]
    return (surprise - H).sum(-1) / np.sqrt(V.sum(-1))
    ### END SOLUTION


# %% tags=["example"]
rng = np.random.default_rng(0)
chain = markov_chain(rng, 8, 0.5)
z = zscore(*chain_texts(rng, chain, chain, 100, 2000))
print(f"mean {z.mean():.3f}, standard deviation {z.std():.3f}")

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
logits, ids = rng.normal(size=(12, 5)), rng.integers(5, size=12)
total = spread = 0.0
for row, token in zip(logits, ids, strict=True):
    p = np.exp(row) / np.exp(row).sum()
    s = -np.log(p)
    total += s[token] - p @ s
    spread += p @ (s - p @ s) ** 2
found = zscore(logits, ids)
assert np.ndim(found) == 0, "one text gives one number"
assert abs(found - total / spread**0.5) < 1e-6, f"expected {total / spread**0.5}, got {found}"
### BEGIN HIDDEN TESTS
assert abs(zscore(logits + rng.normal(size=(12, 1)), ids) - found) < 1e-6, "logits have no zero"
assert abs(zscore(logits + 2000, ids) - found) < 1e-6, "large logits must not overflow"
many, tokens = rng.normal(size=(3, 2, 12, 5)), rng.integers(5, size=(3, 2, 12))
every = zscore(many, tokens)
assert np.shape(every) == (3, 2), (
    f"many texts, one number each: expected (3, 2), got {np.shape(every)}"
)
each = [[zscore(many[i, j], tokens[i, j]) for j in range(2)] for i in range(3)]
assert np.allclose(every, each), "many texts at once must give what each gives alone"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
rng = np.random.default_rng(2)
chain, other = markov_chain(rng, 8, 0.5), markov_chain(rng, 8, 0.5)
z = zscore(*chain_texts(rng, chain, chain, 200, 2000))
assert abs(z.mean()) < 0.05, f"own texts have mean 0, not {z.mean():.3f}"
assert abs(z.std() - 1) < 0.05, f"own texts have standard deviation 1, not {z.std():.3f}"
### BEGIN HIDDEN TESTS
z = zscore(*chain_texts(rng, other, chain, 200, 500))
assert z.mean() > 5, f"texts of another source lie far above nought, not at {z.mean():.2f}"
cold = chain**2 / (chain**2).sum(-1, keepdims=True)
z = zscore(*chain_texts(rng, cold, chain, 200, 500))
assert z.mean() < -3, f"colder texts have less surprise than expected; got a mean of {z.mean():.2f}"
short = zscore(*chain_texts(rng, chain, chain, 50, 4000))
assert abs(short.std() - 1) < 0.06, f"at a quarter of the length still 1, not {short.std():.3f}"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: takes the exponential of the logits as they come, which overflows when they are large.
def zscore(logits, ids):
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        s = -np.log(p)
        H = (p * s).sum(-1)
        V = (p * (s - H[..., None]) ** 2).sum(-1)
        x = np.take_along_axis(s, ids[..., None], -1)[..., 0] - H
        return x.sum(-1) / np.sqrt(V.sum(-1))


# %% tags=["wrong"]
# Wrong: divides by the spread that this text happens to have, in place of the one that its laws foretell.
def zscore(logits, ids):
    log_p = log_softmax(logits, axis=-1)
    H = -(np.exp(log_p) * log_p).sum(-1)
    x = -np.take_along_axis(log_p, ids[..., None], -1)[..., 0] - H
    return x.sum(-1) / np.sqrt(x.shape[-1] * x.var(-1))


# %% [markdown] tags=["open"]
# - The mixture is computed token by token from the model's own law, with $w_c$ of (4) checked: the mean surprise over many drawn tokens of one context is its entropy. (1 point)
# - That the test is blind to it is shown with a curve over the length, beside a source that the test does find; texts are shown as drawn, not chosen. (1 point)
# - The detector that catches it uses another number (the variance of the surprise, the share of tokens that are the likeliest or among the very unlikely, a second model), has its threshold fixed beforehand and a false alarm rate on plain samples. (1 point)
# - It is said what the new detector misses in turn, with an example: a source that matches two numbers, or human text. (1 point)
#
# Typical mistakes: the mixture made by sentences or texts in place of tokens; a threshold set on the same texts that are then counted; "it reads like nonsense" as a detector, which has no error rate.

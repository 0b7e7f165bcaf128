# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 3
#     uses: []
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# "Nearer to the first than to the second" is true of any mixture that holds more of the first. The paper's probe is passed by the very hypothesis that it is to refute. A test that can tell them apart slides the weight,
# and then a second surprise waits: a softmax turns a slide into half a switch by itself, so that the network must be held against that as well.
#
# ## Where students stumble
#
# - *"The divergence from the first outcome is small, so there is one thread."* Let them compute it for the exact mixture $0.7\,q_1+0.3\,q_2$. The right panel of the second figure is this computation.
# - Mixed logits are not mixed probabilities. $q_1^\lambda q_2^{1-\lambda}$, made to sum to one, is a product: a word must be tolerable to both outcomes.
# - A mean of $\alpha=\tfrac12$ at even weights may consist of places where the first word wins and places where the second does. The residual in the right panel tells more: there the outcome is no mixture at all.
# - *"Larger $\tau$ means more randomness."* With (3), $\tau$ leaves the law of the leading word alone. It says how much of the others is mixed in.
# - Places in one text are not independent, so the request is the unit. The measures of c3b, x2 and x3 lie near their thresholds, and the chapter says that other draws may settle them otherwise.
#
# ## The discussion
#
# *Which other results would pass?* Look for the form "the output resembles X more than Y" where the input holds more of X: the average of two models set beside its parents, an answer that "follows" the longest of several documents. The null is the dull combination in the proportions that were put in;
# if it gives the same order, only the size of the difference can be evidence.
#
# *Why could noise help without a second thread?* Because it changes who leads. A soft word without noise always has the same leader, while with Gumbel noise the leader is an exact sample, so that chains differ and several attempts are worth more than one. But then ordinary sampling is the rival to beat, and
# what the light words add to it is open: c4 and c5 need models that solve the tasks.
#
# *Why might training on single words make decisions?* Mixed inputs never occurred. Training made the network sure after each single word, and sure outcomes switch more sharply, as the log-linear null shows. Random weights show less of a switch (x1), so that training has a part in the rest. Whether attention,
# normalisation or the layers between do it was not tested, for the chapter sees only what comes out.
#
# ## On the board
#
# 1. $\lambda$ against $\alpha$: diagonal and step. Dominance $\alpha(\tfrac34)-\alpha(\tfrac14)$: one half, and one.
# 2. The softmax alone: two outcomes over two words, $(0.9,0.1)$ and $(0.1,0.9)$. Mixed logits at $\lambda=\tfrac34$ give odds of $9^{1/2}=3$, so $0.75$, so $\alpha=0.81$: dominance 0.63. With 0.99 in place of 0.9 it is 0.83. Surer outcomes switch more.
# 3. A race of clocks: clock $i$ rings after an exponential time of rate $w_i$, and who rings first is a fair draw. $\ln w_i+G_i$ is minus the logarithm of the time.
# 4. A table of controls (superposition, log-linear, random weights, random partner) and what each leaves in and takes out. Students predict the dominance of each.
#
# ## Time
#
# Eighty minutes: ten of bets, thirty of board, twenty of figures and verdicts, twenty of discussion. The short exercise takes 15 minutes, the coding one 30, the open one two afternoons. The chapter's `quick` run takes about two minutes.

# %% [markdown] tags=["short"]
# With $X_i=-\ln U_i$, exponential of rate 1, $\ln w_i+G_i=\ln w_i-\ln X_i=-\ln(X_i/w_i)$. The largest of these belongs to the smallest $X_i/w_i$. These are independent exponential times of rates $w_i$, and the first of them is the $i$-th with probability
# $\int_0^\infty w_ie^{-w_it}\prod_{j\ne i}e^{-w_jt}\,dt=w_i/\sum_jw_j=w_i$. (1 point)
#
# For $\tau\to\infty$ all exponents tend to 0, hence all $w'_i$ to $1/n$: whatever the prediction was, the plain mean of the $n$ embeddings is fed back. At every finite $\tau$ the leading word is still a fair draw, but its lead vanishes. (1 point)

# %% [markdown] tags=["task"]
# `gumbel_soft_weights` makes one draw of formula (3). What is checked: the largest weight at small and large $\tau$, the law of the leading word at several $\tau$ with `p_value`, and that the numbers come from `rng`. Some words may have probability nought, `log_p` minus infinity: they get the weight 0.
# A correct answer has a $p$-value below 0.001 once in a thousand tests; the checks ask for $10^{-5}$ only, so that bad luck fails nobody.

# %% tags=["given"]
import numpy as np
from scipy import stats


def p_value(weights, p, tau, draws=20_000, seed=1):
    """Of a chi-squared test that the leading word of `weights` follows p."""
    rng, log_p = np.random.default_rng(seed), np.log(p)
    leaders = [np.argmax(weights(log_p, tau, rng)) for _ in range(draws)]
    seen = np.bincount(leaders, minlength=len(p))
    return stats.chisquare(seen, draws * np.asarray(p)).pvalue


# %% tags=["solution"]
def gumbel_soft_weights(log_p, tau, rng):
    """Weights of a noisy soft word, one draw.

    Parameters
    ----------
    log_p : array of shape (n,)
        Logarithms of the words' weights before the noise.
    tau : float
        Above 0, from 0.01 on.
    rng : numpy.random.Generator

    Returns
    -------
    array of shape (n,)
        Not negative, with the sum 1.
    """
    ### BEGIN SOLUTION
    log_p = np.asarray(log_p, dtype=float)
    x = (log_p + rng.gumbel(size=log_p.shape)) / tau
    w = np.exp(x - x.max())
    return w / w.sum()
    ### END SOLUTION


# %% tags=["example"]
for tau in (0.01, 0.5, 100):
    w = gumbel_soft_weights(np.log([0.5, 0.3, 0.2]), tau, np.random.default_rng(0))
    print(tau, w)

# %% tags=["tests"] points=2
p = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
rng = np.random.default_rng(2)
drawn = np.array([gumbel_soft_weights(np.log(p), 0.01, rng) for _ in range(2000)])
assert drawn.shape == (2000, 5), f"5 words need 5 weights; got {drawn.shape[1:]}"
assert np.allclose(drawn.sum(1), 1), "weights must sum to 1, for tau = 0.01 as well"
sharp = (drawn.max(1) > 0.99).mean()
assert sharp > 0.95, f"tau = 0.01: one weight above 0.99 in {sharp:.0%} of draws only"
### BEGIN HIDDEN TESTS
flat = gumbel_soft_weights(np.log(p), 1e6, rng)
assert np.allclose(flat, 0.2, atol=1e-3), f"tau = 1e6: expected 0.2 each, got {flat}"
again = [gumbel_soft_weights(np.log(p), 0.5, np.random.default_rng(7)) for _ in "ab"]
assert np.array_equal(*again), "equal generators must give equal weights: use rng"
some = gumbel_soft_weights(np.array([0.0, -np.inf, -1.0]), 0.5, rng)
assert some[1] == 0 and abs(some.sum() - 1) < 1e-9, f"a word of p = 0: got {some}"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
value = p_value(gumbel_soft_weights, p, 1.0)
assert value > 1e-5, f"tau = 1: the leading word does not follow p (p = {value:.1g})"
### BEGIN HIDDEN TESTS
for tau in (0.1, 0.5, 2.0):
    value = p_value(gumbel_soft_weights, p, tau, seed=3)
    assert value > 1e-5, f"tau = {tau}: the leader does not follow p (p = {value:.1g})"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: divides the logarithms by tau but not the noise, so that the leading word is drawn at temperature tau.
def gumbel_soft_weights(log_p, tau, rng):
    x = np.asarray(log_p, dtype=float) / tau + rng.gumbel(size=len(log_p))
    w = np.exp(x - x.max())
    return w / w.sum()


# %% tags=["wrong"]
# Wrong: takes one logarithm where Gumbel noise has two, so that the noise is exponential and the draw unfair.
def gumbel_soft_weights(log_p, tau, rng):
    x = (np.asarray(log_p, dtype=float) - np.log(1 - rng.random(len(log_p)))) / tau
    w = np.exp(x - x.max())
    return w / w.sum()


# %% [markdown] tags=["open"]
# - Data, architecture and training with mixed inputs and mixed targets are fixed, along with a twin that is trained on single words with as many updates and the same seeds. (1 point)
# - The dominance is measured for both on held-out text, by (2), beside the log-linear null of *each* network, since the null moves with how sure the outcomes are. (1 point)
# - Several seeds, with the trained network as the unit, and an interval for the difference in dominance. (1 point)
# - The cost is given: perplexity on ordinary text for both, at equal updates, and as a curve over the share of mixed inputs. (1 point)
#
# Typical mistakes: superposition tested at the training weights only; a network so unsure that every mixture looks superposed; targets mixed in the logits instead of the probabilities.

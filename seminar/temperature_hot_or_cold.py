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
# Three findings about temperature are taken apart, and each time what is missing is a comparison. A sudden collapse is what division by $T$ does to any margin over a large vocabulary; a larger model that stands more heat was also
# trained to a lower loss; a classifier that beats $T=1$ must first beat the best constant. None of the three comparisons costs more than the finding itself.
#
# ## Where students stumble
#
# - *"The curve breaks down at once, so something in the model changes."* Formula (3) has one margin, one vocabulary and no change of state, and falls within a quarter of its own $T_{.5}$. The steepness depends on $|\mathcal V|$ and $n$, not on the margin.
# - *"The best temperature is 0.1."* That is the lower end of the grid. For exact answers the curve is flat when cold, and the place of its maximum says little where a wide stretch is as good.
# - An answer ends with the end of its line, and the end counts as a token. Without it every longer answer that begins rightly would be right, and hot curves would look too good.
# - *"Half of the causal questions are right."* There are two choices. Near one half neither warmth nor cold can be called best, which is why c1b asks for more than chance first.
# - In the ladder the left panel compares nets after equally many updates, the right one at equal loss. Ask which of them a table of published models resembles. Neither: they differ in both.
#
# ## The discussion
#
# *$T=1$ and the constant.* $T=1$ is too hot for every ability with one right answer, so that any rule that cools wins against it; guesses dealt out at random gain as well (the null of c4). A constant fitted on other prompts gets that part of the gain too.
# What is left for the classifier is the difference between abilities, here mostly that creativity alone wants warmth. The verdicts on c4, c4b and x2 stand on the page; x2 lies near its threshold and may turn with the seed.
#
# *Scoring creativity.* Noise is rewarded by every score that counts difference alone, since random words are all different. Formula (2) counts only valid words, which very hot models rarely hit. That still leaves choices: the list of valid words, and $k$, since more draws favour heat.
# Better is to fix the use first (how many proposals will be read?), and to have words drawn at random judged along with the rest. Whether a list can stand for what people call creative remains open.
#
# *Chosen and judged on the same prompts.* The highest of many noisy means is too high on average, more so for few prompts and fine grids. As evidence it counts only on prompts, better on wordings, that had no part in the choice. The chapter holds out both (c4b, x3), though not whole abilities; that is exercise 3.
#
# ## On the board
#
# 1. A token with margin $m$ over the rest: $p_T=1/(1+(|\mathcal V|-1)e^{-m/T})$, half at $T=m/\ln(|\mathcal V|-1)$. With 25 tokens 0.31 $m$, with 49 152 tokens 0.093 $m$.
# 2. Sketch $P_T$ for two margins, then again against $T/T_{.5}$: one curve. Mark 80 and 20 %: a quarter apart. This is the null model of a "mutation".
# 3. Arrows: *size* to *margin*, *training* to *margin*, *margin* to $T_{.5}$. Equal updates leave both first arrows open. In the plain case of step 1 the loss of a token at $T=1$ is a function of the margin alone, so that equal loss means equal margin.
# 4. A table of rules, $T=1$, coldest, fixed, guesses at random, classifier, known ability, with what each is told. Which difference is worth a classifier?
#
# ## Time
#
# Seventy-five minutes: ten of bets, twenty-five of board, twenty-five of figures and verdicts, fifteen of discussion. The short exercise takes 10 minutes, the coding one 25, the open one an afternoon.
# The chapter's `quick` run takes a little over two minutes.

# %% [markdown] tags=["short"]
# $p_T=\dfrac{1}{1+(|\mathcal V|-1)\,e^{-m/T}}=\tfrac12$ when $(|\mathcal V|-1)\,e^{-m/T}=1$, hence $T=m/\ln(|\mathcal V|-1)$. For 25 tokens this is $m/\ln 24\approx0.315\,m$, for 49 152 tokens $m/\ln 49\,151\approx0.0926\,m$. (1 point)
#
# Two models that prefer the right token by the same margin thus collapse at temperatures that differ by a factor of 3.4, because of their vocabularies alone. A tokeniser moreover decides into how many tokens an answer falls, and the probability of the answer is a product over them.
# A mutation temperature can be compared between models only together with the margin, the vocabulary and the number of tokens; by itself it does not measure an ability. (1 point)

# %% [markdown] tags=["task"]
# `exact_match` is formula (1) for one answer. What is checked: answers that can be worked out by hand, simulated answers at several temperatures, and the two limits, at temperatures as low as 0.001 and as high as a million.
# Logits may be large: at low temperatures, `exp` of them divided by `T` has no floating-point value.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def exact_match(logits, gold, T):
    """Probability that sampling at temperature T gives exactly the right answer.

    Parameters
    ----------
    logits : array of shape (n, V)
        Scores of all tokens at each place of the answer, those before it being right.
    gold : sequence of n int
        The right tokens.
    T : float
        Temperature, above 0.

    Returns
    -------
    float
    """
    ### BEGIN SOLUTION
    z = np.asarray(logits, dtype=float) / T
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return float(np.exp(log_p[np.arange(len(gold)), gold].sum()))
    ### END SOLUTION


# %% tags=["example"]
for T in (0.1, 1, 10):
    print(T, exact_match([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [0, 1], T))

# %% tags=["tests"] points=2
one = exact_match([[np.log(3), 0.0]], [0], 1.0)
assert abs(one - 0.75) < 1e-9, f"odds of 3 to 1 at T = 1: expected 0.75, got {one}"
two = exact_match(np.log([[3.0, 1, 1, 1], [1, 1, 2, 1]]), [0, 2], 1.0)
assert abs(two - 0.2) < 1e-9, f"1/2 and 2/5 at two places: expected 0.2, got {two}"
### BEGIN HIDDEN TESTS
cold = exact_match(np.log([[3.0, 1, 1, 1], [1, 1, 2, 1]]), [0, 2], 0.5)
assert abs(cold - 9 / 12 * 4 / 7) < 1e-9, f"T = 1/2 squares the odds; got {cold}"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
generator = np.random.default_rng(5)
scores = generator.uniform(-4, 4, size=(3, 6))
best = scores.argmax(axis=1)
hot = exact_match(scores, best, 1e6)
assert abs(hot * 6**3 - 1) < 1e-3, f"T = 1e6: expected {6**-3:.6f}, got {hot:.6f}"
### BEGIN HIDDEN TESTS
draws = generator.gumbel(size=(20_000, 3, 6))
for T in (0.3, 1.0, 3.0):
    share = ((scores / T + draws).argmax(axis=2) == best).all(axis=1).mean()
    exact = exact_match(scores, best, T)
    assert abs(share - exact) < 0.02, f"T = {T}: {exact:.3f}, simulated {share:.3f}"
near = np.array([[30.0, 29.0, -30.0], [5.0, 28.0, 27.0]])
for T in (0.01, 0.001):
    assert abs(exact_match(near, [0, 1], T) - 1) < 1e-6, f"T = {T}: greedy is right"
    assert exact_match(near, [0, 2], T) < 1e-6, f"T = {T}: greedy is wrong"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: raises the probabilities to the power 1/T and forgets to divide by their new sum.
def exact_match(logits, gold, T):
    z = np.asarray(logits, dtype=float)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return float(np.prod(p[np.arange(len(gold)), gold] ** (1 / T)))


# %% tags=["wrong"]
# Wrong: clips large exponents instead of subtracting the largest, so that near ties become ties when cold.
def exact_match(logits, gold, T):
    p = np.exp(np.clip(np.asarray(logits, dtype=float) / T, -700, 700))
    p /= p.sum(axis=1, keepdims=True)
    return float(np.prod(p[np.arange(len(gold)), gold]))


# %% [markdown] tags=["open"]
# - Whole abilities are held out, and the best fixed temperature is chosen on the same training abilities as the picker; the smallest gain that would pay for a picker is named beforehand. (1 point)
# - The picker looks at something that a new ability has, too: the entropy or the margin of the first predictions, how much cold samples of one prompt disagree, the length of the answer. It is said why this should tell heat from cold. (1 point)
# - The ceiling (a temperature fitted to the ability itself) and a control (the picker's temperatures dealt out to other prompts) are reported along with the fixed one. (1 point)
# - The ability is the unit, so that six are few: more are made, or the interval is as wide as six allow. The work that the picker costs is counted. (1 point)
#
# Typical mistakes: prompts held out, but not abilities, so that a classifier of wordings wins; scores of an ability divided by its best on the test prompts and then tuned; comparison with $T=1$ only.

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
# A greedy score is one number about a distribution. What it hides can be computed here exactly, and a part of what is said against it turns out to be arithmetic, a part true, and a part the wrong way round. The hour trains one
# distinction: which sentences hold for every distribution, which contradict each other, and which are left for an experiment to decide.
#
# ## Where students stumble
#
# - *"With 32 samples the model solves more."* Somebody has to know which of the 32 is right. Coverage is no accuracy, and the same samples cover many *wrong* answers; the grey line of the figure shows how many.
# - *"Greedy underestimates ability and failure."* On average over the same questions, failure is one minus ability. If one is underestimated, the other is overestimated by the same amount.
# - The conditional forms, failures behind a right greedy answer and successes behind a wrong one, are positive for every model that is not deterministic. They can only be small or large, which is why c2 and c5b have thresholds.
# - *"Samples rise smoothly, so greedy invents the transition."* Both read the same probabilities. One needs the right letter to be in front, the other needs it to be nearly certain, five times running.
# - Greedy takes the most probable token at each step. That need not be the most probable answer, though in two tokens it nearly always is.
#
# ## The discussion
#
# *Cautious or reckless?* The greedy number is cautious for a risk whose forbidden answer is the favourite: greedy then always commits it, samples only sometimes (c5). It is reckless where the safe answer leads narrowly or samples are many, since
# $1-(1-r)^k$ grows with every draw (c5b). For ability the roles are exchanged: who samples once gets less than greedy promises where right answers lead, who may try $k$ times and can tell the right one gets more.
#
# *Who pays, who recognises?* $k$ samples cost nearly $k$ times the work, so that the fair rival is anything else that could be done with it, a larger model for instance. Recognising is free where a test or a proof checker exists. Where none exists, one is left with the majority,
# which gains nothing in the sums (c4b) and gains in one of the two worlds only (x1). Which kind of world written steps create is open here; c4 is out of scope.
#
# *A reproducible server.* It hinders nobody. Sampling with a recorded seed is a function of prompt and seed, and bitwise equal kernels make this function well defined. What it takes away is variation that nobody asked for and nobody can repeat.
#
# ## On the board
#
# 1. Two questions as bars of answers: right at 0.55 and right at 0.35 behind a wrong 0.4. Greedy turns them into 1 and 0. Average: greedy 0.5, one sample 0.45.
# 2. $(1-p)^k\le 1-p$. Under it, $\bar p>\bar g\iff 1-\bar p<1-\bar g$. Cross out what needs no experiment.
# 3. A square: average or conditional, ability or failure. Fill in the verdicts on c1b, c2, c5 and c5b.
# 4. Two trees. *Many roads*: 0.4 to the left, right in one problem of ten; six branches of 0.1, right in nine of ten; one sample is right with $0.4\cdot0.1+0.6\cdot0.9=0.58$. *One road*: $0.85^5\approx0.44$, and no wrong end has more than 0.0375, so that greedy is already right.
#
# ## Time
#
# Seventy-five minutes: ten of bets, twenty-five of board, twenty of figures and verdicts, twenty of discussion. The short exercise takes 15 minutes, the coding one 30, the open one an afternoon.
# The chapter's `quick` run takes about a minute and a half.

# %% [markdown] tags=["short"]
# Since $0\le1-p_i\le1$, $(1-p_i)^k\le1-p_i$ for every $k\ge1$, hence $c_i(k)=1-(1-p_i)^k\ge p_i$. And $\operatorname{mean}(p_i)>\operatorname{mean}(g_i)$ is the same as $\operatorname{mean}(1-p_i)<\operatorname{mean}(1-g_i)$, so that both averages
# cannot exceed their greedy counterparts. (1 point)
#
# Left to be tested is what can come out either way: whether coverage exceeds what *wrong* answers get (c1), the sign of $\bar p-\bar g$ (c1b) and of the average risk (c5), whether a majority beats greedy (c4b), the width of a transition (c3), and failure under *other* wordings (3). Of what lies behind a single
# greedy answer, $1-p_i$ or $p_i$, only the size is open. (1 point)

# %% [markdown] tags=["task"]
# What is checked: the value of the wording, the extreme cases, thousands of samples, and that the estimate is unbiased. The last needs no simulation: if $c$ is binomial with probability $p$, the mean of the estimate over all $c$ must be $1-(1-p)^k$.

# %% tags=["given"]
import math


def mean_estimate(estimate, n, k, p):
    """Mean of estimate(n, c, k) where c of n samples are right, each with probability p."""
    law = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    return sum(weight * estimate(n, c, k) for c, weight in enumerate(law))


# %% tags=["solution"]
def pass_at_k(n, c, k):
    """Estimate of the probability that one of k samples at least is right.

    Parameters
    ----------
    n : int
        Samples drawn, up to some thousands.
    c : int
        How many of them are right, from 0 to n.
    k : int
        From 1 to n.

    Returns
    -------
    float
    """
    ### BEGIN SOLUTION
    return 1 - math.comb(n - c, k) / math.comb(n, k)
    ### END SOLUTION


# %% tags=["example"]
print(pass_at_k(20, 3, 5))
print(mean_estimate(pass_at_k, 10, 3, 0.2), 1 - 0.8**3)

# %% tags=["tests"] points=2
got = pass_at_k(20, 3, 5)
assert abs(got - 0.6009) < 5e-5, f"n = 20, c = 3, k = 5: expected 0.6009, got {got}"
got = pass_at_k(20, 0, 5)
assert abs(got) < 1e-12, f"no sample is right: expected 0, got {got}"
got = pass_at_k(10, 7, 1)
assert abs(got - 0.7) < 1e-12, f"k = 1 is the share of right samples, 0.7; got {got}"
got = pass_at_k(5, 3, 3)
assert abs(got - 1) < 1e-12, f"2 wrong samples of 5 cannot fill k = 3; got {got}"

# %% tags=["tests"] points=2
many, close = pass_at_k(5000, 5, 1000), 1 - 0.8**5
assert abs(many - close) < 1e-3, f"n = 5000, c = 5, k = 1000: {many}, near {close:.4f}"
### BEGIN HIDDEN TESTS
for n, k, p in [(10, 3, 0.2), (12, 5, 0.1), (6, 2, 0.3), (8, 8, 0.5), (9, 4, 0.9)]:
    bias = mean_estimate(pass_at_k, n, k, p) - (1 - (1 - p) ** k)
    assert abs(bias) < 1e-8, f"n = {n}, k = {k}, p = {p}: the mean is off by {bias:.4f}"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: puts the share c/n into 1-(1-p)^k, which is too low on average, since the function is concave in p.
def pass_at_k(n, c, k):
    return 1 - (1 - c / n) ** k


# %% tags=["wrong"]
# Wrong: takes k wrong samples for too few to fill all k places; only fewer than k are.
def pass_at_k(n, c, k):
    if n - c <= k:
        return 1.0
    return 1 - math.prod((n - c - i) / (n - i) for i in range(k))


# %% [markdown] tags=["open"]
# - The quantity is named first (coverage, the probability of the right answer, the risk), and the method is a formula for it that uses no random numbers, or a recorded seed. (1 point)
# - It says how much probability it has not looked at, as a bound that comes with the estimate. (1 point)
# - It is tried where the truth is known, for instance on the sums of the chapter, and compared with plain samples and with greedy at the same number of calls of the model. (1 point)
# - What it misses is shown by an example: other wordings of the question, right answers in other words, a tail that is thin everywhere. (1 point)
#
# Typical mistakes: the most probable sequences of a beam taken for a sample; probabilities of long answers added up without saying how much of the whole they are; only questions used on which greedy is right.

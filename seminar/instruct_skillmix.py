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
# Drawing skills in random pairs takes the choice of topics away from a model that would repeat itself, and in a world where every answer can be checked it teaches more than single skills or a few pairs at the same number of examples and updates. Spoiling a fifth of the examples costs far more than removing it.
# How much of that is proportional is arithmetic, and has to be worked out before anybody says "catastrophic".
#
# ## Where students stumble
#
# - The control of shirkers is the set without them (`cut`), not the full good set. Removing a fifth is hardly felt here; with the full set as control one could not know that.
# - c3 and c3b are two claims. "More harm than losing that fifth" is c3; "more than in proportion" is c3b, judged against equation (2).
# - *"Greedy decoding ignores a minority."* By (2) it should, for a model that has learnt the mixture and nothing else. It does not hold here (x1), and learning by heart in many passes need not be the whole reason: the loss for examples seen once stands on the page too.
# - `once` and `once junk` differ from `pairs` and `junk` in the number of different examples as well as in repetition. With equal updates one cannot have one without the other.
# - *New* pairs are new as pairs. Each of the skills in them has been met, with others.
# - The unit is a world; many hundred questions in one world make one number, and the worlds an interval. In `full` the worlds are of two kinds, and no mean tells that: have them look at the ticks.
#
# ## The discussion
#
# *A covering array.* Equal counts instead of equal chances: each skill meets each other equally often, so that no pair is missing and the scatter of counts is gone. That matters where there are about as many examples as pairs, as in the small world. Of the published list's 651 511 pairs a thousand examples cover next
# to nothing in either way, and hardly one repeats; what could be balanced there is single skills. Of 1142 skills about 17 % are in none of a thousand random pairs, since $(1-2/1142)^{1000}\approx0.17$.
#
# *One pass and crowds.* If a spoilt answer is seen once, it is a minority opinion; seen fifteen times, it is a fact about this question. Data from crowds that are passed over many times can so be learnt with their errors. One may pass once, remove (x3: half of the examples, all good, do better), or ask several people the
# same question. But the one pass is no full shelter in the chapter either, and x2 is among the results to be trusted least; the page says so.
#
# *The judge.* It measures agreement with a taste that author and judge have in common. What the family of models does not see, neither of them reports. A judge from elsewhere, or a task with checkable answers as here, separates being good from being alike; what remains open is how much of the published win rate is either.
#
# ## On the board
#
# 1. $M=\binom S2$, and (1) for one pair: missed by one draw, by $N$ draws, so seen. Then the birthday: $N^2/2M$.
# 2. A tree of a sampled answer with two steps. Shirk or not, decided once: $(1-q)$ is kept. Decided at each step: $(1-q)^2$. Which kind of shirker offers how many occasions?
# 3. The arms as a table with the columns *examples*, *different examples*, *updates*, *all good?* Find the pairs of rows that differ in one column only.
# 4. Two examples drawn from a file: the chance that a skill of one is a skill of the other is $\sum_kp_k^2$ for each comparison. Its inverse for an even and for an uneven list.
#
# ## Time
#
# Seventy minutes: ten of bets (what does a fifth of junk cost?), twenty-five of board, twenty of discussion, fifteen on the two wordings of the abstract. The short exercise takes 10 minutes, the coding one 30, the open one an afternoon. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# For $N\ll M$, $1-(1-1/M)^N\approx N/M-\binom N2/M^2$, so $D(N)\approx N-\binom N2/M$: each of the $\binom N2$ pairs of draws agrees with probability $1/M$, the birthday problem (1 point).
#
# With $M=\binom{1142}2=651\,511$ and $N=4000$: $\binom{4000}2/651\,511=7\,998\,000/651\,511\approx12.3$ repeats (exactly, by (1), 12.25) (1 point).

# %% [markdown] tags=["task"]
# Write `distinct_pairs`, and below it in the same cell `skills_needed(N, chance)`: how many skills are needed for $N$ examples without any repeat with at least this probability, an integer. What is checked: `distinct_pairs` to a relative accuracy of $10^{-9}$, also for long lists of skills ($S=10^8$), where the
# rounding of $1-1/M$ matters; and `skills_needed` to one per cent, from a hundred examples to a million, in a few seconds.
#
# Ten thousand simulations are for you; the tests make do with fewer.

# %% tags=["given"]
import math

import numpy as np


def simulated(S, N, runs, rng):
    """Numbers of different pairs in N even draws, (runs,)."""
    one, other = rng.integers(S, size=(runs, N)), rng.integers(S - 1, size=(runs, N))
    other += other >= one  # two different skills
    pairs = np.sort(np.minimum(one, other) * S + np.maximum(one, other), axis=1)
    return 1 + (np.diff(pairs, axis=1) > 0).sum(1)


# %% tags=["solution"]
def distinct_pairs(S, N):
    """Expected number of different pairs of skills in N even draws, equation (1).

    Parameters
    ----------
    S : int
        Skills on the list, two at least; a pair has two different ones, in no order.
    N : int
        Draws.

    Returns
    -------
    float
    """
    ### BEGIN SOLUTION
    M = S * (S - 1) // 2
    if M == 1:
        return float(min(N, 1))
    return -M * math.expm1(N * math.log1p(-1 / M))


def skills_needed(N, chance):
    """Least number of skills for which N draws have no repeat with this probability."""
    i = np.arange(N)

    def enough(S):
        M = S * (S - 1) // 2
        return M >= N and np.log1p(-i / M).sum() >= math.log(chance)

    low, high = 2, 4
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
    ### END SOLUTION


# %% tags=["example"]
for N in (1000, 4000):
    mean = simulated(1142, N, 1000, np.random.default_rng(0)).mean()
    print(N, distinct_pairs(1142, N), f"simulated: {mean:.2f}")

# %% tags=["tests"] points=2
found = distinct_pairs(1142, 1)
assert abs(found - 1) < 1e-9, f"one draw gives one pair, not {found}"
for N in (1000, 4000):
    draws = simulated(1142, N, 200, np.random.default_rng(N))
    found, half = distinct_pairs(1142, N), 4 * draws.std() / math.sqrt(len(draws))
    assert abs(found - draws.mean()) < half, f"{N} draws: {found}, simulated {draws.mean():.2f}"
found = distinct_pairs(5, 10_000)
assert abs(found - 10) < 1e-9, f"of five skills there are ten pairs in the end, not {found}"
### BEGIN HIDDEN TESTS
from fractions import Fraction

for S, N in ((3, 2), (4, 7), (12, 40), (1142, 1000)):
    M = S * (S - 1) // 2
    wanted = float(M - M * Fraction(M - 1, M) ** N)
    found = distinct_pairs(S, N)
    assert abs(found / wanted - 1) < 1e-9, f"S={S}, N={N}: expected {wanted}, got {found}"
for S in (10**6, 10**8):
    wanted, found = 1000 - 1000 * 999 / (S * (S - 1)), distinct_pairs(S, 1000)
    assert abs(found / wanted - 1) < 1e-9, f"S={S}: expected {wanted}, got {found}; mind rounding"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
few, many = skills_needed(100, 0.5), skills_needed(1000, 0.5)
assert few < many, "more examples need more skills"
### BEGIN HIDDEN TESTS


def none_repeats(S, N):
    return np.exp(np.log1p(-np.arange(N) / (S * (S - 1) // 2)).sum())


for N, chance in ((100, 0.5), (100, 0.9), (1000, 0.5), (10**6, 0.5)):
    S = skills_needed(N, chance)
    assert none_repeats(round(1.01 * S), N) > chance, f"N={N}: {S} skills are too few"
    assert none_repeats(round(0.99 * S) - 1, N) < chance, f"N={N}: fewer than {S} do"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: equation (1) as it stands; for long lists 1 - 1/M is rounded and little of it is left.
def distinct_pairs(S, N):
    M = S * (S - 1) / 2
    return M * (1 - (1 - 1 / M) ** N)


def skills_needed(N, chance):
    M = N**2 / (2 * math.log(1 / chance))
    return math.ceil(math.sqrt(2 * M)) + 1


# %% tags=["wrong"]
# Wrong: asks that half a repeat be expected, and takes that for no repeat with probability one half.
def distinct_pairs(S, N):
    M = S * (S - 1) / 2
    return -M * math.expm1(N * math.log1p(-1 / M))


def skills_needed(N, chance):
    M = N**2 / (2 * (1 - chance))
    return math.ceil(math.sqrt(2 * M)) + 1


# %% [markdown] tags=["open"]
# - The shirker is a rule, with an example: what it leaves out, at ordinary length and in good style. (1 point)
# - It is said why length control does not touch it: the correction removes what goes with length, and this does not; and what in the judge rewards it. (1 point)
# - A statistic for the file needs no judge and is fixed beforehand (words of the answer that are not in the question, named skills that are used, likeness of answers to unlike questions), with a null: answers dealt to other questions. (1 point)
# - It is tried on a file with a known share of planted shirkers, hidden from whoever looks: what is found, at how many false alarms, and below which share nothing. (1 point)
#
# Typical mistakes: a shirker that is merely short, which length control sees; detection by the same judge that was fooled; ten examples read and a rule made of what struck the eye.

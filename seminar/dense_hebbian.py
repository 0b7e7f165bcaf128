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
# When $P$ neurons interact at once, the number of patterns that fit grows as $N^{P-1}$ and the tolerated noise on a coupling as $N^{(P-1)/2}$. Both follow from one
# comparison of signal and noise, and both are paid for: there are $N^P/P!$ couplings, and each of them holds no more than in a network of pairs. Examples count through
# one number, their entropy; its limits, few examples and small networks, are where the chapter adds something to the theory.
#
# ## Where students stumble
#
# - *Capacity as a property of the network.* It is one of a criterion. The critical load in c1 is where one step from the pattern leaves an overlap of 0.9. The
#   well-known 0.138 for pairs is the end of stable recall, a different question with a different number.
# - *"Dense networks store more."* Per neuron. Per coupling they do not (x2), and whoever forgets the couplings has counted only the neurons' half of the bill.
# - *Two constants, $(2P-3)!!$ and $(P-1)!$.* Not a misprint: the first belongs to whole powers of the overlap, the second to sums over distinct neurons. The exponents
#   are the same.
# - *For $P=2$ the spinodal comes out as $2/\pi$ and not 0.138.* The derivation treats overlaps with the other patterns as independent of the state. But the state has
#   yielded to them, and they push the more: for pairs this reaction multiplies the noise; for $P>2$ it is of lower order.
# - *The teacher's gain taken for a law.* At two archetypes it depends on $r\sqrt N$ and vanishes where that is large.
#
# ## The discussion
#
# *Is storing averages learning?* Something is learnt that was never shown: the archetype, from noisy copies, and a new copy is recognised by it. It is as much learning
# as the nearest class mean, which is what the network comes down to, and which does better on the digits (c6). No feature is found, and nothing that two classes share
# is used.
#
# *Capacity per neuron.* Couplings would have to cost nothing: given by physics and not wired one by one (light that mixes, a dendrite that multiplies), or replaced by
# a unit that raises a sum to a power. In the last case the numbers kept are the patterns themselves, as in (2), and then a table of patterns does the same. Where
# neurons are what costs, in energy or in connections to the outside, the count per neuron is the right one. Whether brains are such a case is open.
#
# *A lower energy and a worse answer.* The energy was made from what is stored, not from the question. Where stored means overlap, as those of digits do, a mixture of
# several lies lower than any one of them; for pairs it swallows everything. Dynamics also forgets the image it started from, and with it whatever told the class and is
# no part of a mean.
#
# ## On the board
#
# 1. Signal and noise: own pattern $N^{P-1}$; $K$ others, each a Gaussian to the power $P-1$, of variance $(2P-3)!!\,N^{P-1}$. Put $K=\alpha N^{P-1}$ and divide. (4)
#    with $\rho=0$ stands there.
# 2. The same with a random number on each coupling: $\omega\sqrt{N^{P-1}}$ against $N^{P-1}$.
# 3. The bill: $N^{P-1}$ patterns of $N$ bits, for $N^P/P!$ couplings, so $P!/(2P-3)!!$ up to a factor that is the same for all $P$. For $P=2,3,4$: 2, 2, 1.6.
# 4. Temperature zero in (5): draw $m$ and $\operatorname{erf}\big(m^{P-1}/\sqrt{2\alpha V}\big)$ over $m$. For $P=2$ the curve rises from 0 as a straight line, for
#    $P=3$ it starts flat, and the crossing is lost at once: a jump. That is the coding exercise.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of verdicts (x2 beside c1, then the contradicted c6). The short exercise takes 20 minutes,
# the coding one 30, the open one a day. The chapter's `quick` run takes under a minute.

# %% [markdown] tags=["short"]
# For $P=2$ (2) is $h_i\propto4\sum_\mu\xi_i^\mu S_{\mu\setminus i}$. In the state $\xi^1$ the first pattern gives $\xi_i^1(N-1)$. The other $K-1$ are independent of
# the state, so each $\xi_i^\mu S_{\mu\setminus i}$ has mean 0 and variance $N-1$, and their sum is Gaussian of variance about $\alpha N^2$. The spin stays right if
# $1+\sqrt\alpha\,z>0$, so $m_1=2\Phi(1/\sqrt\alpha)-1=\operatorname{erf}(1/\sqrt{2\alpha})$. The condition enters where the sum is called random: pattern 1 *is* the
# state, its $S$ is $N$ and not a Gaussian of size $\sqrt N$ (1 point).
#
# By (4) the critical load is $1/\big(2\,(2P-3)!!\,\operatorname{erfinv}^2(\text{level})\big)$. With $\operatorname{erfinv}$ of 0.97, 0.9 and 0.5 equal to 1.534, 1.163
# and 0.477, loads become 0.57 times what they were for 0.97 and 5.9 times for 0.5, the same factor for all $P$ and $N$. The exponents stay, but for corrections of
# small networks (1 point).

# %% [markdown] tags=["task"]
# At temperature zero the mean of $\tanh$ in (5) becomes an error function and $q=1$: $m=\operatorname{erf}\big(m^{P-1}/\sqrt{2\alpha V}\big)$. With $x$ for the
# argument of $\operatorname{erf}$, $\alpha$ becomes a function of $x$ whose supremum is asked for. Write `alpha_spinodal(p, distinct)`: whole powers of the overlap,
# $V=(2P-3)!!$, where `distinct` is false, and distinct neurons, $V=(P-1)!$, where it is true. It is checked for `p` from 2 to 12, to one per cent.

# %% tags=["given"]
import math

import numpy as np
from scipy.special import erf


# %% tags=["solution"]
def alpha_spinodal(p, distinct=False):
    """Largest load at which recall at temperature zero has a solution with m > 0.

    Parameters
    ----------
    p : int
        Neurons that interact, from 2.
    distinct : bool
        Whether the sums go over distinct neurons, or over all as powers of overlaps.

    Returns
    -------
    float
    """
    ### BEGIN SOLUTION
    v = math.factorial(p - 1) if distinct else math.prod(range(1, 2 * p - 2, 2))
    x = np.geomspace(1e-4, 10, 100_000)
    return (erf(x) ** (2 * p - 2) / (2 * v * x**2)).max()
    ### END SOLUTION


# %% tags=["example"]
print([round(float(alpha_spinodal(p)), 4) for p in (2, 3, 4)])

# %% tags=["tests"] points=2
for p, distinct, wanted, margin in ((3, False, 0.084, 0.001), (4, False, 0.0132, 0.0002)):
    found = alpha_spinodal(p, distinct)
    assert abs(found - wanted) < margin, f"P = {p}, whole powers: {found}, not {wanted}"
found = alpha_spinodal(3, True)
assert abs(found - 0.126) < 0.001, f"P = 3, distinct neurons: {found}, not 0.126"

# %% tags=["tests"] points=2
for distinct in (False, True):
    found = alpha_spinodal(2, distinct)
    assert abs(found * np.pi / 2 - 1) < 0.01, f"P = 2: {found}, not 2 / pi as x goes to 0"
### BEGIN HIDDEN TESTS
for p, distinct in ((4, True), (5, False), (6, True), (8, False), (12, False), (12, True)):
    found = alpha_spinodal(p, distinct)
    v = 1  # (P - 1)!, or 1 * 3 * ... * (2 P - 3)
    for k in range(1, p):
        v *= k if distinct else 2 * k - 1
    for share, alive in ((0.99, True), (1.01, False)):
        m = 1.0
        for _ in range(3000):
            m = math.erf(m ** (p - 1) / math.sqrt(2 * share * found * v))
        word = "distinct neurons" if distinct else "whole powers"
        message = f"P = {p}, {word}: at {share} times {found:.3g} recall is left with m = {m:.3f}"
        assert (m > 0.5) == alive, message
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: a grid that ends before the maximum, which moves outwards as P grows.
def alpha_spinodal(p, distinct=False):
    v = math.factorial(p - 1) if distinct else math.prod(range(1, 2 * p - 2, 2))
    x = np.linspace(0.001, 1.25, 2000)
    return (erf(x) ** (2 * p - 2) / (2 * v * x**2)).max()


# %% tags=["wrong"]
# Wrong: P - 1 in place of its factorial, which makes no difference for P = 2 and 3.
def alpha_spinodal(p, distinct=False):
    v = p - 1 if distinct else math.prod(range(1, 2 * p - 2, 2))
    x = np.linspace(0.001, 5, 5000)
    return (erf(x) ** (2 * p - 2) / (2 * v * x**2)).max()


# %% [markdown] tags=["open"]
# - The entropy is derived before the run: if wrong copies come from many archetypes, a share $f$ of them leaves the quality $(1-f)r$ in (3); with two archetypes they
#   add a part along the other one, $f$ against $1-f$, which no number of copies averages away. (1 point)
# - The experiment holds against this with the same copies in both arms, labels right and wrong, over ten repetitions or more, and shows where (3) with the new quality
#   is met and where not. (1 point)
# - "Harm" is defined beforehand: worse than copies stored one by one, at equal numbers of copies. It is looked for at low load and at $K\propto N^{P-1}$, with a word
#   on what the unlabelled arm stores then ($MK$ patterns). (1 point)
# - Two values of $P$ and two sizes, so that what is owed to a small network can be told from what stays. (1 point)
#
# Typical mistakes: labels swapped in one archetype only; wrong labels that flip spins, which is a lower $r$ and not a wrong teacher; comparing $f=\frac12$ with two
# archetypes to "no labels", although both means are then the same and the teacher tells nothing at all.

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
# A random search finds zeros where there are zeros, and its frequencies describe the window that was searched. From that to "all zeros" there is no
# step of statistics: a function without an Euler product, whose first zero off the line lies just above the window, gives the same frequencies below it. What a control shows here is that
# the argument, not the computation, is what fails.
#
# ## Where students stumble
#
# - *"29 of 29 on the line is strong evidence."* The exact upper limit of 10 % sounds like a statement about zeta. It is one about a population from which 29 were drawn at random. Nobody drew.
# - *"The control is artificial."* It is: it was made so that everything the argument uses holds of it. That is what a control is for.
# - Cross-entropy search minimises $|f|$, and a small $|f|$ is no zero. Ask what the winding number adds.
# - Probability nought and impossibility. The line has measure nought in the strip, so uniform points never lie on it; all known zeros do.
#
# ## The discussion
#
# *Probability nought.* Every single outcome of a continuous law has probability nought, and one of them happens. Impossible is empty, nought is small.
#
# *`dh_t_max` at 90.* c4 moves: the window then holds a zero off the line and the search reports it. The inference is not better for it; only this window happened to reach the counterexample.
#
# *Platt and Trudgian.* Interval arithmetic and the winding number make each count a proof, so that "all zeros up to $T$" is a theorem. It has a finite $T$.
#
# *When is numerical evidence good?* When the cases are exchangeable with those that it is carried over to, or when there is a reason (a heuristic model, a theorem on density) that says how exceptions would be distributed. Skewes' number and $\pi(x)<\mathrm{li}(x)$ are the standard warning.
#
# ## On the board
#
# 1. The strip, the line, the mirror. Mark the first zero, $\tfrac12+14.13i$.
# 2. Two columns, *zeta* and *control*: series, mirror symmetry, zeros on the line, Euler product. Tick what each has. Under them: zeros off the line, *unknown* and *yes*.
# 3. The argument as a syllogism. Which premise does the control lack? None, so the conclusion cannot follow.
#
# ## Time
#
# Ten minutes of bets, twenty of board, twenty of discussion. The short exercise takes 10 minutes, the coding one 30, the open one an afternoon. The chapter's `quick` run takes under a minute.

# %% [markdown] tags=["short"]
# With no exception among $n$ trials, every share $q$ with $(1-q)^n\ge0.05$ remains possible, so the limit is $q=1-0.05^{1/n}=1-0.05^{1/29}\approx0.098$.
#
# It assumes 29 independent draws from one population of zeros (1 point). Here the zeros are the *lowest* 29, all of them, chosen by height and not at random; zeros higher up are not exchangeable with them, and the control shows a function whose exceptions begin above any
# window chosen in advance (1 point).

# %% [markdown] tags=["task"]
# Write `newton`, which gives up after 50 steps. What is checked: zeros of a polynomial, the first zero of zeta (as a zero of `eta`, which is quick to
# compute and has the same zeros in the strip), and that nothing is found where nothing is. `Counted` counts evaluations for the questions.

# %% tags=["given"]
import cmath


class Counted:
    """A function that counts its evaluations."""

    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, s):
        self.calls += 1
        return self.f(s)


def eta(s, terms=40):
    """Dirichlet's eta, (1 - 2^(1-s)) zeta(s), by the alternating series of Cohen, Rodriguez and Zagier."""
    d = (3 + 8**0.5) ** terms
    d = (d + 1 / d) / 2
    b, c, total = -1.0, -d, 0.0
    for k in range(terms):
        c = b - c
        total += c * (k + 1) ** (-s)
        b *= (k + terms) * (k - terms) / ((k + 0.5) * (k + 1))
    return total / d


# %% tags=["solution"]
def newton(f, start, tolerance=1e-10, h=1e-6, steps=50):
    """A zero of an analytic f near `start`, or None where it is not found.

    Parameters
    ----------
    f : callable
        Complex number to complex number.
    start : complex
    tolerance : float
        The zero is found when the last step is shorter.
    h : float
        Half the width of the difference that stands for the derivative.
    steps : int
        Steps at most.
    """
    ### BEGIN SOLUTION
    s = complex(start)
    for _ in range(steps):
        slope = (f(s + h) - f(s - h)) / (2 * h)
        if slope == 0:
            return None
        step = f(s) / slope
        s -= step
        if abs(step) < tolerance:
            return s
    return None
    ### END SOLUTION


# %% tags=["example"]
print(newton(lambda s: s * s + 1, 0.5 + 2j))

# %% tags=["tests"] points=2
for start, zero in [(0.5 + 2j, 1j), (1 - 3j, -1j), (-2 + 0.5j, 1j)]:
    found = newton(lambda s: s * s + 1, start)
    assert found is not None and abs(found - zero) < 1e-8, f"from {start}: {found}"

# %% tags=["tests"] points=2
zeta_zero = newton(eta, 0.4 + 14.5j)
assert abs(zeta_zero - (0.5 + 14.134725141734693j)) < 1e-8, zeta_zero
### BEGIN HIDDEN TESTS
assert newton(lambda s: s * s + 1, 3.0) is None, "on the real line it wanders for ever"
counted = Counted(cmath.exp)
assert newton(counted, 0.0) is None, "exp has no zero"
assert counted.calls <= 200, "it must give up after `steps`"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: takes any small |f| for a zero, so that it stops early and finds zeros of functions that have none.
def newton(f, start, tolerance=1e-10, h=1e-6, steps=50):
    s = complex(start)
    for _ in range(steps):
        if abs(f(s)) < 1e-3:
            return s
        s -= f(s) / ((f(s + h) - f(s - h)) / (2 * h))
    return s


# %% [markdown] tags=["open"]
# - A law of birth and death is written down before it is run, with the evaluations that it may use. (1 point)
# - All zeros of the window are found from one wide start in at least some seeds, with the share found against evaluations as a curve over several seeds and not one lucky run. (1 point)
# - The number of living components is followed, and it is said what ends it: two components at one zero, or one that dies between two. (1 point)
# - It is compared with many local starts at equal evaluations, and with uniform sampling. (1 point)
#
# Typical mistakes: the number of components chosen from the known number of zeros; elites taken over all components together, so that the lowest zero takes everything.

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
# An instrument is tried on something whose answer is known before it is pointed at something unknown. Here the calls are simulated and the code was planted, so that each step of a plausible argument, from curve to sign to meaning, gets an error rate.
# A pattern is evidence only if it is more frequent with a code than without one; this one has the same probability under both, which a pencil shows before any network is trained.
#
# ## Where students stumble
#
# - *"c1 failed, so clicks are not encoded."* They are (c6). What fails is the sign as a way to see it. A bad thermometer says nothing about the weather.
# - *"Five sixteenths, and it was seen for several properties, so multiply."* The tables come from the same columns of weights and are not independent. And even a small probability without a code helps nobody if it is as small with one.
# - *"Untrained networks give $p<0.001$: the test must be wrong."* It is right. The bits of this network do move its sounds. But nobody asked about this network, and more draws from it are not more generators.
# - *Clear is not true.* Curves that run far apart at 12.5 are long, that is all. Training has seen 0 and 1; beyond, a network of ReLU units goes on in a straight line for ever.
# - *Bit numbers have no meaning.* Train again, and another bit has the clicks. What can be retraced is that some bit has them.
# - *Two mean slopes* (coding exercise). On an even grid they agree. On an uneven one the mean of the slopes lets a short interval count as much as a long one, while the quotient of the ends weighs each by its length; `slope_of` takes the latter, since the chapter's grid is uneven.
#
# ## The discussion
#
# *Encoded, hence it matters?* No. A generator has to imitate whatever varies in the recordings, and a property that varies without carrying anything moves the bits as a code does (x1). Distance to the microphone, the depth and the body of the whale vary too. Whether something matters to a whale is a question about a listener: one changes the property and watches what
# whales do. The generator can propose what to try.
#
# *Causal language.* It gives a clean estimand: the bit is set, the noise is shared, so that (2) is an effect and no correlation. But it is the effect of a bit on a network's output. From there to whales leads no intervention, and "causal" does not carry over. It also hides a choice, for an effect at 12.5 is one on calls that nobody has ever made.
#
# *A later discovery.* It counts for the method in so far as the method would have pointed elsewhere otherwise. So ask: how many properties did it point to, how many of these were later found, and what would an untrained network have pointed to? With five candidates and a sign that comes up in a third of all cases, a hit is likely. As a source of hypotheses
# the method may be good all the same; how one would measure this is open.
#
# ## On the board
#
# 1. A box with five switches, a cloud of noise going in, a row of clicks coming out. One axis from $-1$ to 12.5; shade what training has seen, the two points 0 and 1.
# 2. Five signs. List the patterns with one odd sign, $5\cdot2$ of 32. Now fix the first sign as the code and list again: all others opposite, one case in 16; one of the others odd, four in 16. The same $5/16$, and the odd one is the right bit in one case of five. Write $\dfrac{P(\text{pattern}\mid\text{code})}{P(\text{pattern}\mid\text{none})}=1$.
# 3. Three readings as rows: *odd sign*, *significance*, *size against untrained networks*. Columns: *does a network without training show it? does it find a planted code? does it invent one?* Let the class bet, then fill in from c1 to c3, x2, x3 and x4.
# 4. Why far is not clear: a bent line of three pieces through 0 and 1, the last piece drawn on to 12.5. Its slope decides what is heard, and no call of the corpus has had a say in it.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty of board, twenty of discussion, ten of the verdicts on the page. The short exercise takes 15 minutes, the coding one 20, the open one a day. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# Each of $b$ bits may be the odd one, with either sign: $2b$ of $2^b$ equally likely patterns (for $b>2$). With a perfect code let bit 1 move the property up. Among five bits, one sign is odd if the other four all point down ($1/16$), or if just one of them does ($4/16$): again $5/16$, and in only $1/5$ of these cases is the odd bit the right one
# (1 point).
#
# For $b$ bits the perfect code gives $\big(1+(b-1)\big)/2^{b-1}=2b/2^b$, as much as no code. From nine bits on this is below 0.05, so that the pattern is rare; but it is rare under both, the ratio of the probabilities stays 1, and it is convincing for no number of bits (1 point).

# %% [markdown] tags=["task"]
# What is checked is `ice(curve, t, ends=False)`: the mean of the slopes, the sum in (3); with `ends=True` the quotient of the ends. A generator made by hand is given, and the curves that come from turning each of its bits, so that you can try. The last question of
# the exercise then takes two lines. (On which grid do the two differ? Which of them would you call the mean slope? The chapter's own grid is not even: what does `slope_of` in its method do?)

# %% tags=["given"]
import numpy as np


def clicks(bits, noise):
    """Number of clicks (n,) of calls made by hand, from bits (n, 5) and noise (n, 20)."""
    return np.floor(8 + 0.5 * bits[:, 2] + (noise[:, 0] + 1) / 2)


def turned(t, noise):
    """Mean number of clicks (places, 5) where one bit stands at t (places,), the others at 0."""
    codes = [[value * np.eye(5)[bit] for bit in range(5)] for value in t]
    rows = lambda code: np.broadcast_to(code, (len(noise), 5))
    return np.array([[clicks(rows(code), noise).mean() for code in row] for row in codes])


t = np.linspace(-1, 12.5, 41)
curve = turned(t, np.random.default_rng(1).uniform(-1, 1, (2000, 20)))


# %% tags=["solution"]
def ice(curve, t, ends=False):
    """Incremental causal effects, equation (3), for any grid.

    Parameters
    ----------
    curve : numpy.ndarray, (places, ...)
        Mean outcomes; whatever stands on the further axes (bits, outcomes) is kept apart.
    t : numpy.ndarray, (places,)
        Increasing, at any distances.
    ends : bool
        Whether to divide the whole change by the whole way, in place of the mean of the slopes.

    Returns
    -------
    numpy.ndarray, (...)
    """
    ### BEGIN SOLUTION
    if ends:
        return (curve[-1] - curve[0]) / (t[-1] - t[0])
    slopes = [(curve[k] - curve[k - 1]) / (t[k] - t[k - 1]) for k in range(1, len(t))]
    return np.mean(slopes, axis=0)
    ### END SOLUTION


# %% tags=["example"]
print(ice(curve, t).round(3), ice(curve, t, ends=True).round(3))

# %% tags=["tests"] points=2
for ends in (False, True):
    effect = np.asarray(ice(curve, t, ends))
    assert effect.shape == (5,), f"there are five bits, the result has the shape {effect.shape}"
    for bit in range(5):
        expected = 0.5 if bit == 2 else 0.0
        assert abs(effect[bit] - expected) < 0.02, (
            f"ends={ends}: bit {bit} has {effect[bit]:.3f} instead of {expected}"
        )

# %% tags=["tests"] points=2
even = np.linspace(0, 3, 4)
both = [float(ice(even**2, even, ends)) for ends in (False, True)]
assert abs(both[0] - both[1]) < 1e-9, f"on an even grid the two agree, here they are {both}"
### BEGIN HIDDEN TESTS
assert abs(both[0] - 3) < 1e-9, f"t^2 at 0, 1, 2, 3 climbs by 3 for each unit, not by {both[0]}"
uneven = np.array([0.0, 1.0, 10.0])
both = [float(ice(uneven**2, uneven, ends)) for ends in (False, True)]
assert abs(both[0] - 6) < 1e-9, (
    f"t^2 at 0, 1, 10: the slopes 1 and 11 have the mean 6, not {both[0]}"
)
assert abs(both[1] - 10) < 1e-9, f"t^2 at 0, 1, 10: 100 clicks over 10 units are 10, not {both[1]}"
rng = np.random.default_rng(2)
grid, many = np.sort(rng.uniform(-1, 12.5, 9)), rng.normal(size=(9, 5, 3))
for ends in (False, True):
    whole = np.asarray(ice(many, grid, ends))
    assert whole.shape == (5, 3), f"(9, 5, 3) goes in, (5, 3) comes out, not {whole.shape}"
    steps = [(many[8] - many[0], grid[8] - grid[0])]
    steps = steps if ends else [(many[k + 1] - many[k], grid[k + 1] - grid[k]) for k in range(8)]
    expected = sum(rise / run for rise, run in steps) / len(steps)
    assert np.allclose(whole, expected), f"ends={ends}: wrong on an uneven grid of 9 places"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: averages the slopes at the places, not those of the intervals; right for straight lines only.
def ice(curve, t, ends=False):
    if ends:
        return (curve[-1] - curve[0]) / (t[-1] - t[0])
    return np.mean(np.gradient(curve, t, axis=0), axis=0)


# %% tags=["wrong"]
# Wrong: divides the ends in either case, as though every grid were even.
def ice(curve, t, ends=False):
    return (curve[-1] - curve[0]) / (t[-1] - t[0])


# %% [markdown] tags=["open"]
# - The statistic is computed from the calls as they are, with no measured property in it, and is fixed before the planted factors are used; it is said at which values the bit is switched and why (0 and 1 were seen in training, others not). (1 point)
# - The same statistic is computed on untrained generators, and the comparison is over generators: trained against untrained, not calls against calls. (1 point)
# - It is tried on all three laws of the spectrum, with a prediction beforehand of what it must find (the code), what it must leave alone (the constant) and what it can hardly tell from a code (mere variation). (1 point)
# - There is a way from number to factor: what somebody would look at to give the found difference a name, and how often this ends in a factor that was not planted. (1 point)
#
# Typical mistakes: a classifier that tells the two settings of a bit apart nearly without error, taken for a finding, although it succeeds on untrained generators too; a statistic with a dozen settings, chosen by looking at which one finds the planted clicks.

# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 4
#     uses: [setup, method]
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# A network with frozen weights from a bounded range stays at a floor at which more neurons do not help, because with many of them only the law of the weights matters
# and not their number. The floor is the part of the target that the band lacks, *at a stated price of coefficients*. On an interval it is not absolute: let
# coefficients cost less, and compute with digits enough, and it goes.
#
# ## Where students stumble
#
# - *"More neurons span more functions, so the error must fall."* They do, and on an interval the span is as good as everything. But those functions cost coefficients
#   that (2) makes dear. Ask for $\alpha$ before asking for the error.
# - *"I set no price."* Whoever calls a least-squares routine has set one: its cut-off for small singular values. And double precision is a price of about $10^{-16}$
#   that nobody asked for (x3).
# - *"Errors go along with $T$, so the theorem is confirmed."* Both fall as the range grows, as do many things. Only the order of the targets within a range (c2) is
#   evidence, and the spectra of other targets are its null.
# - *Jensen's inequality read for every net.* It bounds the mean of $J_n$. A single net may lie below the closed form, by luck with its own weights.
# - *c4 read as a matter of spectrum.* A range too wide lacks nothing. It spreads few neurons over too many scales; with many tanh neurons the damage is much smaller.
#
# ## The discussion
#
# *Expressivity or optimisation?* Neither word fits well. In the span alone nothing is missing, if $\sigma$ is analytic and no polynomial; in the *ball* of functions
# that a budget buys, much is. So it is expressivity at a price. Any optimiser that starts small and stops, any penalty and any finite number of digits has such a ball,
# which is why the bound matters in practice although it would be gone with exact arithmetic. How the ball compares with that of trained hidden weights is open here.
#
# *Why do ReLU nets escape?* Since $\max(0,\cdot)$ has no scale, $\max(0,ax-b)=|a|\max(0,\pm x-b/|a|)$: the range only multiplies coefficients (third exercise), and
# what counts is where the kinks $b/a$ lie. In one dimension a few hundred kinks cover the interval. With many inputs the range still does not matter, but directions
# have to be covered, which takes neurons in numbers that grow exponentially with the dimension: another floor, made of number and not of range. Without shifts all
# kinks are at 0, and in one dimension the span has two functions, $\max(0,x)$ and $\max(0,-x)$; nothing escapes then.
#
# *`law` at cauchy.* What says "bounded range" falls, and should: c1 is contradicted, c3 has no edge to measure, since slow sines are learnt at the smallest scale
# already, and the left half of c4 goes, since too small is no longer harmful. The right half stays, being about coverage. So do c5's verdict, x2 and x3, which did not
# need the band. The order of c2 becomes looser. The formulas (3) and (4) hold for either law, but at these widths terms beyond $C/n$ are seen, and x1 stays open. Rules
# were justified for uniform weights, so read these verdicts as a description.
#
# ## On the board
#
# 1. The spectrum of a target, two bars at $\pm\Lambda$, the outside shaded: Plancherel. So far everything is exact.
# 2. Cut the line to $[-1,1]$ and write $x^2\approx\frac{2}{a^2}(1-\cos ax)$. For $a=0.01$ the coefficients are $20\,000$. The next power needs $1/a^4$. This is what
#    "the span is dense" costs.
# 3. In the directions of the eigenvectors of $K/N$, with eigenvalues $\lambda_j$ and parts $y_j$ of the target, (3) reads
#    $J_\infty=\frac1N\sum_j\frac{\alpha}{\lambda_j+\alpha}\,y_j^2$. Draw $\lambda_j$ for cosines: about $2\Lambda/\pi$ large ones, then a cliff. Move $\alpha$ down the
#    cliff. No $n$ appears.
# 4. Two columns, *floor removed by*: more neurons, wider weights, cheaper coefficients. Fill them for tanh and for cosines, in double precision and beyond.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of verdicts (c1 beside c5, then x3). The short exercise takes 15 minutes, the coding one
# 45, the open one a day. The chapter's `quick` run takes under a minute.

# %% [markdown] tags=["short"]
# What such cosines make in $L^2(\mathbb R)$ are the functions $g$ whose transform vanishes beyond $\Lambda$ (mixtures of cosines over a continuum of slopes; a finite
# sum is not square-integrable), and all of these can be approached. By Plancherel
# $\lVert f-g\rVert^2=\frac1{2\pi}\int_{|w|\le\Lambda}|\hat f-\hat g|^2\,dw+\frac1{2\pi}\int_{|w|>\Lambda}|\hat f|^2\,dw$. The second part does not contain $g$, and the
# first is made nought by $\hat g=\hat f$ inside the band. So the least error is the norm beyond $\Lambda$ (1 point).
#
# On an interval only $\int_{-1}^1|f-g|^2$ counts. This is no integral over $|\hat f-\hat g|^2$ any more: cutting multiplies $f-g$ by a window and so blurs its
# transform over the edge of the band. Inside and outside are then no longer orthogonal, and what $g$ does outside of $[-1,1]$ is free. Functions of the band, cut to
# the interval, come as near to any $f$ as one likes, if their size elsewhere does not matter (1 point).

# %% [markdown] tags=["task"]
# `smallest_range` draws *one* net of `NEURONS` neurons, by `draw_weights` with a generator made anew from `seed` at each range, fits it at the points `TRAIN` at the
# price `ALPHA`, and takes as error the root mean square at the points `TEST` in units of the standard deviation of $f$ there. Tried are ranges between `lowest` and
# `highest`: the answer is `lowest` if that suffices, and NaN if `highest` does not. Elsewhere it must be right to 2 per cent. Between these ends you may take the error
# to fall as the range grows.

# %% tags=["given"]
TRAIN, TEST = np.linspace(-1, 1, 399)[::2], np.linspace(-1, 1, 399)[1::2]
NEURONS, ALPHA = 300, 1e-8


def sine(k):
    """A target: sin(pi k x + 0.3)."""
    return lambda x: np.sin(np.pi * k * x + 0.3)


# %% tags=["solution"]
def smallest_range(f, level, shape, lowest=1.0, highest=128.0, seed=0):
    """The smallest range of the weights at which a random net fits f, by bisection on its logarithm.

    Parameters
    ----------
    f : callable
        The target, a function of an array of points.
    level : float
        Relative error at test points that counts as fitted.
    shape : {"tanh", "cos", "relu"}
    lowest, highest : float
        Ends of the search.
    seed : int

    Returns
    -------
    float
        The range; `lowest` where that suffices, NaN where `highest` does not.
    """

    ### BEGIN SOLUTION
    def fitted(reach):
        net = draw_weights(shape, reach, NEURONS, np.random.default_rng(seed))
        c = ridge(features(shape, TRAIN, *net), f(TRAIN), ALPHA)
        gap = features(shape, TEST, *net) @ c - f(TEST)
        return np.sqrt((gap**2).mean()) / f(TEST).std() < level

    if fitted(lowest):
        return lowest
    if not fitted(highest):
        return np.nan
    low, high = lowest, highest
    while high > 1.01 * low:
        middle = np.sqrt(low * high)
        low, high = (low, middle) if fitted(middle) else (middle, high)
    return high
    ### END SOLUTION


# %% tags=["example"]
print(smallest_range(sine(4), 0.1, "cos"), 4 * np.pi)

# %% tags=["tests"] points=1
for k in (4, 8, 16):
    found = smallest_range(sine(k), 0.1, "cos")
    message = f"k = {k}: range {found}, not between {np.pi * k / 2:.1f} and {1.3 * np.pi * k:.1f}"
    assert np.pi * k / 2 < found < 1.3 * np.pi * k, message

# %% tags=["tests"] points=1
found = smallest_range(sine(4), 0.1, "relu")
assert np.isclose(found, 1), (
    f"a ReLU net fits the sine with k = 4 at range 1 already; found {found}"
)
wide = smallest_range(sine(8), 0.01, "tanh")
near = smallest_range(sine(8), 0.5, "tanh")
assert near < wide, f"the stricter level needs the wider range: {near} at 0.5, {wide} at 0.01"

# %% tags=["tests"] points=2
found = smallest_range(sine(4), 0.1, "cos", lowest=20)
assert np.isclose(found, 20), f"20 suffices for k = 4 and is the lowest; found {found}"
### BEGIN HIDDEN TESTS
found = smallest_range(sine(60), 0.1, "cos")
assert np.isnan(found), f"no range up to 128 holds the sine with k = 60; found {found}"
for shape, k, level in (("cos", 6, 0.1), ("cos", 12, 0.01), ("tanh", 4, 0.1)):
    found, y = smallest_range(sine(k), level, shape), sine(k)
    other = smallest_range(lambda x, y=y: 100 * y(x) + 30, level, shape)
    message = f"{shape}, k = {k}: {found:.2f}, but {other:.2f} for 100 times the target plus 30"
    assert abs(other / found - 1) < 0.05, message
    for factor, enough in ((1.2, True), (1 / 1.2, False)):
        net = draw_weights(shape, factor * found, NEURONS, np.random.default_rng(7))
        c = ridge(features(shape, TRAIN, *net), y(TRAIN), ALPHA)
        gap = features(shape, TEST, *net) @ c - y(TEST)
        error = np.sqrt((gap**2).mean()) / y(TEST).std()
        message = f"{shape}, k = {k}: at {factor:.2f} times {found:.2f} the error is {error:.3f}"
        assert (error < level) == enough, message
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: an error in the units of f, so that a larger target seems harder.
def smallest_range(f, level, shape, lowest=1.0, highest=128.0, seed=0):
    def fitted(reach):
        net = draw_weights(shape, reach, NEURONS, np.random.default_rng(seed))
        c = ridge(features(shape, TRAIN, *net), f(TRAIN), ALPHA)
        return np.sqrt(((features(shape, TEST, *net) @ c - f(TEST)) ** 2).mean()) < level

    if fitted(lowest):
        return lowest
    if not fitted(highest):
        return np.nan
    low, high = lowest, highest
    while high > 1.01 * low:
        middle = np.sqrt(low * high)
        low, high = (low, middle) if fitted(middle) else (middle, high)
    return high


# %% tags=["wrong"]
# Wrong: takes it for granted that the upper end suffices, and returns it where nothing does.
def smallest_range(f, level, shape, lowest=1.0, highest=128.0, seed=0):
    def fitted(reach):
        net = draw_weights(shape, reach, NEURONS, np.random.default_rng(seed))
        c = ridge(features(shape, TRAIN, *net), f(TRAIN), ALPHA)
        gap = features(shape, TEST, *net) @ c - f(TEST)
        return np.sqrt((gap**2).mean()) < level * f(TEST).std()

    if fitted(lowest):
        return lowest
    low, high = np.log(lowest), np.log(highest)
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if fitted(np.exp(middle)) else (middle, high)
    return float(np.exp(high))


# %% [markdown] tags=["open"]
# - The law is written down so exactly that somebody else could draw from it, uses inputs alone, and is fixed before its error on the bumps is seen. (1 point)
# - The opponent is the best of a ladder of uniform ranges that is fine and wide enough to show the whole U; as it is chosen by its error, it is chosen on other draws
#   than those on which the two are compared. (1 point)
# - Price, neurons and points are the same for both, there are ten draws or more, and the comparison is of logarithms of errors with an interval over draws. (1 point)
# - It is asked why: another target, for which the law should not help, and inputs that lie unevenly, since on an even grid differences of inputs know nothing of the
#   bumps. (1 point)
#
# Typical mistakes: a scale of the law tuned on the bumps, which is a look at $y$; the law and $\alpha$ changed together; a comparison at the error of one lucky draw;
# forgetting to draw the shifts so that ridges lie on the domain, which leaves fewer neurons than are counted.

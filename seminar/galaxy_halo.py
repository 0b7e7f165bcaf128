# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 4
#     uses: [setup, haloes, world]
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# A learner that answers with one value answers with a mean, and a population of means is too narrow by exactly what the features leave open. Two runs with different seeds measure one part of that gap, the seed's, and nothing else: whatever both runs share cancels in their
# difference. So the pairs are a fine diagnosis (is there anything beyond the seed?) and an incomplete repair, which adds back the seed alone.
#
# ## Where students stumble
#
# - *"A better forest would not be too narrow."* It would still be. Equation (2) holds for the perfect learner, and the second term is not its fault.
# - *The $\sqrt2$.* A difference of two runs contains two noises. Without the division the painted galaxies are too varied, which looks like a success to somebody who only wanted more spread.
# - *Pairs see the hidden state but do not give it back.* Both halves of the sentence have to be understood: it is in the product of the two errors, (4), and not in the difference of the two runs, (3).
# - *p values for equal distributions.* With thousands of galaxies every such test rejects. What helps is a yardstick: how far is a second simulated run from the first?
# - *"So the paper's galaxies are right."* Everything here is invented. What was tried is an argument, and that the argument works where its premises hold.
#
# ## The discussion
#
# *Physics or numerics?* The random draws stand for what the simulation cannot resolve, and some of that is hard to predict in nature too. But their number and size are choices of the code. A test: change resolution and scheme, with the seed varied in each. A scatter that stays may
# belong to the physics that was modelled; one that follows the particle number belongs to the method. The chapter's critiques call the question open, and it is.
#
# *What clustering would see.* Whether neighbours err together. The recipe draws each galaxy's noise apart from its neighbours', so anything that galaxies of one surrounding share, beyond what the features say, is lost although every histogram is right. Widths at fixed mass cannot show this, for they pool all places;
# counts in cells or a correlation function can.
#
# *When is it dishonest?* When the painted galaxy is taken for a prediction of that galaxy. Noise makes each single answer worse: the squared error grows by $\operatorname{Var}(\varepsilon)$. It is honest where a population is asked for and this is said; and where the size of the noise comes from a measurement and not
# from the picture that one wished to see.
#
# ## On the board
#
# 1. A halo, two runs, two galaxies: $y^A=f+\varepsilon^A$, $y^B=f+\varepsilon^B$. Let them say what cancels in the difference. Then put $h$ into $f$ and ask again.
# 2. One bar for the variance of $y$, cut into three: *learnt*, *missed* (hidden or not learnt), *seed*. Underneath, which parts are in the forest's galaxies (first), in its squared error (second, third), in $\tfrac12\operatorname{Var}(y^A-y^B)$ (third), in the mean product of errors (second).
# 3. $F=1+\dfrac{\text{missed}}{\text{seed}}$. Matched noise fills the third part of the bar, residuals fill the second and third. Which recipe needs two runs, and which can tell the parts apart?
# 4. Two axes, stellar mass and star formation: a thin line (forest), a tilted cloud (truth), a cloud less tilted (four noises drawn apart). Why must a row be lent whole?
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of the figures with the hidden state and size. The short exercise takes 20 minutes, the coding one 30, the open one a day. The chapter's `quick` run takes less than a minute.

# %% [markdown] tags=["short"]
# In $y^A-y^B=\varepsilon^A-\varepsilon^B$ the term $f(x,h)$ has gone, whatever $h$ is; two independent noises of equal variance give $2\operatorname{Var}(\varepsilon)$. For a forest that has not seen the halo, $\mathbb E[(y^A-g)^2]=\mathbb E[(f(x,h)-g)^2]+\operatorname{Var}(\varepsilon)$, which also contains what is
# hidden and what was not learnt (1 point).
#
# In (4), $\mathbb E[(y^A-g)(y^B-g)]=\mathbb E[(f-g)^2]+\mathbb E[\varepsilon^A(f-g)]+\mathbb E[\varepsilon^B(f-g)]+\mathbb E[\varepsilon^A\varepsilon^B]$, and the second term is zero only if $g$ knows nothing of $\varepsilon^A$. In training the forest has averaged the very galaxy into its answer: if its weight there is $w$, so that
# $g=g_0+w\,\varepsilon^A$, the product becomes $\mathbb E[(f-g_0)^2]-w(1-w)\operatorname{Var}(\varepsilon)$. $F$ is too small, and may fall below 1. For leaves of one galaxy $w=1$ and $g=y^A$: then $F$ is exactly 1, for a learner that has learnt the noise by heart (1 point).

# %% [markdown] tags=["task"]
# Here `pairs` are the differences $y^A-y^B$ *as they are*, so that what (3) says is left to you. As in the paper's recipe, a donor lends all its numbers together, with a random sign. Of haloes that were not painted, `pairs` and `donor_mass` below have the
# differences and masses; `g` and `mass` belong to the haloes of ten regions that the forest has not seen.

# %% tags=["given"]
dice = np.random.default_rng(1)
small = catalogue(dice, 200)  # an invented universe without a hidden state
painted = dice.permutation(40)[small.region] < 10
forest = ExtraTreesRegressor(30, min_samples_leaf=5, random_state=1)
forest.fit(small.x[~painted], small.a[~painted])
g, mass = forest.predict(small.x[painted]), small.m[painted]
pairs, donor_mass = (small.a - small.b)[~painted], small.m[~painted]


def widths_and_tie(galaxies):
    """Standard deviations (4,) at fixed mass, and correlation of stellar mass and SFR.

    `galaxies` is a list of populations (n, 4) of the painted haloes; their covariances about a line
    in mass are averaged, in each bin of 0.3 dex with at least 100 haloes.
    """
    index, sd, tie = np.floor(mass / 0.3), [], []
    for place in np.unique(index):
        x = mass[index == place] - mass[index == place].mean()
        if len(x) < 100:
            continue
        total = 0
        for y in galaxies:
            z = y[index == place] - y[index == place].mean(0)
            z = z - np.outer(x, x @ z / (x @ x))
            total = total + z.T @ z / (len(x) - 2) / len(galaxies)
        sd.append(np.sqrt(np.diag(total)))
        tie.append(total[0, 1] / (sd[-1][0] * sd[-1][1]))
    return np.array(sd), np.mean(tie)


true_sd, true_tie = widths_and_tie([small.a[painted], small.b[painted]])


# %% tags=["solution"]
def inject(g, mass, pairs, donor_mass, k, rng):
    """Predictions with the noise that re-run galaxies in haloes of like mass lend them.

    Parameters
    ----------
    g : numpy.ndarray, (n, p)
        Predictions. Must not be changed.
    mass : numpy.ndarray, (n,)
        Masses of their haloes.
    pairs : numpy.ndarray, (m, p)
        Differences of two runs, for the galaxies of m donors.
    donor_mass : numpy.ndarray, (m,)
        Masses of the donors' haloes, in no order.
    k : int
        Each halo draws one of the k donors nearest in mass, all equally likely; if there are fewer
        than k, one of all.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, (n, p)
    """
    ### BEGIN SOLUTION
    order = np.argsort(donor_mass)
    k = min(k, len(order))
    first = np.searchsorted(donor_mass[order], mass) - k // 2
    first = np.clip(first, 0, len(order) - k)
    donor = order[first + rng.integers(k, size=len(mass))]
    sign = rng.choice([-1, 1], (len(mass), 1))
    return g + sign * pairs[donor] / np.sqrt(2)
    ### END SOLUTION


# %% tags=["example"]
print(inject(g, mass, pairs, donor_mass, 100, np.random.default_rng(2))[:2].round(2))

# %% tags=["tests"] points=2
rng, before = np.random.default_rng(3), g.copy()
populations = [inject(g, mass, pairs, donor_mass, 100, rng) for _ in range(6)]
assert np.array_equal(g, before), "the predictions that were given have changed"
assert populations[0].shape == g.shape, f"the shape is {populations[0].shape}, not {g.shape}"
sd, tie = widths_and_tie(populations)
width = (sd / true_sd).mean(0)
for name, value in zip(["stellar mass", "SFR", "metallicity"], width, strict=False):
    assert 0.93 < value < 1.05, f"relative width of {name} at fixed mass: {value:.3f}"
assert abs(tie - true_tie) < 0.05, (
    f"correlation of stellar mass and SFR at fixed mass: {tie:.3f} instead of {true_tie:.3f}"
)

# %% tags=["tests"] points=2
# Donors that can be told by what they lend: number i lends i, 2i, 3i, 4i.
rank = rng.permutation(300)
lent, light = np.outer(np.arange(1, 301), [1.0, 2, 3, 4]), 10 + rank / 150
empty, at = np.zeros((2000, 4)), rng.uniform(10, 12, 2000)
noise = inject(empty, at, lent, light, 20, rng) * np.sqrt(2)
assert np.allclose(noise, noise[:, :1] * [1, 2, 3, 4]), (
    "a galaxy's numbers come from several donors"
)
number = np.abs(noise[:, 0])
assert np.allclose(number, number.round()) and 0.5 < number.min() and number.max() < 300.5, (
    f"not what a donor lends: {np.unique(number)[:3]} instead of whole numbers from 1 to 300"
)
### BEGIN HIDDEN TESTS
used = rank[number.round().astype(int) - 1]
far = np.abs(used - 150 * (at - 10)).max()
assert far <= 21, f"with k = 20 a donor was used that is {far:.0f} places away in the order of mass"
assert abs(np.mean(noise[:, 0] > 0) - 0.5) < 0.1, "the sign is not random"
for middle, k, count in ((11.0, 20, 20), (10.0, 20, 20), (13.0, 7, 7), (11.0, 1000, 300)):
    many = np.zeros((100 * count, 4))
    noise = inject(many, np.full(len(many), middle + 0.001), lent, light, k, rng)
    _, often = np.unique(np.abs(noise[:, 0]).round(6), return_counts=True)
    assert len(often) == count, f"k = {k} of 300 donors: {len(often)} are used, not {count}"
    assert 40 < often.min() and often.max() < 170, f"k = {k}: donors are not equally likely"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: looks the mass up among donors that are not in order, so that any donor may come out.
def inject(g, mass, pairs, donor_mass, k, rng):
    k = min(k, len(donor_mass))
    first = np.searchsorted(np.sort(donor_mass), mass) - k // 2
    donor = np.clip(first, 0, len(donor_mass) - k) + rng.integers(k, size=len(mass))
    return g + rng.choice([-1, 1], (len(mass), 1)) * pairs[donor] / np.sqrt(2)


# %% tags=["wrong"]
# Wrong: forgets that a difference of two runs contains two noises.
def inject(g, mass, pairs, donor_mass, k, rng):
    order = np.argsort(donor_mass)
    k = min(k, len(order))
    first = np.clip(np.searchsorted(donor_mass[order], mass) - k // 2, 0, len(order) - k)
    donor = order[first + rng.integers(k, size=len(mass))]
    return g + rng.choice([-1, 1], (len(mass), 1)) * pairs[donor]


# %% [markdown] tags=["open"]
# - *Improves* is made a number before the first run: widths, a correlation and a distance to a second simulated run, on regions that neither purchase has touched. (1 point)
# - It is said what either purchase is used for (new regions to train on and as a pool of residuals; re-runs as pairs, or averaged with the first run as a quieter target), and both get the best use that was thought of. (1 point)
# - Both arms are run on the same invented catalogues over a grid of hidden states; the contrast is paired and has an interval over catalogues, and the flip is given as a range, or as not found. (1 point)
# - The result is explained by what each can know: re-runs say more about the seed and nothing about $h$; new regions shrink what was not learnt. The floor ratio is used to tell which of the two was lacking. (1 point)
#
# Typical mistakes: haloes in place of regions set aside for the test; a flip read off the crossing of two curves from one catalogue; re-runs judged by the number of pairs alone, when a mean of two runs would also have trained the forest better.

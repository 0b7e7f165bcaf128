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
# That some starts are better than others over many pictures, and that one start is best for every picture, are two statements. Means over many pictures can rank starts almost without error although the start explains a tenth of what happens in a single one.
# And a search that gains must be held against rivals that need none of its effort: the wrong truths, the calmest start, the origin.
#
# ## Where students stumble
#
# - *"The ranks agree, so one start suits all."* Rank correlation is about means, the share about single pictures. Both numbers stand in the chapter, and they are far apart (c2, c2b).
# - *"The gain on the reference pictures."* The best of many was picked in part for its luck there. Only pictures that had no say in the choice may judge it.
# - *"c3 holds, so the truth was needed."* Reference pictures with the truths of others choose a start that gains as well, and so does a choice without truths (x2). What the right truths add is a claim of its own.
# - *The origin as a lucky draw.* It is where the normal density is highest and where no draw ever falls. Density and probability are taken for one another here more than anywhere else in the chapter.
# - *Lower error taken for a better picture.* Squared error likes the average of all guesses, which is blurred. Whether that is better is a question to the user, not to the data.
#
# ## The discussion
#
# *Removed or hidden?* Hidden. Two runs now give the same picture, which is worth something. But the start was drawn once, another laboratory would have fixed another, and what the blurred picture leaves open it still leaves open. One guess is shown each time as though it were the only one.
#
# *Average or sharp guess?* Who measures in the picture or pays for squared errors wants the average, whose blur says honestly what is not known. Who looks at it, or hands it to a program made for sharp pictures, wants one sharp guess; who has to decide something wants several. No picture is best at both: distortion and naturalness pull apart
# (the perception-distortion trade-off of Blau and Michaeli, 2018).
#
# *A lucky seed.* It is the same operation, the least of $K$ draws. What makes it method and not luck is that the choice is declared, the number of candidates told, and the chosen one judged on pictures and by a judge without a part in the choice. A seed chosen on the benchmark that is then reported lacks the third. What stays open even here: a start
# may suit this judge's taste, as calm starts suit judges who forgive blur.
#
# ## On the board
#
# 1. One blurred digit, three starts, three sharp digits. Then one start and three pictures. Ask which of the two the paper fixes.
# 2. A table of starts and pictures: column means are $\mu_i$, row means give $a_k$, what remains is $e_{ki}$. Over $R$ pictures the row means carry noise of variance $\operatorname{Var}(e)/R$, so that their reliability is $\dfrac{s}{s+(1-s)/R}$, with $s$ the share of (4). For $s=0.1$ and $R=160$ this is 0.95. Leave it on the board.
# 3. Equation (5) as a parabola over the length of the push $|Ax_T|$, lowest at 0; below it the lengths of random starts in 64 dimensions, a narrow heap near 8. The search picks the left edge of the heap.
# 4. The least of $K$ noisy row means: mark truth and luck in it. New pictures keep the first and draw the second anew.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty of board, twenty of discussion, ten for the last two figures. The short exercise takes 15 minutes, the coding one 25, the open one a day. The chapter's `quick` run takes about a minute and a half.

# %% [markdown] tags=["short"]
# With $h=m+Ax_T$ the error is $|m+Ax_T-x|^2=|m-x|^2-2(x-m)^\top Ax_T+|Ax_T|^2$. Given $y$ the truth has mean $m$, so that the middle term is zero on average and $\mathbb E|m-x|^2+|Ax_T|^2$ remains; it is least where $Ax_T=0$, at the origin, and only there if $A$ has an inverse
# (1 point).
#
# $|x_T|^2$ is a sum of 64 squares of standard normal numbers, with mean 64 and standard deviation $\sqrt{128}\approx11.3$: a start has a length near 8 (95 % between 6.6 and 9.4), and even half of that is never seen, although the density is highest at the origin. Starts shrunk to `bc_scale` $=s$ have $s^2|Ax_T|^2$ in place of the last term, so in
# this world the squared error falls all the way to $s=0$ and the search has ever less to choose from. The price is variety: such pictures are no draws from the law of sharp ones (1 point).

# %% [markdown] tags=["task"]
# `choose` and `gain` are a line each and are given in the form that is used here: $q$ are distances, small is good, and a gain is a difference below zero. What is checked is `cross_fitted`. `world` makes the $Q_{ki}=a_k+e_{ki}$ of the exercise; the mean of $a$ is zero.

# %% tags=["given"]
import numpy as np


def choose(q_reference):
    """Number of the start with the least mean distance, by q (starts, pictures)."""
    return q_reference.mean(1).argmin()


def gain(q_test, k):
    """Mean distance of start k, less that of all starts on the same pictures."""
    return q_test[k].mean() - q_test.mean()


def world(rng, starts=30, pictures=40):
    """True values a (starts,), and distances q (starts, pictures)."""
    a = 0.1 * rng.normal(size=starts)
    a -= a.mean()
    return a, a[:, None] + rng.normal(size=(starts, pictures))


# %% tags=["solution"]
def cross_fitted(q, part):
    """The gain of a search, with every picture judging a choice in which it had no say.

    Parameters
    ----------
    q : numpy.ndarray, (starts, pictures)
        Distances. Must not be changed.
    part : numpy.ndarray, (pictures,)
        A whole number for each picture; pictures with equal numbers are one part. At least two
        parts, which may differ in size.

    Returns
    -------
    float
        For each part a start is chosen by the pictures of all other parts; every picture counts
        the same in the mean.
    """
    ### BEGIN SOLUTION
    total = 0.0
    for number in np.unique(part):
        held = part == number
        total += held.sum() * gain(q[:, held], choose(q[:, ~held]))
    return total / len(part)
    ### END SOLUTION


# %% tags=["example"]
a, q = world(np.random.default_rng(1))
print(a.min(), gain(q, choose(q)), cross_fitted(q, np.arange(40) % 4))

# %% tags=["tests"] points=2
q = np.array([[5.0, 1, 4, 2], [3, 3, 3, 3], [4, 2, 2, 4]])
before, value = q.copy(), cross_fitted(q, np.array([0, 1, 1, 0]))
assert np.array_equal(q, before), "the distances that were given have changed"
# Numbered from 0: pictures 1, 2 choose start 2 for pictures 0, 3; these choose start 1 for 1, 2.
assert abs(value - 0.5) < 1e-9, f"expected (4 + 4 + 3 + 3) / 4 - 3 = 0.5, got {value}"

# %% tags=["tests"] points=2
rng, part = np.random.default_rng(2), np.arange(40) % 4
naive, fitted, true_naive, true_fitted = [], [], [], []
for _ in range(400):
    a, q = world(rng)
    naive.append(gain(q, choose(q)))
    true_naive.append(a[choose(q)])
    fitted.append(cross_fitted(q, part))
    true_fitted.append(np.mean([a[choose(q[:, part != p])] for p in range(4)]))
flattery = np.mean(true_naive) - np.mean(naive)
assert flattery > 0.1, "the naive gain should be too good; were choose or gain changed?"
error = np.mean(fitted) - np.mean(true_fitted)
assert abs(error) < 0.03, (
    f"over 400 worlds the estimate is off by {error:.3f} on average, the naive one by {-flattery:.3f}"
)
### BEGIN HIDDEN TESTS
hard = np.array([9.0, 0, 0, 0, 0])  # one picture is harder for all starts
q = hard + np.array([[1.0, 0, 0, 0, 0], [0, 1, 1, 1, 1]])
value = cross_fitted(q, np.array([7, 3, 3, 3, 3]))
assert abs(value - 0.5) < 1e-9, (
    f"parts of 1 and 4 pictures, each misled by the other: {value}, not 0.5"
)
q = np.random.default_rng(3).normal(size=(6, 31)) + np.linspace(0, 3, 31)
for part in (np.arange(31), np.arange(31) // 4 - 2, np.repeat([5, 1, 2], [20, 10, 1])):
    expected = 0.0
    for i in range(31):
        k = q[:, part != part[i]].mean(1).argmin()
        expected += (q[k, i] - q[:, i].mean()) / 31
    value = cross_fitted(q, part)
    sizes = np.unique(part, return_counts=True)[1]
    assert abs(value - expected) < 1e-9, (
        f"parts of {sizes} pictures: {value:.4f}, not {expected:.4f}"
    )
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: takes the mean over parts, so that pictures of a small part count more.
def cross_fitted(q, part):
    return np.mean([gain(q[:, part == p], choose(q[:, part != p])) for p in np.unique(part)])


# %% tags=["wrong"]
# Wrong: judges part by part, but chooses by all pictures, those of the part included.
def cross_fitted(q, part):
    gains = [gain(q[:, part == p], choose(q)) * np.sum(part == p) for p in np.unique(part)]
    return sum(gains) / len(part)


# %% [markdown] tags=["open"]
# - Both judges are written down as functions of two pictures, with the reason why one should make starts and pictures interact and the other punish blur; they are settled on models that do not enter the result. (1 point)
# - The share of (4) is given with an interval over models, and beside it what renumbered starts give, and a network that ignores the picture. (1 point)
# - The judge that punishes blur is itself tried: the truth comes out best, the truth blurred comes out worse, and so does the truth with noise added, since otherwise it only likes noise. Then origin, chosen start and random starts are compared. (1 point)
# - For each judge it is said what *optimal* means: least mean of what, over which pictures, among which starts; and what no single start can win, namely all but the share. (1 point)
#
# Typical mistakes: a judge that is noisy in itself, so that its interaction is that noise; settings turned until the origin loses on the pictures that are reported; the best start of each picture in place of one start for all, without a word on the truths that this takes.

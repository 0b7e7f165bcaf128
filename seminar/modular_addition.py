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
# A network that is trained on a clock's sums writes waves into its weights, and no neuron knows an answer: evenly spread phases let everything cancel but a peak on the
# sum and two ghosts. Which wave a neuron gets is settled by its first weights, and can be named beforehand. The clean picture is an idealisation that stripping
# restores; the trained network still carries small waves, and they do work.
#
# ## Where students stumble
#
# - *"Seventy per cent on hidden pairs: it generalises."* It cannot tell $(x,y)$ from $(y,x)$. Novel pairs alone show understanding, and they start from nothing.
# - *"The ghosts of the stripped network stand at one half, as predicted."* This is an identity for one wave a neuron, whatever the phases. The findings are the $R^2$
#   of the fit and the accuracy, which redrawn phases destroy.
# - *Mean $\cos D$ was well above 0 before training.* The neurons are read at the frequency that is leading in the end, and a well-aligned one had better odds to lead:
#   a selection, not a memory.
# - *Locked and pure are taken for one thing.* The phases lock early; pruning to one wave is slow and unfinished (c1 beside c1b).
# - *A lottery means chance.* It means that the draw decides. The tickets, magnitude *and* phase, are known before the first step, and (4) reads them (c4); either of
#   the two alone reads them worse.
#
# ## The discussion
#
# *Explained, though a number is missed?* Two questions in one. That the waves add by (3) is as well explained as one may wish: strip the rest, and it still adds; spoil
# the phases, and it does not. Why the trained network puts its ghosts where it does is not explained, since the small waves are not in the idealisation. An honest
# sentence names the part: "this mechanism suffices for the answers, and for most of the stripped network's logits". What the small waves are for is open, and the third
# exercise is a way to ask.
#
# *A cause, if rounding can replace it?* Yes. With the same split and the same first weights decay changes the outcome (c6), and nothing more is asked of a cause. That
# another one may do the same speaks against "necessary", which is c6b, and not against "cause". It also hints at what to look for: something that keeps the weights
# moving when the loss has nothing left to say. Where c6b and x2 were judged is said on the page; they need the long runs.
#
# *Another null for an IPR.* Random weights ask whether training did anything. Networks trained on shuffled sums ask whether *addition* did: they learn by heart as
# well, and in the salmon no neuron becomes pure and the phases do not lock. A third null changes the ruler: read the same weights in a random orthogonal basis in place
# of the waves. If the IPR stayed high there, it would say nothing about waves.
#
# ## On the board
#
# 1. A clock with $p$ hours and one wave round it. $(\cos a+\cos b)^2=4\cos^2\frac{a-b}2\cos^2\frac{a+b}2$, times $\cos(\omega j+2\varphi)$. Average over $\varphi$:
#    (3).
# 2. Sum over frequencies: $\sum_k\cos\omega_kt$ is $(p-1)/2$ at $t=0$ and $-\frac12$ elsewhere. One peak of height one, at $x+y$; two of one half, at $2x$ and $2y$.
# 3. Four phases as the corners of a square: $e^{2i\varphi}$ cancels, $e^{4i\varphi}$ does not, and a second peak as high as the first stands on $-(x+y)$. Ask for
#    accuracy: about one half. Three phases would do for squares.
# 4. (4) with everything real: $\dot\alpha=2\alpha\beta$, $\dot\beta=\alpha^2$. Whoever is larger grows faster, and is infinite first. Now turn the phase: for
#    $\cos D<0$ it first shrinks.
# 5. A square of pairs, the shown ones filled. Reflect it in the diagonal. What is hidden and has a filled mirror image is free.
#
# ## Time
#
# For 90 minutes: ten of bets, forty of board, twenty of discussion, twenty of verdicts (c1b, c3 beside c3b, c4b). The short exercise takes 15 minutes, the coding one
# 40, the open one a day. The chapter's `quick` run takes under a minute.

# %% [markdown] tags=["short"]
# By (1) the network treats $(x,y)$ and $(y,x)$ alike, so whoever knows a shown pair by heart has its mirror image right as well, although it was hidden. Nothing else
# is known at this point (1 point).
#
# Take a hidden pair. With probability $1-1/p$ it is not on the diagonal and has a mirror image. Of the other $p^2-1$ pairs $sp^2$ are shown, so the mirror image is
# shown with probability $sp^2/(p^2-1)$. Together $s\,\frac p{p+1}$; $s(1-1/p)$ is near enough. For $p=23$ this is 0.72 at $s=0.75$, where the dotted line is, up to the
# luck of the splits, and 0.48 at $s=0.5$ (1 point).

# %% [markdown] tags=["task"]
# `ideal(p, n_phases)` returns the input weights and the output weights, each with a row for every neuron and a column for every number below `p`; the order of neurons
# and one common scale are free. `votes` and `indicator` do the rest: (1) and (5) with its $R^2$. Look at $R^2$ and the accuracy too, not at the ghosts alone: for one
# wave a neuron their height does not depend on the phases.

# %% tags=["given"]
import numpy as np


def votes(theta, xi, activation):
    """Equation (1) for all pairs: (p, p, p), the last axis for answers."""
    z = theta[:, :, None] + theta[:, None, :]
    hidden = z**2 if activation == "square" else np.maximum(z, 0)
    return np.einsum("mj,mxy->xyj", xi, hidden)


def indicator(out):
    """Height of ghosts by equation (5), R2 of the fit, and the share of pairs that are right."""
    p = len(out)
    x, y, j = np.ogrid[:p, :p, :p]
    sure = (out.argmax(2) == (x + y)[..., 0] % p).mean()
    out = (out - out.mean(2, keepdims=True))[(x != y)[..., 0]]  # (pairs, p)
    right, ghost = (x + y - j) % p == 0, ((2 * x - j) % p == 0) | ((2 * y - j) % p == 0)
    right, ghost = (np.broadcast_to(m, (p, p, p))[(x != y)[..., 0]] for m in (right, ghost))
    high, low, rest = (out[m].mean() for m in (right, ghost, ~(right | ghost)))
    fit = np.select([right, ghost], [high, low], rest)
    return (low - rest) / (high - rest), 1 - (out - fit).var() / out.var(), sure


# %% tags=["solution"]
def ideal(p, n_phases):
    """Weights of a network with one neuron for each frequency and each of n_phases phases.

    Parameters
    ----------
    p : int
        Odd modulus; (p - 1) / 2 frequencies.
    n_phases : int
        Input phases, equally spaced round the whole circle; the output phase is twice the input phase.

    Returns
    -------
    theta, xi : numpy.ndarray, (neurons, p)
        Input and output weights.
    """
    ### BEGIN SOLUTION
    omega = 2 * np.pi * np.arange(1, (p + 1) // 2) / p
    phase = 2 * np.pi * np.arange(n_phases) / n_phases
    omega, phase = (v.reshape(-1, 1) for v in np.meshgrid(omega, phase))
    return np.cos(omega * np.arange(p) + phase), np.cos(omega * np.arange(p) + 2 * phase)
    ### END SOLUTION


# %% tags=["example"]
for activation in ("square", "relu"):
    print(activation, indicator(votes(*ideal(23, 8), activation)))

# %% tags=["tests"] points=1
theta, xi = ideal(23, 8)
message = f"11 frequencies, 8 phases, p = 23: shapes {theta.shape} and {xi.shape}, not (88, 23)"
assert theta.shape == xi.shape == (88, 23), message
for activation, wanted in (("square", 0.5), ("relu", 0.3354)):
    ghosts = indicator(votes(theta, xi, activation))[0]
    assert abs(ghosts - wanted) < 0.0005, f"{activation}: ghosts of {ghosts:.4f}, not {wanted}"

# %% tags=["tests"] points=1
sure = indicator(votes(*ideal(23, 8), "square"))[2]
assert sure == 1, f"squares, 8 phases: only {sure:.3f} of the pairs are right"

# %% tags=["tests"] points=2
assert ideal(13, 5)[0].shape == (30, 13), f"p = 13, 5 phases: shape {ideal(13, 5)[0].shape}"
### BEGIN HIDDEN TESTS
for p, n_phases, activation, low, high in (
    (23, 8, "square", 0.9999, 1.0001),
    (23, 8, "relu", 0.975, 1.0001),
    (13, 5, "square", 0.9999, 1.0001),
    (13, 5, "relu", 0.98, 1.0001),
    (23, 4, "square", 0.49, 0.51),
):
    _, r2, sure = indicator(votes(*ideal(p, n_phases), activation))
    message = f"p = {p}, {n_phases} phases, {activation}: R2 is {r2:.4f}, not {low} to {high}"
    assert low < r2 < high, message
    assert n_phases == 4 or sure == 1, f"p = {p}, {n_phases} phases, {activation}: {sure:.3f} right"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: counts 0 and the full circle as two phases, so that one phase votes twice.
def ideal(p, n_phases):
    theta, xi, j = [], [], np.arange(p)
    for k in range(1, (p + 1) // 2):
        for phase in np.linspace(0, 2 * np.pi, n_phases):
            theta.append(np.cos(2 * np.pi * k * j / p + phase))
            xi.append(np.cos(2 * np.pi * k * j / p + 2 * phase))
    return np.array(theta), np.array(xi)


# %% tags=["wrong"]
# Wrong: phases over half of the circle, which is enough for squares but not for max(z, 0).
def ideal(p, n_phases):
    theta, xi, j = [], [], np.arange(p)
    for k in range(1, (p + 1) // 2):
        for phase in np.pi * np.arange(n_phases) / n_phases:
            theta.append(np.cos(2 * np.pi * k * j / p + phase))
            xi.append(np.cos(2 * np.pi * k * j / p + 2 * phase))
    return np.array(theta), np.array(xi)


# %% [markdown] tags=["open"]
# - The change and the reason why it should move the ghosts are written down before the last run, with the size of a move that would count and with what would be a no.
#   (1 point)
# - A plain network with the same first weights and as many steps stands beside it, in five seeds or more, with differences within a seed; longer training alone is a
#   third arm. (1 point)
# - Beside the ratio stand the $R^2$ of its fit, the share of pure neurons, and the accuracy, so that a ratio of one half that means nothing is recognised. (1 point)
# - The explanation is tested by an intervention: strip the small waves, wholly or in part, or put them back, and see whether the ghosts follow. (1 point)
#
# Typical mistakes: the stripped network measured in place of the trained one; "label smoothing works" where it only slowed the training, or the reverse; several
# changes tried and the best one reported without their number.

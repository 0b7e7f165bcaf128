# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 4
#     uses: []
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# Errors grow with chaos across more than a hundred systems, and the interval is far from zero. Series with the same spectra and no chaos at all give a correlation as well, so the finding does not mean what it seems to mean. A correlation needs two companions before it is an
# explanation: a case in which the supposed cause is absent (surrogates), and one in which nothing else is present (the perfect model).
#
# ## Where students stumble
#
# - *"x1 came out open, so chaos does not matter."* An interval that contains nought is no evidence for nought. And an excess of correlation is only one way in which chaos could show: surrogates lose determinism too, and their errors are higher than those of real series (first figure).
# - *The unit.* $\lambda_1$ is a rate in the time of the equation, which is arbitrary. Whoever compares systems by it compares clocks; the short exercise is about nothing else.
# - *Two ways to judge a difference.* That one correlation's interval excludes nought and the other's does not is no comparison of the two. The chapter resamples systems once and computes both on the same draw.
# - *$\Lambda$ belongs to the attractor, the error to a start.* Two periods from one point sample the local growth of errors; even the perfect model does not reach a correlation of one (x3).
# - *What a surrogate keeps.* Spectrum and autocorrelation, but not the histogram: where many frequencies matter, a sum of waves with random phases is nearly Gaussian, whatever the series was.
#
# ## The discussion
#
# *Interpretable?* Each system comes with a number that means something, which a pile of series from shops and hospitals does not have; in this sense yes. But the number is measured, not set, and varies together with others. What would help: change $\Lambda$ within one system and hold the spectrum,
# or report each score beside that of its surrogates. Press the class on the word *confounded*: a broad spectrum is in part an effect of chaos, so that some of the way from chaos to error may lead through it. Then the surrogates do not show that chaos is innocent, only that one need not be chaotic to be hard. Which
# of the two readings holds cannot be settled by correlations over systems.
#
# *Nineteen of one author.* Something between one and nineteen, and it depends on the question. If any two of them resembled one another with a correlation of 0.5 in what is studied, $19/(1+18\cdot0.5)=1.9$. The chapter takes the cautious end, one family one vote, and asks that c1 holds there too. Beyond this stays the selection: systems
# were published because their chaos was new, and no resampling undoes that.
#
# ## On the board
#
# 1. Two orbits that part: the logarithm of their distance against time in periods, a straight line of slope $\Lambda$, then a ceiling, the size of the attractor. Write $\delta(h)\approx\min(\delta e^{\Lambda h},\text{size})$ beside it.
# 2. Short and long horizons as two vertical lines in the picture. Far left all errors are still small, whatever $\Lambda$; far right all have hit the ceiling. Only in between can chaos order the systems (exercise 3).
# 3. Three words, *chaos*, *spectrum*, *error*, with arrows from chaos to the other two and from spectrum to error. A surrogate cuts which arrows? The perfect model leaves which?
# 4. Three columns: real series, surrogates, perfect model. Bets on the rank correlation of error and $\Lambda$ in each, then the right half of the second figure.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty-five of board, fifteen of discussion, ten of the verdicts x1 to x3 on the page. The short exercise takes 5 minutes, the coding one 25, the open one a day. The chapter's `quick` run takes about half a minute.

# %% [markdown] tags=["short"]
# Both have $\Lambda=\lambda_1T=10$ nats a period. Two periods ahead an error has grown by $e^{20}\approx5\cdot10^8$ in either, so by (2) they are equally hard, and in practice hopeless (1 point).
#
# Two units of time are a fifth of a period of the first system, where errors grow by $e^2\approx7.4$, and two periods of the second, $e^{20}$. Now the second is far harder. Neither $\lambda_1$ nor $\Lambda$ alone says how hard a forecast is: the horizon must be in the same unit (1 point).

# %% [markdown] tags=["task"]
# Formula (3) with some care: which frequencies may turn freely if the result is to be real? The answer is not the same for even and odd lengths. Look up the conventions of your Fourier transform; the mean of the series is to stay what it was.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def phase_surrogate(x, rng):
    """A series with the amplitudes of x at all frequencies, and new phases.

    Parameters
    ----------
    x : numpy.ndarray, (n,)
        Real, of any length from 1. Must not be changed.
    rng : numpy.random.Generator
        All phases come from it: independent, and uniform on the circle.

    Returns
    -------
    numpy.ndarray, (n,)
        Real, with the mean of x.
    """
    ### BEGIN SOLUTION
    f, free = np.fft.rfft(x), (len(x) - 1) // 2  # neither frequency 0 nor, if n is even, the last
    f[1 : free + 1] *= np.exp(2j * np.pi * rng.random(free))
    return np.fft.irfft(f, len(x))
    ### END SOLUTION


# %% tags=["example"]
wave = np.sin(np.arange(12))
print(np.round(phase_surrogate(wave, np.random.default_rng(1)), 2))

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
x = np.cumsum(rng.normal(size=501)) + 3
before, s = x.copy(), phase_surrogate(x, rng)
assert np.array_equal(x, before), "the series that was given has changed"
assert np.shape(s) == (501,), f"501 samples went in, the result has the shape {np.shape(s)}"
assert np.isrealobj(s), f"the result must be real, it is {np.asarray(s).dtype}"
ratio = np.abs(np.fft.fft(s)) / np.abs(np.fft.fft(x))
assert np.abs(ratio - 1).max() < 1e-10, (
    f"amplitudes differ by {np.abs(ratio - 1).max():.2g} at frequency {np.abs(ratio - 1).argmax()}"
)
noise = rng.normal(size=1000)
for _ in range(5):
    r = np.corrcoef(noise, phase_surrogate(noise, rng))[0, 1]
    assert abs(r) < 0.3, f"correlation of white noise with its surrogate: {r:.2f}"

# %% tags=["tests"] points=2
again = [phase_surrogate(noise, np.random.default_rng(5)) for _ in range(2)]
assert np.array_equal(*again), "equal generators must give equal surrogates"
### BEGIN HIDDEN TESTS
for n in (1, 2, 3, 4, 9, 64, 1000):
    x = rng.normal(size=n) - 2
    s = phase_surrogate(x, rng)
    assert np.shape(s) == (n,), f"{n} samples went in, the result has the shape {np.shape(s)}"
    assert np.isrealobj(s), f"{n} samples: the result is {np.asarray(s).dtype}, not real"
    ratio = np.abs(np.fft.fft(s)) / np.abs(np.fft.fft(x))
    assert np.abs(ratio - 1).max() < 1e-10, (
        f"{n} samples: amplitudes differ by {np.abs(ratio - 1).max():.2g}"
    )
    assert abs(np.mean(s) - np.mean(x)) < 1e-10, f"{n} samples: the mean has changed"
for n in (15, 16):
    x = rng.normal(size=n)
    many = np.array([phase_surrogate(x, rng) for _ in range(400)])
    turn = (np.fft.fft(many) / np.fft.fft(x))[:, 1 : (n + 1) // 2]  # e^(i phase), (400, 7)
    for power in (1, 2):
        mean = np.abs(np.mean(turn**power, 0))
        assert mean.max() < 0.25, f"{n} samples: phases are not uniform at {1 + mean.argmax()}"
    tied = np.abs(turn.T @ turn.conj() / 400 - np.eye(turn.shape[1])).max()
    assert tied < 0.25, f"{n} samples: phases at different frequencies are not independent"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: turns the last frequency as well; at even lengths it must stay real, and loses amplitude.
def phase_surrogate(x, rng):
    f = np.fft.rfft(x)
    f[1:] *= np.exp(2j * np.pi * rng.random(len(f) - 1))
    return np.fft.irfft(f, len(x))


# %% tags=["wrong"]
# Wrong: phases on half of the circle only.
def phase_surrogate(x, rng):
    f, free = np.fft.rfft(x), (len(x) - 1) // 2
    f[1 : free + 1] *= np.exp(1j * rng.uniform(0, np.pi, free))
    return np.fft.irfft(f, len(x))


# %% [markdown] tags=["open"]
# - The property is defined before any error is looked at and computed from the ten periods to learn from, not from the equations and not from the window that is forecast. (1 point)
# - It is said what *accounted for* means, for instance a rank correlation at given surrogates' error, with that error averaged over several surrogates, since a noisy control leaves part of the confounding in place. (1 point)
# - The interval is over systems, the result is given by families too, and if several properties were tried, they were chosen on one part of the systems and judged on the other. (1 point)
# - There are two controls: the property computed on surrogates, which must not tell their errors once the spectrum is accounted for, and a case in which it must work, such as noise of known size put on the series. (1 point)
#
# Typical mistakes: a property that is itself a forecast error in disguise (that of analogues, say); ten properties and the best one reported; surrogates made from the series with its jump between end and start, so that they are rougher than the original.

"""House style of every figure: sizes, colours and one alphabet of marks.

`style` is the first statement of a figure cell.  The marks then mean the same in every chapter,
drawn in this order: what the null gives (`null_band`), the rule's `threshold`, single `seeds`,
`ours` with its interval (or a `curve` with its ribbon), a `salmon` run, and what the `paper` says.

>>> import matplotlib
>>> matplotlib.use("agg")
>>> style()
>>> fig, ax = plt.subplots()
>>> _ = null_band(ax, -0.1, 0.1)
>>> _ = ours(ax, [1, 2], [0.4, 0.6], [0.3, 0.5], [0.5, 0.7])
>>> _ = paper(ax, [1], [0.5])
>>> plt.close(fig)
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.text import Annotation

WIDE, HALF, THUMB = 7.0, 3.4, (3.2, 1.8)  # inches; 7.0 in are the 672 px of the text column
INK, MUTED, RULE = "#22262b", "#666c74", "#8a8f96"
NULL = ("#8a8f96", 0.3)  # translucent: visible on light and dark paper
CYCLE = ["#0f4c81", "#b8451a", "#00978d", "#a04fb5", "#b38c00"]
VERDICT = {
    "supported": "#1461b2",
    "contradicted": "#8f2d0c",
    "inconclusive": "#3d4147",
    "out_of_scope": "#666c74",
    "fragile": "#876100",
    "salmon": "#b23d77",
}
SEQUENTIAL, DIVERGING = "cividis", "PuOr"

_STYLE = Path(__file__).with_name("seedbook.mplstyle")


def style(photo: bool = False) -> None:
    """Set the house style; the first statement of every figure cell.

    In a notebook, figures come out as SVG at their own size and without a date, so that equal
    figures have equal bytes; rasterised artists have 192 dpi.

    Parameters
    ----------
    photo : bool
        PNG at 192 dpi instead, for photographs and other dense images.

    Notes
    -----
    If the environment variable ``SEEDBOOK_THUMBNAIL`` names a file, the next `plt.show` also writes
    the card picture of the figure (see `thumb`) there, and the variable is removed.
    """
    plt.style.use(["default", _STYLE])
    _set_inline_format(photo)
    file = os.environ.pop("SEEDBOOK_THUMBNAIL", None)
    plt.show = functools.partial(_show_with_thumbnail, file) if file else _show


def ours(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    color: str = CYCLE[0],
    horizontal: bool = False,
    **kwargs: Any,
) -> Line2D:
    """Draw our estimates: filled dots, their 95 % intervals as bars without caps.

    `low` and `high` are the ends of the intervals, in data units; ``horizontal=True`` lays them
    along x.  Without them there are only dots: then the caption must say why.
    """
    if low is not None and high is not None:
        centre = np.asarray(x if horizontal else y, dtype=float)
        ends = np.array([centre - np.asarray(low), np.asarray(high) - centre])
        ends = np.abs(ends).reshape(2, -1)  # (2, n)
        bars = {"xerr" if horizontal else "yerr": ends}
        ax.errorbar(x, y, **bars, fmt="none", ecolor=color, elinewidth=1.6, zorder=3)
    return ax.plot(x, y, "o", color=color, **{"zorder": 4, **kwargs})[0]


def curve(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    **kwargs: Any,
) -> Line2D:
    """Draw our estimates along a curve: a line, and its 95 % interval as a ribbon.

    Colour and dash come from the cycle unless they are given.
    """
    line = ax.plot(x, y, **{"zorder": 3, **kwargs})[0]
    if low is not None and high is not None:
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.15, lw=0, zorder=2)
    return line


def paper(ax: Axes, x: ArrayLike, y: ArrayLike, **kwargs: Any) -> Line2D:
    """Draw the paper's own values: open diamonds in ink."""
    look = {"mfc": "none", "mec": INK, "ms": 5.5, "ls": "none", "zorder": 5}
    return ax.plot(x, y, "D", **{**look, **kwargs})[0]


def null_band(
    ax: Axes, low: float, high: float, horizontal: bool = True, **kwargs: Any
) -> Rectangle:
    """Draw what the null gives: a grey band behind all else, between two values of y (or of x)."""
    span = ax.axhspan if horizontal else ax.axvspan
    return span(low, high, color=NULL, lw=0, zorder=0, **kwargs)


def threshold(ax: Axes, value: float, horizontal: bool = True, **kwargs: Any) -> Line2D:
    """Draw the threshold of the rule: a thin dashed line at a value of y (or of x)."""
    line = ax.axhline if horizontal else ax.axvline
    return line(value, color=RULE, lw=0.8, ls=(0, (4, 3)), zorder=1, **kwargs)


def salmon(ax: Axes, x: ArrayLike, y: ArrayLike, **kwargs: Any) -> Line2D:
    """Draw a salmon run: open left triangles, pink."""
    look = {"mfc": "none", "mec": VERDICT["salmon"], "ms": 5.5, "ls": "none", "zorder": 4}
    return ax.plot(x, y, "<", **{**look, **kwargs})[0]


def seeds(ax: Axes, x: ArrayLike, ys: ArrayLike, color: str = CYCLE[0], **kwargs: Any) -> Line2D:
    """Draw single seeds: short thin ticks behind their mean; `x` is one place or one a seed."""
    look = {"color": color, "alpha": 0.55, "ms": 9, "mew": 1.1, "ls": "none", "zorder": 2}
    return ax.plot(np.broadcast_to(x, np.shape(ys)), ys, "_", **{**look, **kwargs})[0]


def label(ax: Axes, x: float, y: float, text: str, color: str = INK, **kwargs: Any) -> Annotation:
    """Name a line at its end instead of in a legend.

    `xytext` is the offset in points from (x, y), which must lie inside the axes.
    """
    look = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
    return ax.annotate(text, (x, y), color=color, **{**look, **kwargs})


def thumb(fig: Figure) -> Figure:
    """Turn a figure into the picture of a card: words and ticks off, marks kept, 3.2 x 1.8 in."""
    fig.set_size_inches(*THUMB)
    for words in [*fig.texts, *fig.legends]:
        words.set(visible=False, in_layout=False)
    for ax in fig.axes:
        ax.set(title="", xlabel="", ylabel="")
        ax.set_title("", loc="left")
        ax.set_title("", loc="right")
        ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        ax.tick_params(which="both", labeltop=False, labelright=False)
        legend = ax.get_legend()
        for text in [*ax.texts, *([legend] if legend else [])]:
            text.remove()
    return fig


_show = plt.show


def _show_with_thumbnail(file: str, *args: Any, **kwargs: Any) -> Any:
    plt.show = _show
    fig = plt.gcf()
    shown = _show(*args, **kwargs)
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    thumb(fig).savefig(path, metadata=metadata)
    plt.close(fig)
    return shown


def _set_inline_format(photo: bool) -> None:
    """Choose how a notebook shows figures; outside of one nothing is shown inline."""
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        return
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    if photo:
        metadata = {"Software": None}
        set_matplotlib_formats("png", dpi=192, bbox_inches=None, metadata=metadata)
    else:
        set_matplotlib_formats("svg", dpi=192, bbox_inches=None, metadata={"Date": None})

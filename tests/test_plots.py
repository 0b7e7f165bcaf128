"""The marks, the thumbnail of a card, and figures whose bytes do not change."""

import hashlib
import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt
from seedbook import plots


@pytest.fixture(autouse=True)
def house(monkeypatch):
    monkeypatch.delenv("SEEDBOOK_THUMBNAIL", raising=False)
    plots.style()
    yield
    plt.close("all")
    plt.style.use("default")
    plt.show = plots._show


def drawing():
    fig, (ax, other) = plt.subplots(1, 2)
    plots.null_band(ax, -0.1, 0.1)
    plots.threshold(ax, 0.5)
    plots.seeds(ax, 1, [0.3, 0.4, 0.5])
    plots.ours(ax, [1, 2], [0.4, 0.6], [0.3, 0.5], [0.5, 0.7], label="ours")
    plots.salmon(ax, [1, 2], [0, 0])
    plots.paper(ax, [1, 2], [0.5, 0.5])
    plots.label(ax, 2, 0.6, "gain")
    ax.set(title="Gain grows", xlabel="step", ylabel="gain", ylim=(-0.5, 1))
    ax.legend()
    plots.curve(other, [0, 1], [0, 1], [-0.1, 0.9], [0.1, 1.1])
    fig.suptitle("both")
    return fig


def test_svg_bytes_are_stable():
    def svg():
        buffer = io.BytesIO()
        fig = drawing()
        fig.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(fig)
        return buffer.getvalue()

    first = svg()
    assert svg() == first
    assert b"<dc:date>" not in first
    assert len(first) < 64_000


def test_svg_bytes_do_not_depend_on_the_process():
    code = """if True:
        import hashlib, io, matplotlib
        matplotlib.use("agg")
        import matplotlib.pyplot as plt
        from seedbook import plots
        plots.style()
        fig, ax = plt.subplots()
        plots.ours(ax, [1, 2], [3, 4], [2, 3], [4, 5])
        out = io.BytesIO()
        fig.savefig(out, format="svg", metadata={"Date": None})
        print(hashlib.sha256(out.getvalue()).hexdigest())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    fig, ax = plt.subplots()
    plots.ours(ax, [1, 2], [3, 4], [2, 3], [4, 5])
    out = io.BytesIO()
    fig.savefig(out, format="svg", metadata={"Date": None})
    assert done.stdout.strip() == hashlib.sha256(out.getvalue()).hexdigest()


def test_style_is_the_house_style_whatever_was_set_before():
    plt.rcParams["axes.grid"] = True
    plots.style()
    assert not plt.rcParams["axes.grid"]
    assert plt.rcParams["figure.figsize"] == [plots.WIDE, 3.4]
    assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == plots.CYCLE
    assert plt.rcParams["svg.hashsalt"] == "seedbook"


def test_intervals_are_drawn_where_they_lie():
    _, ax = plt.subplots()
    plots.ours(ax, [1, 2], [0.4, 0.6], [0.3, 0.5], [0.6, 0.7])
    segments = ax.collections[0].get_segments()
    np.testing.assert_allclose(segments, [[[1, 0.3], [1, 0.6]], [[2, 0.5], [2, 0.7]]])
    _, ax = plt.subplots()
    plots.ours(ax, 0.4, 1, 0.3, 0.6, horizontal=True)
    np.testing.assert_allclose(ax.collections[0].get_segments(), [[[0.3, 1], [0.6, 1]]])
    _, ax = plt.subplots()
    plots.ours(ax, [1], [2])
    assert not ax.collections


def test_marks_keep_their_order():
    fig = drawing()
    ax = fig.axes[0]
    by_marker = {line.get_marker(): line.get_zorder() for line in ax.lines}
    assert ax.patches[0].get_zorder() < by_marker["_"] < by_marker["o"] < by_marker["D"]


def test_marks_may_be_changed():
    _, ax = plt.subplots()
    assert plots.paper(ax, [1], [1], ms=9).get_markersize() == 9
    assert plots.label(ax, 0.5, 0.5, "a", xytext=(0, 9), va="bottom").get_va() == "bottom"


def test_thumbnail_is_written_once_and_by_show(tmp_path, monkeypatch):
    file = tmp_path / "figures" / "thumbnail.svg"
    monkeypatch.setenv("SEEDBOOK_THUMBNAIL", str(file))
    plots.style()
    assert "SEEDBOOK_THUMBNAIL" not in plots.os.environ
    assert not file.exists()
    drawing()
    plt.show()
    picture = file.read_text()
    assert 'width="230.4pt" height="129.6pt"' in picture  # 3.2 x 1.8 in
    assert "<dc:date>" not in picture
    assert plt.get_fignums() == []
    file.unlink()
    drawing()
    plt.show()
    assert not file.exists()


def test_a_failed_cell_leaves_no_thumbnail_for_the_next(tmp_path, monkeypatch):
    file = tmp_path / "thumbnail.svg"
    monkeypatch.setenv("SEEDBOOK_THUMBNAIL", str(file))
    plots.style()
    plots.style()
    drawing()
    plt.show()
    assert not file.exists()


def test_thumb_takes_words_off_and_keeps_marks():
    fig = drawing()
    lines = len(fig.axes[0].lines)
    plots.thumb(fig)
    assert tuple(fig.get_size_inches()) == plots.THUMB
    ax = fig.axes[0]
    assert ax.get_title("left") == ax.get_xlabel() == ax.get_ylabel() == ""
    assert not ax.texts and ax.get_legend() is None
    assert len(ax.lines) == lines
    fig.canvas.draw()
    assert not any(t.label1.get_visible() for t in ax.xaxis.get_major_ticks())


def test_thumb_drops_the_words_of_the_whole_figure():
    fig = drawing()
    fig.text(0.5, 0.5, "note")
    fig.legend(["one"])
    plots.thumb(fig)
    assert not any(words.get_visible() for words in [*fig.texts, *fig.legends])


def test_notebooks_get_svg_at_its_own_size_and_photos_as_png():
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib_inline.backend_inline import configure_inline_support

    shell = InteractiveShell.instance()
    try:
        configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
        shell.display_formatter.active_types = ["text/plain", "image/svg+xml", "image/png"]

        def bundle():
            return shell.display_formatter.format(drawing())[0]

        plots.style()
        first = bundle()
        assert 'width="504pt"' in first["image/svg+xml"]  # 7 in
        assert "<dc:date>" not in first["image/svg+xml"]
        assert "image/png" not in first
        plots.style(photo=True)
        photo = bundle()
        assert "image/svg+xml" not in photo and "image/png" in photo
        plots.style()
        assert bundle() == first
    finally:
        InteractiveShell.clear_instance()

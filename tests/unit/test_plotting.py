"""Plots of figures over time."""

from mahavishnu.interfaces.cli.metrics.plotting import draw


def test_bars_are_as_high_as_their_figures_and_a_gap_is_empty() -> None:
    assert draw([(0, 4.0), (1, 2.0), (3, 0.0), (4, 3.0)], 5, height=2) == [
        "         4 ┤█   ▄",
        "         0 ┤██ ▁█",
    ]


def test_a_plot_has_any_figures() -> None:
    assert draw([(0, 0.0), (0, 0.0)], 3, height=1) == ["         0 ┤▁"]
    assert draw([(0, -1.0), (1, 1.0)], 2, height=2) == ["         1 ┤ █", "        -1 ┤▁█"]

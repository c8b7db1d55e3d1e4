"""The charts: bars, lines and a heat map, as Plotly figures. Knows no table.

Ground and text follow the page, dark or light; every bar and cell also carries its number, and `alt` says in
words what the chart shows. Called by the pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

# Blue, vermilion, green, purple, grey: told apart by colour-blind eyes, 3 : 1 against white and against black.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#AA4499", "#7F7F7F"]
_MARGIN = {"l": 10, "r": 10, "t": 40, "b": 10}


def bars(title: str, counts: Mapping[str, float], unit: str) -> None:
    """Shows one horizontal bar for each name, the first on top."""
    labels = [f"{value:,.0f}" for value in counts.values()]
    bar = go.Bar(x=list(counts.values()), y=list(counts), orientation="h", text=labels, textposition="auto")
    _show(
        go.Figure(bar), title, unit, "", height=90 + 34 * len(counts), y={"autorange": "reversed", "type": "category"}
    )


def columns(
    title: str, x: Sequence[Any], series: Mapping[str, Sequence[float | None]], unit: str, mode: str = "stack"
) -> None:
    """Shows the series for each x, on top of each other or, by mode ``group``, side by side."""
    figure = go.Figure([go.Bar(x=list(x), y=list(values), name=name) for name, values in series.items()])
    figure.update_layout(barmode=mode)
    _show(figure, title, "", unit, x={"type": "category"})


def lines(title: str, x: Sequence[Any], series: Mapping[str, Sequence[float | None]], labels: tuple[str, str]) -> None:
    """Shows the series over x; ``labels`` name the two axes."""
    mode = "lines+markers" if len(x) <= 200 else "lines"
    figure = go.Figure([go.Scatter(x=list(x), y=list(values), name=name, mode=mode) for name, values in series.items()])
    _show(figure, title, *labels, y={"rangemode": "tozero"})


def heat_map(
    title: str, x: Sequence[Any], y: Sequence[Any], cells: Mapping[tuple[Any, Any], float | None], best: float
) -> None:
    """Shows rows/s for each (x, y), its number inside; None is a cell that failed, a missing one was not measured.

    The colours reach from 0 to ``best``, so that several maps can be compared.
    """
    heat = go.Heatmap(
        x=[str(value) for value in x],
        y=[str(value) for value in y],
        z=[[cells.get((across, down)) for across in x] for down in y],
        texttemplate="%{z:,.0f}",
        colorscale="Cividis",
        zmin=0,
        zmax=best,
        showscale=False,
        hovertemplate="%{x} connections, batches of %{y}: %{z:,.0f}<extra></extra>",
    )
    figure = go.Figure(heat)
    for across, down in (place for place, value in cells.items() if value is None):
        # By position: on an axis of categories a text that looks like a number is taken for one.
        figure.add_annotation(x=list(x).index(across), y=list(y).index(down), text="FAILED", showarrow=False)
    category = {"type": "category"}
    _show(figure, title, "connections", "batch size", height=120 + 60 * len(y), x=category, y=category)


def _show(
    figure: go.Figure,
    title: str,
    across: str,
    up: str,
    height: int = 320,
    x: Mapping[str, Any] | None = None,
    y: Mapping[str, Any] | None = None,
) -> None:
    figure.update_layout(
        title=title,
        colorway=_COLOURS,
        margin=_MARGIN,
        height=height,
        xaxis={"title": across, "automargin": True, **(x or {})},
        yaxis={"title": up, "automargin": True, **(y or {})},
    )
    st.plotly_chart(figure, config={"displaylogo": False}, alt=title)

"""Results -> tables, as text for a terminal, as Markdown and as CSV; computes only averages.

A table is a list of rows; a row is a dict from column to cell, the same columns in every row.
"""
import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from lrp_numpy.evaluation import PixelFlipping
from lrp_numpy.rules import LedgerRow
from lrp_numpy.utils.types import Table

OUTCOMES = ("original", "morf", "lerf")
PAPER_NAMES = ("confidence", "IFRC", "UFRC")    # what the paper calls the three confidences


def paper_numbers(result: PixelFlipping, labels: np.ndarray, chosen: Sequence[int]) -> Table:
    """The paper's table in full precision: one row for each position in `chosen`, then two means.

    result: of N images with the given labels (N,). The row "mean" averages the chosen images, the
    row "all" all N; in these rows the prediction is the accuracy.
    """
    outcomes = [getattr(result, name) for name in OUTCOMES]
    rows = []
    for i in chosen:
        row: dict[str, Any] = {"digit": int(labels[i]), "image": int(i)}
        for name, paper_name, outcome in zip(OUTCOMES, PAPER_NAMES, outcomes):
            row |= {paper_name: float(outcome.confidence[i]),
                    f"margin_{name}": float(outcome.margin[i]),
                    f"prediction_{name}": int(outcome.prediction[i])}
        rows.append(row)
    for title, part in (("mean", list(chosen)), ("all", slice(None))):
        row = {"digit": title, "image": len(labels[part])}
        for name, paper_name, outcome in zip(OUTCOMES, PAPER_NAMES, outcomes):
            row |= {paper_name: float(outcome.confidence[part].mean()),
                    f"margin_{name}": float(outcome.margin[part].mean()),
                    f"prediction_{name}": float(outcome.correct[part].mean())}
        rows.append(row)
    return rows


def paper_cells(numbers: Table) -> Table:
    """The rows of `paper_numbers` rounded for a reader.

    "0.4514 [6]" is a confidence of 0.4514 in the wrong class 6. A row of accuracies follows each
    row of means.
    """
    rows = []
    for row in numbers:
        is_mean = row["digit"] in ("mean", "all")
        cells = {"digit": f"mean of {row['image']:,}" if is_mean else str(row["digit"])}
        accuracy = {"digit": f"accuracy of {row['image']:,}"}
        for name, paper_name in zip(OUTCOMES, PAPER_NAMES):
            prediction = row[f"prediction_{name}"]
            is_wrong = not is_mean and prediction != row["digit"]
            cells[paper_name] = f"{row[paper_name]:.4f}" + f" [{prediction}]" * is_wrong
            accuracy[paper_name] = f"{prediction:.1%}"
        for name, column in zip(OUTCOMES, ("margin", "margin MoRF", "margin LeRF")):
            cells[column] = f"{row[f'margin_{name}']:.4f}"
            accuracy[column] = ""
        rows += [cells, accuracy] if is_mean else [cells]
    return rows


def ledger_cells(ledger: list[LedgerRow], image: int) -> Table:
    """The ledger of one image from the logits down: one row for each layer."""
    rows = []
    for number, row in reversed(list(enumerate(ledger))):
        cells = {"layer": str(number + 1)}
        cells |= {name: f"{part[image]:+.4f}" for name, part in row._asdict().items()}
        rows.append(cells)
    return rows


def as_text(rows: Table) -> str:
    """Columns of equal width, for a terminal."""
    return "\n".join("  ".join(line).rstrip() for line in _aligned(rows))


def as_markdown(rows: Table) -> str:
    """A Markdown table with columns of equal width, readable as plain text too."""
    head, *body = _aligned(rows)
    rule = ["-" * max(3, len(cell)) for cell in head]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def _aligned(rows):
    lines = [list(rows[0])] + [[str(cell) for cell in row.values()] for row in rows]
    widths = np.max([[len(cell) for cell in line] for line in lines], axis=0)
    return [[cell.ljust(width) for cell, width in zip(line, widths)] for line in lines]


def as_csv(rows: Table) -> str:
    """Comma-separated values with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

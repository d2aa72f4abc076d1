"""The study of many images as pages and tables, and the paper's tables."""
import re

import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.cli import report, tables


def test_the_paper_s_table(trained, digits):
    x, labels = digits.test_images[:200], digits.test_labels[:200]
    result = lrp.flip_and_measure(trained, x, labels)
    chosen = lrp.evaluation.first_of_each(labels, [0, 1, 7])
    numbers = tables.paper_numbers(result, labels, chosen)
    assert [row["digit"] for row in numbers] == [0, 1, 7, "mean", "all"]
    for name, outcome in (("confidence", result.original), ("IFRC", result.morf),
                          ("UFRC", result.lerf)):
        assert [row[name] for row in numbers] == pytest.approx(
            [*outcome.confidence[chosen], outcome.confidence[chosen].mean(),
             outcome.confidence.mean()], rel=1e-6)
    for name in ("original", "morf", "lerf"):
        margins = getattr(result, name).margin
        assert [row[f"margin_{name}"] for row in numbers] == pytest.approx(
            [*margins[chosen], margins[chosen].mean(), margins.mean()], rel=1e-6)
    assert numbers[-1]["prediction_original"] == result.original.correct.mean()
    cells = tables.paper_cells(numbers)
    wrong = result.morf.prediction[chosen[2]]
    assert wrong != 7 and cells[2]["IFRC"] == f"{numbers[2]['IFRC']:.4f} [{wrong}]"
    assert result.original.correct[chosen[0]] and "[" not in cells[0]["confidence"]
    correct = result.morf.correct
    assert [row["IFRC"] for row in cells if row["digit"].startswith("accuracy")] == [
        f"{correct[chosen].mean():.1%}", f"{correct.mean():.1%}"]


def test_tables_are_written_in_three_ways():
    rows = [{"a": 1, "b": "x"}, {"a": 22.5, "b": "with, comma"}]
    assert tables.as_text(rows) == "a     b\n1     x\n22.5  with, comma"
    assert tables.as_markdown(rows).splitlines() == [
        "| a    | b           |", "| ---- | ----------- |",
        "| 1    | x           |", "| 22.5 | with, comma |"]
    assert tables.as_csv(rows) == 'a,b\n1,x\n22.5,"with, comma"\n'


def test_the_ledger_as_a_table(random_case):
    net, x = random_case([5, 4, 3], "relu", 0)
    e = lrp.explain(net, x)
    cells = tables.ledger_cells(e.ledger, 2)
    assert [row["layer"] for row in cells] == ["2", "1"]
    assert cells[0]["received"] == f"{e.ledger[1].received[2]:+.4f}"
    assert cells[1]["bias"] == f"{e.ledger[0].bias[2]:+.4f}"


@pytest.fixture(scope="module")
def small(digits):
    """A small study: for its form, and to be repeated."""
    fewer = lrp.Digits(digits.train_images[:1000], digits.train_labels[:1000],
                       digits.test_images[:200], digits.test_labels[:200])
    settings = report.Settings(hidden=20, epochs=2, retrain_epochs=1, sample=500, bag=300,
                               tested=50)
    return fewer, settings


@pytest.mark.long
def test_the_report_made_twice_is_the_same(small, tmp_path, capsys):
    texts = []
    for folder in ("a", "b"):
        (tmp_path / folder / "figures").mkdir(parents=True)
        written = report.write_results(small[0], "mnist-10k", [0, 1], small[1], tmp_path / folder)
        assert all(path.exists() for path in written)
        texts.append((tmp_path / folder / "RESULTS.md").read_text())
        printed = capsys.readouterr()       # a line for each network and ranking, in a log too
        assert printed.err == "" and printed.out.count("\n") == 2 * (3 + 2) + 2 * 6 + 4 + 1
        assert "sigmoid, seed 1: test accuracy" in printed.out
    one, other = (text.split("## Time of the pruned networks")[0] for text in texts)
    assert one == other and "--seeds 0 1" in one
    assert re.findall(r"^\| (\w+) +\| 0, CP-LRP", one, re.MULTILINE) == ["transformer"]
    assert len(re.findall(r"^\| (\w+) +\| gamma_generalized", one, re.MULTILINE)) == 3
    assert ((tmp_path / "a/pixel_flipping.csv").read_text()
            == (tmp_path / "b/pixel_flipping.csv").read_text())
    assert {path.name for path in written if path.suffix == ".csv"} == {
        "pixel_flipping.csv", "pixel_flipping_cnn.csv"}
    for path in (tmp_path / "a" / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "figures" / path.name).read_bytes()
        assert f"(figures/{path.name})" in one


@pytest.mark.long
def test_flipping_rows_cover_everything_once(small):
    networks = [report.trained_networks(*[small[0], seed, small[1]]) for seed in (0, 1)]
    assert list(networks[0]) == ["sigmoid", "sigmoid, zero-centred", "tanh", "relu"]
    rows = report.flipping_rows(small[0], networks)
    keys = {(row["network"], row["rule"], row["flipped"]) for row in rows}
    assert len(keys) * 2 == len(rows) == 2 * 4 * (3 + 4 * 2)
    original = {row["network"]: row for row in rows if row["flipped"] == "original"}
    assert (original["sigmoid"]["accuracy_mean"]
            == original["sigmoid, zero-centred"]["accuracy_mean"])
    for name in networks[0]:
        accuracy = [(net[name].predict(small[0].test_images) == small[0].test_labels).mean()
                    for net in networks]
        assert original[name]["accuracy_mean"] == pytest.approx(np.mean(accuracy))
        assert (original[name]["accuracy_least"], original[name]["accuracy_most"]) == pytest.approx(
            (min(accuracy), max(accuracy)))
    text = tables.as_text(report.flipping_cells(rows))
    assert text.count("\n") == len(keys) and "zero-centred" in text

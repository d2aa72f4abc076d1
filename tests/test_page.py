"""The page in one file: how it is assembled; in a real browser, its numbers and its controls."""
import itertools
import re
import warnings

import numpy as np
import pytest

import lrp_numpy as lrp
from browser import opened, violations
from lrp_numpy.cli.main import main
from lrp_numpy.datasets.handwriting import like_mnist
from lrp_numpy.page.assemble import network_of_page, page_text, quantized, write_page

RULES = [("0", {}), ("epsilon", {"epsilon": 0.3}), ("gamma", {"gamma": 0.4}),
         ("gamma_generalized", {"gamma": 0.4}), ("alpha_beta", {}), ("z_plus", {})]
SIZES = {"relu": [784, 60, 10], "tanh": [784, 30, 20, 10], "sigmoid": [784, 25, 10],
         "zero_centred": [784, 25, 10]}


def trained(name, digits):
    """A small network with biases that are not 0."""
    activation = "sigmoid" if name == "zero_centred" else name
    net = lrp.MLP.random(SIZES[name], activation=activation, rng=0)
    lrp.train(net, digits, epochs=1, learning_rate=2e-3, progress=False)
    return lrp.zero_centred(net) if name == "zero_centred" else net


def in_float64(net, digits):
    """The network of the page, and its 20 digits, with the numbers that the page has."""
    layers = [lrp.Dense(layer.W.astype(float), layer.b.astype(float), layer.activation)
              for layer in network_of_page(net).layers]
    x = (np.rint(digits.test_images[:20] * 255) / 255).astype(np.float32).astype(float)
    return lrp.MLP(layers), x


def written(folder, net, digits):
    return write_page(folder / "page.html", net, digits.test_images[:20], digits.test_labels[:20])


def test_one_file_of_less_than_1_5_megabytes(digits):
    """For the default network; nothing in it is fetched."""
    net = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
    text = page_text(net, digits.test_images[:20], digits.test_labels[:20], "made so")
    assert len(text.encode()) < 1_500_000
    assert "made so" in text and "{{" not in text
    fetched = r"https?://|@import|<link[^>]*href=\"(?!data:)|\bsrc=|fetch\(|XMLHttp"
    assert not re.findall(fetched, text)


def test_sixteen_bits_keep_the_weights(digits):
    for W in (np.array([[1.0, -3.0], [0.1, 2.0]], np.float32), np.zeros((2, 2), np.float32)):
        whole, scale = quantized(W)
        assert whole.dtype == np.int16 and np.abs(W - scale * whole).max() <= scale / 2 * (1 + 1e-6)
    net = trained("relu", digits)
    x = digits.test_images[:100]
    np.testing.assert_allclose(network_of_page(net).forward(x), net.forward(x), atol=2e-3)


def test_other_networks_are_refused(tmp_path, digits):
    for net, message in (
            (lrp.lenet(rng=0), "must be of Dense layers for the page, got layer 0: Unflatten"),
            (lrp.MLP.random([784, 5, 10], activation="gelu", rng=0),
             "among relu.*for the page, got layer 0: gelu"),
            (lrp.MLP.random([784, 5, 3], rng=0), "784 inputs and 10 outputs.*got 784 and 3"),
            (lrp.MLP.random([9, 5, 10], rng=0), "784 inputs and 10 outputs.*got 9 and 10")):
        with pytest.raises(ValueError, match=message):
            written(tmp_path, net, digits)
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, capsys, digits):
    """With a network saved earlier; a CNN is refused in one line, and nothing is written."""
    trained("tanh", digits).save(tmp_path / "net.npz")
    out = tmp_path / "pages"
    assert main(["page", "--network", str(tmp_path / "net.npz"), "--out", str(out)]) == 0
    assert "The network: 784-30-20-10, tanh" in (out / "page.html").read_text()
    printed = capsys.readouterr().out
    assert str(out / "page.html") in printed
    assert f"{(out / 'page.html').stat().st_size / 1e6:.2f} MB" in printed
    lrp.lenet(rng=0).save(tmp_path / "cnn.npz")
    nowhere = tmp_path / "no"
    assert main(["page", "--network", str(tmp_path / "cnn.npz"), "--out", str(nowhere)]) == 2
    assert "must be of Dense layers" in capsys.readouterr().err
    assert not list(nowhere.iterdir())


# In a browser

@pytest.fixture(scope="module")
def small_page(browser, tmp_path_factory, digits):
    """The page of a small network, opened, and what the tests compare it with."""
    net = trained("relu", digits)
    path = written(tmp_path_factory.mktemp("page"), net, digits)
    with opened(browser, path, has_touch=True) as page:
        yield page


EXPLAIN = """([n, start, rule, parameters, top]) => {
    const a = forward(layers, TEST_DIGITS[n].pixels);
    const {relevance, ledger} = relevanceOf(layers, a, Float64Array.from(start), rule, parameters,
                                            top);
    return {logits: Array.from(a[a.length - 1]), R: Array.from(relevance[0]), ledger,
            hidden: Array.from(relevance[relevance.length - 2])};
}"""


@pytest.mark.long
@pytest.mark.parametrize("name", SIZES)
def test_its_relevance_is_that_of_explain(browser, tmp_path, digits, name):
    """20 digits, each rule; the predicted class, another one, and one but not the other."""
    net = trained(name, digits)
    exact, x = in_float64(net, digits)
    logits = exact.forward(x)
    first = logits.argmax(axis=1)
    other = (first + 3) % 10
    starts = {"predicted": np.eye(10)[first] * logits, "another": np.eye(10)[other] * logits}
    starts["contrast"] = starts["predicted"] - starts["another"]
    with opened(browser, written(tmp_path, net, digits)) as page, warnings.catch_warnings():
        warnings.simplefilter("ignore")     # gamma, of a logit below 0
        for (rule, parameters), start in itertools.product(RULES, starts.values()):
            e = lrp.explain(exact, x, rule, start=start, **parameters)
            for n in range(20):
                theirs = page.evaluate(EXPLAIN, [n, start[n].tolist(), rule, parameters,
                                                 len(net.layers) - 1])
                size = 1e-10 * np.abs(e.relevance[-2][n]).sum()
                for ours, one in ((logits[n], theirs["logits"]), (e.input[n], theirs["R"]),
                                  (e.relevance[-2][n], theirs["hidden"])):
                    np.testing.assert_allclose(one, ours, rtol=0, atol=size)
                for row, one in zip(e.ledger, theirs["ledger"], strict=True):
                    for part, ours in row._asdict().items():
                        assert abs(ours[n] - one[part]) <= size, (rule, part)


@pytest.mark.long
@pytest.mark.parametrize("rule, parameters", RULES, ids=[rule for rule, _ in RULES])
def test_the_relevance_of_a_hidden_neuron(small_page, digits, rule, parameters):
    exact, x = in_float64(trained("relu", digits), digits)
    hidden = exact.up_to(0).forward(x)
    neuron = hidden.sum(axis=0).argmax()
    e = lrp.explain(exact, x, rule, neuron, layer=0, **parameters)
    for n in range(20):
        start = np.eye(60)[neuron] * hidden[n]
        theirs = small_page.evaluate(EXPLAIN, [n, start.tolist(), rule, parameters, 0])
        np.testing.assert_allclose(theirs["R"], e.input[n], rtol=0, atol=1e-10)


@pytest.mark.long
def test_a_drawing_becomes_the_digit_that_python_makes_of_it(small_page):
    rng = np.random.default_rng(0)
    for _ in range(5):
        points = rng.integers(40, 240, (4, 2)).tolist()
        ink, digit = small_page.evaluate("""points => {
            const ink = new Float64Array(SHEET * SHEET);
            points.slice(1).forEach((point, i) => stroke(ink, points[i], point, PEN));
            return [Array.from(ink), Array.from(likeMnist(ink))];
        }""", points)
        ink = np.array(ink).reshape(280, 280)
        np.testing.assert_allclose(digit, like_mnist(ink), atol=1e-6)
    assert not any(small_page.evaluate("Array.from(likeMnist(new Float64Array(SHEET * SHEET)))"))


def numbers(page, table):
    """The second column of a table."""
    cells = page.locator(f"#{table} tbody tr td:first-of-type").all_inner_texts()
    return [float(text.replace("\u2212", "-")) for text in cells]


def settled(page):
    """After the next frame: what the page shows."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return numbers(page, "outputs"), numbers(page, "ledger")


def mouse(page):
    box = page.locator("#sheet").bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 220, steps=5)
    page.mouse.up()


def finger(page):
    box = page.locator("#sheet").bounding_box()
    page.touchscreen.tap(box["x"] + 90, box["y"] + 60)


def keys(page):
    page.locator("#sheet").focus()
    for key in (" ", "ArrowDown", "Shift+ArrowDown", "ArrowLeft", " "):
        page.keyboard.press(key)


@pytest.mark.long
@pytest.mark.parametrize("draw", [mouse, finger, keys], ids=lambda draw: draw.__name__)
def test_drawing(small_page, draw):
    """Each way changes what the network sees; clearing leaves nothing."""
    small_page.locator("#clear").click()
    empty, _ = settled(small_page)
    assert "empty" in small_page.locator("#said").inner_text()
    draw(small_page)
    drawn, ledger = settled(small_page)
    assert drawn != empty and "The network reads" in small_page.locator("#said").inner_text()
    assert sum(ledger[:-1]) == pytest.approx(ledger[-1], abs=0.021)     # five numbers, rounded
    small_page.locator("#clear").click()
    assert settled(small_page)[0] == empty


@pytest.mark.long
def test_an_eraser_takes_ink_away(small_page):
    small_page.locator("#digits button").first.click()
    ink = small_page.evaluate("total(state.ink)")
    small_page.locator("#erases").check()
    mouse(small_page)
    settled(small_page)
    assert small_page.evaluate("total(state.ink)") < ink
    small_page.locator("#erases").uncheck()


@pytest.mark.long
def test_rules_sliders_and_classes(small_page):
    """Each control changes the numbers; sliders are there for the rules that have them."""
    page = small_page
    page.locator("#digits button").nth(3).click()
    page.select_option("#rule", "0")
    _, before = settled(page)
    seen = {tuple(before)}
    for rule, slider in (("epsilon", "epsilon"), ("gamma", "gamma"),
                         ("gamma_generalized", "gamma")):
        page.select_option("#rule", rule)
        page.locator(f"#{slider}").fill("0.25")
        _, at_a_quarter = settled(page)
        assert {name for name in ("epsilon", "gamma") if page.locator(f"#{name}").is_visible()} == {
            slider}
        page.locator(f"#{slider}").fill("1.5")
        _, further = settled(page)
        assert further != at_a_quarter and further[-1] == before[-1]
        seen |= {tuple(further)}
        assert page.locator(f"#{slider}-value").inner_text() == "1.50"
    assert len(seen) >= 3
    page.select_option("#rule", "0")
    logits, _ = settled(page)
    first, other = np.argsort(logits)[::-1][[0, 4]].tolist()
    page.select_option("#target", str(other))
    assert settled(page)[1][-1] == logits[other]
    page.select_option("#target", str(first))
    page.select_option("#other", str(other))
    assert settled(page)[1][-1] == pytest.approx(logits[first] - logits[other], abs=0.011)
    assert f"Why {first} and not {other}?" in page.locator("#heatmap-caption").inner_text()
    page.select_option("#target", "predicted")
    page.select_option("#other", "none")


@pytest.mark.long
def test_gamma_warns_of_a_logit_below_0(small_page):
    logits, _ = settled(small_page)
    small_page.select_option("#rule", "gamma")
    small_page.select_option("#target", str(int(np.argmin(logits))))
    settled(small_page)
    assert "made for a logit above 0" in small_page.locator("#warning").inner_text()
    small_page.select_option("#target", str(int(np.argmax(logits))))
    settled(small_page)
    assert small_page.locator("#warning").inner_text() == ""
    small_page.select_option("#rule", "0")
    small_page.select_option("#target", "predicted")


@pytest.mark.long
def test_gamma_warns_of_activations_below_0(browser, tmp_path, digits):
    """As explain does, also where the logit is above 0; generalized LRP-gamma is made for them."""
    with opened(browser, written(tmp_path, trained("tanh", digits), digits)) as page:
        for rule, warning in (("gamma", "activations and sums above 0"), ("gamma_generalized", "")):
            page.select_option("#rule", rule)
            logits, _ = settled(page)
            shown = page.locator("#warning").inner_text()
            assert max(logits) > 0 and (warning in shown if warning else shown == "")


@pytest.mark.long
def test_a_digit_and_not_itself_is_no_question(small_page):
    first = int(np.argmax(settled(small_page)[0]))
    small_page.select_option("#other", str(first))
    settled(small_page)
    assert f"Both choices are {first}" in small_page.locator("#warning").inner_text()
    small_page.select_option("#other", "none")
    settled(small_page)
    assert small_page.locator("#warning").inner_text() == ""


@pytest.mark.long
def test_hidden_neurons_are_shown_when_they_are_chosen(small_page):
    """The button keeps the focus; the numbers in the caption are those of button and heatmap."""
    button = small_page.locator("#neurons button").nth(1)
    name = button.inner_text()
    button.focus()
    small_page.keyboard.press("Enter")
    settled(small_page)
    caption = small_page.locator("#neuron-caption").inner_text()
    neuron, relevance = name.split(": ")
    assert f"Neuron {neuron} of hidden layer 1" in caption and f"received {relevance}," in caption
    assert small_page.evaluate("document.activeElement.textContent") == name
    assert small_page.locator("#neurons button[aria-pressed=true]").inner_text() == name


@pytest.mark.long
def test_the_code_that_is_shown_is_the_code_that_runs(small_page):
    assert small_page.locator("#code").inner_text() == small_page.evaluate("propagate.toString()")


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1000])
def test_on_a_phone_and_on_a_desk_for_everyone(browser, tmp_path, digits, width, scheme):
    """No horizontal scroll, light and dark, and no serious complaint of axe-core."""
    path = written(tmp_path, trained("tanh", digits), digits)
    with opened(browser, path, width, scheme=scheme) as page:
        page.locator("#neurons button").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not violations(page)

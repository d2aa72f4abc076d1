# %% [markdown]
# # Your own model
#
# **Question.** A network trained elsewhere, on a table instead of images: which columns led to its
# prediction?
#
# **Running time.** 8 seconds. **Before it.** [8. The ledger](../08_the_ledger.py).
# **It needs** scikit-learn and torch: `python -m pip install -e '.[examples]'`.
#
# The package does not import these libraries. It reads a model's weights, and from then on
# everything is as in the lessons: a network, a rule, relevance, a ledger.
#
# ## A row of a table, by hand
#
# Two columns, age and body mass index (BMI). The mean person is 50 years old with a BMI of 26; the
# standard deviations are 10 years and 5. Networks learn best from inputs near 0, so we first
# **standardise** a table: subtract the mean, divide by the standard deviation. A person of 60 with
# a BMI of 21 becomes a = [1, -1].
#
# Let the network be one sum: 10 for each unit of age, 20 for each unit of BMI, and a bias of 150.

# %%
import numpy as np
import lrp_numpy as lrp

person, mean, deviation = np.array([[60.0, 21.0]]), np.array([50.0, 26.0]), np.array([10.0, 5.0])
a = (person - mean) / deviation
net = lrp.MLP.from_arrays([np.array([[10.0], [20.0]])], [np.array([150.0])], "identity")
e = lrp.explain(net, a, rule="0")
print("a =", a, " output =", e.logits, " R =", e.input, " unassigned:", e.unassigned(0))
assert e.logits == 140 and e.input.tolist() == [[10, -20]] and e.unassigned(0)["bias"] == 150

# %% [markdown]
# 140 = 10 - 20 + 150. The age raises the output by 10, the low BMI lowers it by 20, and the rest is
# the bias. This network does not classify; it predicts an amount: a regression. Relevance then has
# the unit of that amount. `unassigned` sums up the ledger: the relevance that no input got.
#
# And the mean person? That is a = [0, 0], and an input of 0 gets no relevance.

# %%
e = lrp.explain(net, (mean[None] - mean) / deviation, rule="0")
print("the mean person: output =", e.logits, " R =", e.input, " unassigned:", e.unassigned(0))
assert (e.input == 0).all() and e.unassigned(0)["bias"] == e.logits[0, 0] == 150

# %% [markdown]
# For pixels, 0 meant "no ink". Here it means "as in the mean person". So relevance now answers
# this question: why does this person's output differ from that of the mean person?
#
# ## Which rule?
#
# A pixel is never negative, but a standardised number often is. Take a = [-1, -1] and the weights
# 2 and -3. The contributions are -2 and 3, the output is 1: the positive evidence is the second
# input.

# %%
import warnings
from lrp_numpy import rules

a, W, b, R = -np.ones((1, 2)), np.array([[2.0], [-3.0]]), np.zeros(1), np.ones((1, 1))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")         # lrp_gamma warns that this goes wrong
    by_rule = {"0": rules.lrp_0(a, W, b, R),
               "epsilon": rules.lrp_epsilon(a, W, b, R, epsilon=1.0),
               "gamma": rules.lrp_gamma(a, W, b, R, gamma=1.0),
               "gamma_generalized": rules.lrp_gamma_generalized(a, W, b, R, gamma=1.0)}
for name, relevance in by_rule.items():
    print(f"{name:18} {relevance[0]}")
assert by_rule["0"].tolist() == [[-2, 3]] and by_rule["epsilon"].tolist() == [[-1, 1.5]]
assert by_rule["gamma"].tolist() == [[4, -3]]
assert by_rule["gamma_generalized"].tolist() == [[-0.5, 1.5]]

# %% [markdown]
# Gamma doubles the *weight* 2, and with it a negative contribution. The sum becomes -4 + 3 = -1,
# and all signs are reversed. So do not use plain gamma for such inputs. LRP-0, epsilon and the
# generalized gamma, which looks at contributions, keep the signs.
#
# ## A model of scikit-learn
#
# 442 patients with diabetes, ten numbers each, and how far the disease had progressed a year
# later, as a score from 25 to 346. The mean and the deviation are those of the training patients.

# %%
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

def standardised(table):
    """Rows for training and for testing, standardised; their labels; the raw test rows."""
    train, test, y_train, y_test = train_test_split(table.data, table.target, random_state=0)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / deviation, (test - mean) / deviation, y_train, y_test, test

diabetes = load_diabetes(scaled=False)
names = ["age", "sex", "BMI", "blood pressure", "total cholesterol", "LDL", "HDL",
         "cholesterol / HDL", "log triglycerides", "blood sugar"]
x_train, x_test, y_train, y_test, raw = standardised(diabetes)
print(len(x_train), "patients for training,", len(x_test), "for testing;", names)
print(f"inputs from {x_test.min():.1f} to {x_test.max():.1f}; {(x_test < 0).mean():.0%} negative")
assert 0.4 < (x_test < 0).mean() < 0.6 and len(names) == x_test.shape[1] == 10

# %% [markdown]
# Now five lines: a model as scikit-learn trains it, the same model as a network of this package,
# its relevance, and a check that both predict the same.

# %%
from sklearn.neural_network import MLPRegressor

model = MLPRegressor(hidden_layer_sizes=[20], solver="lbfgs", alpha=300, max_iter=5000,
                     random_state=0).fit(x_train, y_train)
net = lrp.from_sklearn(model)
e = lrp.explain(net, x_test, rule="epsilon", epsilon=0.25)
assert np.abs(e.logits[:, 0] - model.predict(x_test)).max() < 1e-5

straight = LinearRegression().fit(x_train, y_train)
score = [one.score(x_test, y_test) for one in (model, straight)]
print(f"largest difference: {np.abs(e.logits[:, 0] - model.predict(x_test)).max():.1e}")
print(f"R² on the test patients: network {score[0]:.2f}, linear regression {score[1]:.2f}")
assert score[0] > 0.25

# %% [markdown]
# The network accounts for about a third of the differences between patients. Linear regression is
# no worse, so this is not a good model of diabetes. But it is a model, and we can ask what it does.
#
# ## One patient
#
# The first test patient. Two parts of `unassigned` are not 0: the bias, and what epsilon absorbed.
# `plotting.bars` draws them below the line, so that all bars add up to the prediction.

# %%
from lrp_numpy.plotting import show

n = 0
show(lrp.plotting.bars(e.input[n], names, e.unassigned(n), values=raw[n], most=7, unit="score"),
     "your_own_model_diabetes", "the relevance of one patient's numbers, as bars")
print(f"predicted {e.logits[n, 0]:.2f} = inputs {e.input[n].sum():.2f}",
      *(f"+ {name} {part:.2f}" for name, part in e.unassigned(n).items()))
assert np.isclose(e.input[n].sum() + sum(e.unassigned(n).values()), model.predict(x_test)[n])

# %% [markdown]
# Red raises the prediction; blue, and hatched, lowers it. The bias has the longest bar. It gets
# about as much for the mean patient, where no input gets any relevance:

# %%
mean_patient = lrp.explain(net, np.zeros((1, 10)), rule="epsilon", epsilon=0.25)
print(f"the mean patient: {mean_patient.logits[0, 0]:.1f} = inputs {mean_patient.input.sum():.1f} "
      f"+ bias {mean_patient.unassigned(0)['bias']:.1f} "
      f"+ epsilon {mean_patient.unassigned(0)['epsilon']:.1f}")
assert (mean_patient.input == 0).all()
assert np.isclose(sum(mean_patient.unassigned(0).values()), model.predict(np.zeros((1, 10)))[0])

# %% [markdown]
# ## A model of torch
#
# 569 breast tumours, thirty numbers each: benign or malignant? One output is enough for two
# classes. It is the logit of "benign": above 0 the network predicts benign, below 0 malignant.
# torch trains it.

# %%
import torch
from sklearn.datasets import load_breast_cancer

tumours = load_breast_cancer()
t_train, t_test, benign_train, benign_test, t_raw = standardised(tumours)
t_train, t_test = t_train.astype(np.float32), t_test.astype(np.float32)
torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(module.parameters(), lr=0.01, weight_decay=0.01)
for step in range(200):
    optimizer.zero_grad()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        module(torch.tensor(t_train))[:, 0], torch.tensor(benign_train, dtype=torch.float32))
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f} after {step + 1} steps")
assert loss.item() < 0.1

# %% [markdown]
# And again five lines. If the Sequential ended with a Sigmoid, `from_torch` would leave it out:
# LRP explains the logit.

# %%
t_net = lrp.from_torch(module)
t_e = lrp.explain(t_net, t_test, rule="epsilon", epsilon=0.25)
with torch.no_grad():
    theirs = module(torch.tensor(t_test)).numpy()
assert np.abs(t_e.logits - theirs).max() < 1e-5

accuracy = ((t_e.logits[:, 0] > 0) == benign_test).mean()
print(f"largest difference: {np.abs(t_e.logits - theirs).max():.1e}; accuracy: {accuracy:.1%}")
assert accuracy > 0.93

# %% [markdown]
# Of the tumours that the network calls malignant, here is the one that it is least sure of:

# %%
called_malignant = np.where(t_e.logits[:, 0] < 0, t_e.logits[:, 0], -np.inf)
n = int(np.argmax(called_malignant))
show(lrp.plotting.bars(t_e.input[n], tumours.feature_names, t_e.unassigned(n), values=t_raw[n],
                       most=10, unit="logit of benign"), "your_own_model_tumour",
     "the relevance of one tumour's numbers, as bars")
print(f"logit {t_e.logits[n, 0]:.2f} = positive {t_e.input[n].clip(0).sum():.2f}, negative "
      f"{t_e.input[n].clip(None, 0).sum():.2f}, unassigned {sum(t_e.unassigned(n).values()):.2f}")
assert np.isclose(t_e.input[n].sum() + sum(t_e.unassigned(n).values()), theirs[n, 0], atol=1e-4)

# %% [markdown]
# ## The test
#
# Bars are easy to like, as heatmaps are (lesson 10). If a feature is the most relevant one, the
# output should change most without it. In a standardised row, "without it" means: set to 0, the
# mean. We try every feature of every test row alone. Then we know which one *does* change the
# output most, and how much a random feature changes it.

# %%
def change_by_each(net, x):
    """(N, D): the change of the output when each feature alone is set to the mean."""
    changes = np.empty_like(x)
    for j in range(x.shape[1]):
        without = x.copy()
        without[:, j] = 0
        changes[:, j] = net.forward(x)[:, 0] - net.forward(without)[:, 0]
    return changes

hit, share, of_others = {}, {}, {}
for title, network, x in (("diabetes", net, x_test), ("tumours", t_net, t_test)):
    size = np.abs(change_by_each(network, x))
    D = x.shape[1]
    print(f"\n{title}: mean change {size.mean():.2f} of a random feature, "
          f"{size.max(axis=1).mean():.2f} at most")
    for rule in ("0", "epsilon", "gamma_generalized"):
        top = np.abs(lrp.explain(network, x, rule).input).argmax(axis=1)
        hit[title, rule] = (top == size.argmax(axis=1)).mean()
        change = size[np.arange(len(x)), top].mean()
        share[title, rule] = change / size.max(axis=1).mean()
        missed = top != size.argmax(axis=1)
        of_others[title, rule] = (size[missed, top[missed]].mean()
                                  / size[missed].max(axis=1).mean())
        print(f"  {rule:18} finds that feature in {hit[title, rule]:.0%} of the rows (at random "
              f"{1 / D:.0%}); the one it finds changes the output by {change:.2f}; "
              f"where it is another, by {of_others[title, rule]:.0%} of the largest change")
        assert hit[title, rule] > 5 / D and change > 2 * size.mean()
assert min(hit.values()) > 0.4 and min(share.values()) > 0.8
assert all(0.5 < of_others["diabetes", rule] < 0.8 < of_others["tumours", rule]
           for rule in ("0", "epsilon", "gamma_generalized"))

# %% [markdown]
# So the most relevant feature is often the one that changes the output most, far more often than a
# random one. Where it is another, it changes the output less: for the tumours by about nine tenths
# of the largest change, for diabetes by about two thirds. But keep two things in mind.
#
# With ReLU, LRP-0 is gradient x input (lesson 6): an estimate of this very change. So no wonder
# that it comes first. The other rules answer a slightly different question, and pay for it here.
#
# And relevance explains the network, not the disease. Here is the same network, trained from
# another random start.

# %%
from sklearn.base import clone

other = clone(model).set_params(random_state=1).fit(x_train, y_train)
other_e = lrp.explain(lrp.from_sklearn(other), x_test, rule="epsilon", epsilon=0.25)
predictions = np.corrcoef(model.predict(x_test), other.predict(x_test))[0, 1]
agreed = (np.abs(e.input).argmax(axis=1) == np.abs(other_e.input).argmax(axis=1)).mean()
together = np.corrcoef(x_train[:, 4], x_train[:, 5])[0, 1]
print(f"correlation of the predictions {predictions:.3f}; same most relevant feature in "
      f"{agreed:.0%} of the patients")
print(f"correlation of {names[4]} and {names[5]}: {together:.2f}")
assert predictions > 0.95 and agreed < 0.95 and together > 0.8

# %% [markdown]
# The predictions agree, the reasons do not always. Where two columns carry nearly the same
# information, as the two kinds of cholesterol do, training may use either. And no real patient has
# one changed and the other not: such columns should be set to the mean together.
#
# ## What we have learned
#
# - `from_sklearn`, `from_torch`, `from_keras`, `from_folder`: a network from elsewhere predicts
#   here what it predicted there.
# - Relevance is in units of the output, whatever they are. Inputs, bias and epsilon add up to it.
# - In a standardised table, 0 is the mean: relevance tells how a row differs from the mean row.
# - Inputs of both signs need LRP-0, epsilon or the generalized gamma.
#
# ## Try it
#
# - Scale with the minimum instead of the mean, as (x - min) / (max - min). Which patient gets no
#   relevance now, and which rules become possible?
# - `load_digits` of scikit-learn has digits of 8 x 8 pixels. Train an `MLPClassifier` on them
#   (divide by 16), and draw its relevance with `lrp.plotting.draw_relevance`.
# - Set the two kinds of cholesterol to the mean together, and compare the change with the sum of
#   their relevance.
# - Set `alpha` to 1, so that the network memorises the training patients. What happens to R², and
#   what to the test?

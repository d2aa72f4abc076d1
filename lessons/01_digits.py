# %% [markdown]
# # 1. Digits
#
# **Question.** What does the network get to see?
#
# **Running time.** 2 seconds. **Before it.** Nothing; this is where the course begins.
#
# A network does not see a "3". It sees a row of numbers. In this lesson we look at these numbers,
# and find two facts about them that will decide much of what follows.
#
# ## A picture is a row of numbers
#
# We start with a picture small enough to type: three rows of three pixels. 0 is paper, 1 is ink.

# %%
import numpy as np

picture = np.array([[0.0, 0.9, 0.0],
                    [0.0, 1.0, 0.0],
                    [0.0, 0.8, 0.1]])
x = picture.reshape(1, 9)
print(x)
print("shape:", x.shape)

# %% [markdown]
# This is a small "1", read line by line. The network gets only the row `x`: that pixel 4 lies below
# pixel 1, it is never told. Nothing is lost, though. The row folds back.

# %%
assert (x.reshape(3, 3) == picture).all()
print("ink in the middle column:", x[0, [1, 4, 7]])
assert x[0, [1, 4, 7]].tolist() == [0.9, 1.0, 0.8]

# %% [markdown]
# ## Ten thousand real digits
#
# MNIST's digits have 28 x 28 = 784 pixels. The package brings 10,000 of them: 8,000 to learn from
# and 2,000 that the network never sees while it learns.

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
for name, array in digits._asdict().items():
    print(f"{name:13} {array.shape!s:12} {array.dtype}")
assert digits.train_images.shape == (8000, 784) and digits.test_images.shape == (2000, 784)
assert digits.train_images.min() == 0 and digits.train_images.max() == 1

# %% [markdown]
# Here is the first test image, with one character for each pixel: a dot where there is no ink, else
# the amount of ink in ninths. You can read it without any plotting.

# %%
first = digits.test_images[0].reshape(28, 28)
for row in first[4:25]:
    print("".join("." if ink == 0 else f"{9 * ink:.0f}" for ink in row))
print("label:", digits.test_labels[0])
assert digits.test_labels[0] == 3

# %% [markdown]
# ## First fact: most pixels are empty
#
# Count the dots.

# %%
empty = (digits.test_images == 0).mean()
print(f"{empty:.1%} of all pixels are exactly 0; an image has {784 * (1 - empty):.0f} lit ones")
assert 0.78 < empty < 0.83

# %% [markdown]
# Four out of five pixels are exactly 0. This matters three times in this course:
#
# - a pixel that is 0 sends nothing into the network, since it enters as pixel times weight;
# - so it gets no relevance either, when the answer is handed back to the pixels (lesson 5);
# - and "the least relevant 15 %" of an image can consist of pixels that were empty anyway
#   (lesson 9).
#
# ## Second fact: classes differ, on average
#
# Below: a test image of each class, and under it the mean of all training images of this class.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import figures as plots
from course import show

classes = range(10)
means = np.array([digits.train_images[digits.train_labels == k].mean(axis=0) for k in classes])
examples = digits.test_images[[np.argmax(digits.test_labels == k) for k in classes]]
print("means:", means.shape)
figure, grid = plt.subplots(2, 10, figsize=(9, 2.2), layout="constrained")
for k in classes:
    plots.draw_image(grid[0, k], examples[k], f"{k}")
    plots.draw_image(grid[1, k], means[k])
grid[0, 0].set_ylabel("one")
grid[1, 0].set_ylabel("mean")
show(figure, "01_digits")

# %% [markdown]
# ![digits and their means](figures/01_digits.png)
#
# How far does this alone take us? Call each test image by the mean that it is nearest to. There is
# no learning in it, and it gives us a number to beat.

# %%
distance = ((digits.test_images[:, None] - means) ** 2).sum(axis=2)
nearest = distance.argmin(axis=1)
right = (nearest == digits.test_labels).mean()
print("distances:", distance.shape)
print(f"nearest mean: {right:.1%} right")
assert 0.75 < right < 0.85

# %% [markdown]
# Four out of five. The network of lesson 4 will make less than half of these mistakes.
#
# ## Try it
#
# - Change the picture at the top into a small "7" and print its row.
# - Which two classes does the nearest mean confuse most often? (`nearest[digits.test_labels == 4]`
#   is a start.)
# - Print other test images with characters, until you find one where you hesitate.
#
# **Write it yourself:** bytes to rows of numbers.
# [The exercise](exercises/ex01_digits.py) tells you which kind of wrong an answer is.
#
# Next: [2. A forward pass by hand](02_forward_by_hand.py).

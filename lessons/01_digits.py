# %% [markdown]
# # 1. Digits
#
# **Question.** What does the network get to see?
#
# **Running time.** 2 seconds. **Before it.** Nothing; this is where the course begins.
#
# A network does not see a "3". It sees a row of numbers. In this lesson we look at these numbers
# and find two facts about them that decide much of what follows.
#
# ## An image is a row of numbers
#
# We start with an image small enough to type: three rows of three pixels. 0 is paper, 1 is ink.

# %%
import numpy as np

image = np.array([[0.0, 0.9, 0.0],
                  [0.0, 1.0, 0.0],
                  [0.0, 0.8, 0.1]])
x = image.reshape(1, 9)
print(x)
print("shape:", x.shape)

# %% [markdown]
# This is a small "1", read line by line. The network receives only the row `x`; nothing tells it
# that pixel 4 lies below pixel 1. No information is lost, though. The row folds back.

# %%
assert (x.reshape(3, 3) == image).all()
print("ink in the middle column:", x[0, [1, 4, 7]])
assert x[0, [1, 4, 7]].tolist() == [0.9, 1.0, 0.8]

# %% [markdown]
# ## Ten thousand real digits
#
# MNIST's digits have 28 x 28 = 784 pixels. The package ships with 10,000 of them: 8,000 to train
# on, and 2,000 test images that the network never sees during training.

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
for name, array in digits._asdict().items():
    print(f"{name:13} {array.shape!s:12} {array.dtype}")
assert digits.train_images.shape == (8000, 784) and digits.test_images.shape == (2000, 784)
assert digits.train_images.min() == 0 and digits.train_images.max() == 1

# %% [markdown]
# Here are the middle rows of the first test image, one character a pixel: a dot where the pixel is
# 0, else its value in ninths, rounded. You can read it without any plotting.

# %%
first = digits.test_images[0].reshape(28, 28)
for row in first[5:27]:
    print("".join("." if pixel == 0 else f"{9 * pixel:.0f}" for pixel in row))
print("label:", digits.test_labels[0])
assert digits.test_labels[0] == 3

# %% [markdown]
# ## First fact: most pixels are zero
#
# Count the dots. Predict first: which share of all pixels is exactly 0?

# %%
zero = (digits.test_images == 0).mean()
print(f"{zero:.1%} of all pixels are exactly 0; "
      f"an image has {784 * (1 - zero):.0f} non-zero pixels on average")
assert 0.78 < zero < 0.83

# %% [markdown]
# Four out of five pixels are exactly 0. This matters again and again in this course, for example:
#
# - a pixel that is 0 contributes nothing to the network, because it enters as pixel times weight;
# - so most rules give it no relevance either, when the output is handed back to the pixels
#   (lesson 5; lesson 6 has the others);
# - and "the least relevant 15 %" of an image can consist of pixels that were 0 anyway (lesson 10).
#
# ## Second fact: classes differ, on average
#
# Below is a test image of each class, and under it the mean of all training images of this class.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

classes = range(10)
means = np.array([digits.train_images[digits.train_labels == k].mean(axis=0) for k in classes])
examples = digits.test_images[[np.argmax(digits.test_labels == k) for k in classes]]
print("means:", means.shape)
figure, grid = plt.subplots(2, 10, figsize=(9, 2.2), layout="constrained")
for k in classes:
    lrp.plotting.draw_image(grid[0, k], examples[k], f"{k}")
    lrp.plotting.draw_image(grid[1, k], means[k])
grid[0, 0].set_ylabel("image")
grid[1, 0].set_ylabel("mean")
show(figure, "01_digits", "digits and their means")

# %% [markdown]
# How far does this alone take us? Assign each test image to the class with the nearest mean.
# Nothing is learned but the means, and it gives us a number to beat, a **baseline**.

# %%
distance = ((digits.test_images[:, None] - means) ** 2).sum(axis=2)
nearest = distance.argmin(axis=1)
accuracy = (nearest == digits.test_labels).mean()
print("distances:", distance.shape)
print(f"nearest mean: accuracy {accuracy:.1%}")
assert 0.75 < accuracy < 0.85

# %% [markdown]
# Four out of five are right: the **accuracy** is 80 %. The network of lesson 4 makes less than half
# as many mistakes.
#
# ## Try it
#
# - Change the image at the top into a small "7" and print its row.
# - Which two classes does the nearest mean confuse most often? (`nearest[digits.test_labels == 4]`
#   is a start.)
# - Print other test images as characters, until one makes you hesitate.
#
# **Write it yourself:** bytes to rows of numbers.
# [The exercise](exercises/ex01_digits.py) checks your answer and names the mistake.
#
# Next: [2. A forward pass by hand](02_forward_by_hand.py).

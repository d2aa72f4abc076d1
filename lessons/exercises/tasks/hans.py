"""Lesson 12: a mark, its share of the relevance, and the pixels that matter to one class alone."""
import numpy as np

from judging import Case, Task
from lrp_numpy.rules import divide
from tasks.changes import array, normal


def put_mark(images, labels, of_class, pixels, value):
    marked_images = images.copy()
    marked_images[np.ix_(labels == of_class, pixels)] = value
    return marked_images


def marked(rows=lambda labels, c: labels == c, columns=lambda pixels, D: np.isin(range(D), pixels),
           change=lambda old, value: value + 0 * old):
    """Images with the mark in other rows or columns, or with another change of their pixels."""
    def of(images, labels, of_class, pixels, value):
        where = np.outer(rows(labels, of_class), columns(pixels, images.shape[1]))
        return np.where(where, change(images, value), images)
    return of


def mark_cases():
    names = ("images", "labels", "of_class", "pixels", "value")
    x, = normal(50, (5, 6))
    square, = normal(51, (4, 4))
    return [Case(dict(zip(names, (array([0.0, 0.5, 1], [0.2, 0, 0.5], [0.1, 0.4, 0]),
                                  np.array([1, 3, 1]), 1, [2], 0.25)))),
            Case(dict(zip(names, (np.abs(x), np.array([2, 0, 2, 1, 3]), 2, [1, 4, 5], 0.6)))),
            Case(dict(zip(names, (np.abs(square), np.array([0, 2, 2, 1]), 2, [0, 3], 0.7))))]


PUT_MARK = Task("put_mark", put_mark, mark_cases(), [
    ("all images get the mark: only those of the class must",
     marked(rows=lambda labels, c: labels == labels)),
    ("the other classes get the mark: it belongs on the images of the class",
     marked(rows=lambda labels, c: labels != c)),
    ("only the first image of the class gets the mark",
     marked(rows=lambda labels, c: np.arange(len(labels)) == np.argmax(labels == c))),
    ("the image with the number of the class gets the mark, not those with its label",
     marked(rows=lambda labels, c: np.arange(len(labels)) == c)),
    ("only the first pixel of the mark is set",
     marked(columns=lambda pixels, D: np.arange(D) == pixels[0])),
    ("all pixels are set: only those of the mark must", marked(columns=lambda pixels, D: [1] * D)),
    ("the pixels beside the mark are set: mind that pixel numbers begin at 0",
     marked(columns=lambda pixels, D: np.isin(range(D), np.subtract(pixels, 1) % D))),
    ("the pixels from the first to the last of the mark are set: the mark may have gaps",
     marked(columns=lambda pixels, D: (np.arange(D) >= min(pixels))
            & (np.arange(D) <= max(pixels)))),
    ("the value is added: the pixels must become it, whatever they were",
     marked(change=lambda old, value: old + value)),
    ("the pixels are multiplied by the value: they must become it",
     marked(change=lambda old, value: old * value)),
    ("brighter pixels are kept: they must become the value, whatever they were",
     marked(change=np.maximum)),
    ("the pixels become 1: they must become the value",
     marked(change=lambda old, value: 1 + 0 * old)),
    ("the pixels become 0: they must become the value",
     marked(change=lambda old, value: 0 * old)),
    ("the mark is missing: these are the images as they were",
     marked(change=lambda old, value: old)),
    ("shape: these are the images of the class alone; return all images",
     lambda images, labels, of_class, pixels, value: put_mark(
         images, labels, of_class, pixels, value)[labels == of_class]),
])


def share_on(R, pixels):
    return divided(np.abs)(R, pixels)


def divided(of=np.abs, below=None, over=1):
    """The sum of of(R) on the pixels, divided by that of below(R) over an axis, or over all."""
    def share(R, pixels):
        on, under = of(R)[:, pixels].sum(axis=1), (below or of)(R).sum(axis=over)
        return divide(on, under + 0 * on)
    return share


def elsewhere(R, pixels):
    return np.abs(np.delete(R, pixels, axis=1)).sum(axis=1)


def positive_part(R):
    return R.clip(min=0)


ZERO = "all R of an image are 0"


def share_cases():
    names = ("R", "pixels")
    R, = normal(52, (4, 6))
    square, = normal(53, (3, 3))
    return [Case(dict(zip(names, (array([3, -1]), [0])))),
            Case(dict(zip(names, (array([1, -2, 4, -1], [-3, 1, 0, -4]), [1, 2])))),
            Case(dict(zip(names, (array([0, 0, 0], [1, 2, 5]), [2]))), ZERO),
            Case(dict(zip(names, (R, [0, 3, 4])))), Case(dict(zip(names, (square, [2]))))]


SHARE_ON = Task("share_on", share_on, share_cases(), [
    (f"right except where {ZERO}: its share is 0",
     lambda R, pixels: np.abs(R[:, pixels]).sum(axis=1) / np.abs(R).sum(axis=1)),
    ("signs cancel: take |R| before you sum", divided(lambda R: R)),
    ("signs cancel: take |R| before you sum",
     lambda R, pixels: R[:, pixels].sum(axis=1) / R.sum(axis=1)),
    ("signs cancel: take |R| of each pixel, and not of the sum",
     lambda R, pixels: np.abs(divided(lambda R: R)(R, pixels))),
    ("signs cancel on the pixels: take |R| there, too", divided(lambda R: R, np.abs)),
    ("signs cancel below the line: take |R| there, too", divided(np.abs, lambda R: R)),
    ("only positive relevance is counted: |R| counts both signs", divided(positive_part)),
    ("R is squared: the share is that of |R|", divided(np.square)),
    ("divided by the relevance elsewhere: divide by that of the whole image",
     lambda R, pixels: divide(np.abs(R[:, pixels]).sum(axis=1), elsewhere(R, pixels))),
    ("this is the share of the other pixels",
     lambda R, pixels: divide(elsewhere(R, pixels), np.abs(R).sum(axis=1))),
    ("not divided by the image's |R|",
     lambda R, pixels: np.abs(R[:, pixels]).sum(axis=1)),
    ("means are divided: the share is one of sums",
     lambda R, pixels: share_on(R, pixels) * R.shape[1] / len(pixels)),
    ("divided by the |R| of all images: each image has its own", divided(over=None)),
    ("shape: this is the mean over the images; return the share of each",
     lambda R, pixels: share_on(R, pixels).mean()),
    ("shape: this is the share of each pixel; sum over the pixels",
     lambda R, pixels: np.stack([share_on(R, [j]) for j in pixels], axis=1)),
])


def matters_to_one_class(R, labels):
    return of_ordered(lambda m: m[-1] - m[-2])(R, labels)


def class_means(R, labels):
    return np.stack([R[labels == k].mean(axis=0) for k in np.unique(labels)])


def of_ordered(score, statistic=class_means):
    """score(m) of the ordered class means m (C, D) of each pixel."""
    return lambda R, labels: score(np.sort(statistic(R, labels), axis=0))


def class_sums(R, labels):
    return np.stack([R[labels == k].sum(axis=0) for k in np.unique(labels)])


def score_cases():
    names = ("R", "labels")
    R, = normal(54, (9, 5))
    square, = normal(55, (6, 3))
    return [Case(dict(zip(names, (array([4, 1], [2, 3], [1, 5]), np.array([0, 0, 1]))))),
            Case(dict(zip(names, (R, np.array([3, 0, 7, 3, 3, 0, 7, 4, 3]))))),
            Case(dict(zip(names, (square, np.array([2, 0, 1, 1, 2, 2])))))]


ONE_CLASS = Task("matters_to_one_class", matters_to_one_class, score_cases(), [
    ("the sums of the classes are compared: classes with more images seem to matter more",
     of_ordered(lambda m: m[-1] - m[-2], class_sums)),
    ("this is the largest class mean: subtract the second largest", of_ordered(lambda m: m[-1])),
    ("the smallest class mean is subtracted: it must be the second largest",
     of_ordered(lambda m: m[-1] - m[0])),
    ("the mean of all classes is subtracted: it must be the second largest",
     of_ordered(lambda m: m[-1] - m.mean(axis=0))),
    ("the mean of the other classes is subtracted: it must be the second largest alone",
     of_ordered(lambda m: m[-1] - m[:-1].mean(axis=0))),
    ("the median of the classes is subtracted: it must be the second largest",
     of_ordered(lambda m: m[-1] - np.median(m, axis=0))),
    ("the sign is wrong: the largest minus the second largest",
     of_ordered(lambda m: m[-2] - m[-1])),
    ("these are the smallest class means: sort, and take the last two",
     of_ordered(lambda m: m[1] - m[0])),
    ("this is the variance of the class means", of_ordered(lambda m: m.var(axis=0))),
    ("this is the standard deviation of the class means", of_ordered(lambda m: m.std(axis=0))),
    ("|R| is averaged: the signs matter here",
     lambda R, labels: matters_to_one_class(np.abs(R), labels)),
    ("images are compared with one another: average each class first",
     lambda R, labels: np.sort(R, axis=0)[-1] - np.sort(R, axis=0)[-2]),
    ("the largest of each class is taken: take its mean",
     of_ordered(lambda m: m[-1] - m[-2], lambda R, labels: np.stack(
         [R[labels == k].max(axis=0) for k in np.unique(labels)]))),
    ("divided by the second largest: it must be subtracted", of_ordered(lambda m: m[-1] / m[-2])),
    ("the class means are sorted over the pixels: sort over the classes",
     lambda R, labels: np.sort(class_means(R, labels), axis=1)[:, -1]
     - np.sort(class_means(R, labels), axis=1)[:, -2]),
    ("shape: this is the number of the class with the largest mean",
     lambda R, labels: class_means(R, labels).argmax(axis=0) + 0.0),
    ("classes that do not occur are counted, with a mean of 0",
     of_ordered(lambda m: m[-1] - m[-2], lambda R, labels: np.stack(
         [R[labels == k].mean(axis=0) if (labels == k).any() else 0 * R[0] for k in range(10)]))),
])

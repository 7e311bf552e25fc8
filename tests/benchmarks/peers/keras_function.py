"""The same game as idiomatic Keras 3 has it: one `tf.function` per step, two gradient tapes, losses on logits.

Runs in an environment that has TensorFlow, and in which nothing of gancli is installed. The networks are those of
`keras_article.py` without its sigmoid. Losses stay on the device until the end of a turn.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras_article import BATCH, LATENT, PIXELS, adam, stack
from serving import Turns, options, serve


class Training:
    """Both networks and their optimisers."""

    def __init__(self) -> None:
        self.generator = stack(LATENT, (256, 512, 1024), dropout=0, last=layers.Dense(PIXELS, activation="tanh"))
        self.discriminator = stack(PIXELS, (1024, 512, 256), dropout=0.3, last=layers.Dense(1))
        self.loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self.g_adam, self.d_adam = adam(), adam()

    @tf.function
    def step(self, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One update of D on real and fake together, one of G on fresh noise."""
        fake = self.generator(tf.random.normal((BATCH, LATENT)), training=True)
        labels = tf.concat([tf.fill((BATCH, 1), 0.9), tf.zeros((BATCH, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss(labels, self.discriminator(tf.concat([real, fake], axis=0), training=True))
        weights = self.discriminator.trainable_weights
        self.d_adam.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))

        noise = tf.random.normal((BATCH, LATENT))
        with tf.GradientTape() as tape:
            logits = self.discriminator(self.generator(noise, training=True), training=True)
            g_loss = self.loss(tf.ones((BATCH, 1)), logits)
        weights = self.generator.trainable_weights
        self.g_adam.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
        return d_loss, g_loss


def main() -> None:
    """Steps on request."""
    told = options()
    tf.config.threading.set_intra_op_parallelism_threads(told["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(told["threads"])
    keras.utils.set_random_seed(1000)
    images = (np.load(told["digits"]).reshape(-1, PIXELS).astype(np.float32) - 127.5) / 127.5
    training, losses, random = Training(), [], np.random.default_rng(1000)

    def settle() -> None:
        d_loss, g_loss = (float(tf.reduce_mean(one)) for one in zip(*losses, strict=True))
        turns.facts.update(d_loss=2 * d_loss, g_loss=g_loss)  # gancli adds the means over real and over fake
        losses.clear()

    turns = Turns(settle)

    def step() -> None:
        losses.append(training.step(images[random.integers(0, len(images), BATCH)]))

    parameters = {name: getattr(training, name).count_params() for name in ("generator", "discriminator")}
    serve(step, turns, parameters=parameters, software=f"Keras {keras.__version__}, TensorFlow {tf.__version__}")


if __name__ == "__main__":
    main()

"""AdaS by its formula, the write-up's recipe, the weight average."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install -e '.[train]'")

import keras

from training import adas, optimisers
from training.architectures import person


def random_low_rank(rows: int, columns: int, rank: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))
            + noise * rng.normal(size=(rows, columns)))


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("shape", [(40, 120), (120, 40), (64, 64)])
def test_the_rank_behind_the_noise_is_found(shape: tuple[int, int], rank: int) -> None:
    clean, noisy = (random_low_rank(*shape, rank, noise) for noise in (0.0, 0.3))
    found = adas.low_rank(noisy)
    assert len(found) == rank
    # The shrinkage takes the noise's share away again: nearer to the clean values than the raw ones are.
    truth, raw = (np.linalg.svd(matrix, compute_uv=False)[:rank] for matrix in (clean, noisy))
    assert np.abs(found - truth).mean() <= np.abs(raw - truth).mean() + 0.02 * truth.mean()


def test_noise_alone_has_no_low_rank_part() -> None:
    assert len(adas.low_rank(np.random.default_rng(1).normal(size=(64, 144)))) == 0
    assert len(adas.low_rank(np.zeros((4, 9)))) == 0


def test_the_gain_of_equal_singular_values_is_their_share() -> None:
    # 4 of 16 rows alike in strength, no noise: G_d = 4 s / (16 s).
    left = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 4)))[0]
    right = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 4)))[0]
    kernel = (left @ right.T).reshape(1, 1, 16, 16)
    assert adas.knowledge_gain(kernel) == pytest.approx(0.25, abs=1e-3)
    depthwise = (left @ right.T).T.reshape(4, 4, 16, 1)  # its last axis holds nothing and is left out
    assert adas.knowledge_gain(depthwise) == pytest.approx(0.25, abs=1e-3)


def small_net() -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential([
        keras.Input((8, 8, 12)),
        keras.layers.Conv2D(12, 3, padding="same", use_bias=False, name="first"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Conv2D(12, 1, name="second"),
    ])


@pytest.mark.parametrize(("zeta", "floored"), [(0.1, False), (-0.1, False), (5.0, True)])
def test_rates_follow_the_papers_formula_layer_by_layer(zeta: float, floored: bool) -> None:
    model, optimiser = small_net(), adas.AdaS(0.03, beta=0.9, zeta=zeta)
    optimiser.build(model.trainable_variables)
    kernels = [model.get_layer(name).kernel for name in ("first", "second")]
    for kernel, rank in zip(kernels, (2, 3), strict=True):
        kernel.assign(random_low_rank(kernel.shape[0] ** 2 * 12, 12, rank, 0.05).reshape(kernel.shape))
    optimiser.end_epoch()
    rates = keras.ops.convert_to_numpy(optimiser.rates)
    assert rates == pytest.approx([0.03, 0.03])  # the first epoch only measures
    before = [adas.knowledge_gain(keras.ops.convert_to_numpy(kernel)) for kernel in kernels]
    kernels[0].assign(random_low_rank(108, 12, 5, 0.05, seed=9).reshape(3, 3, 12, 12))
    optimiser.end_epoch()
    after = [adas.knowledge_gain(keras.ops.convert_to_numpy(kernel)) for kernel in kernels]
    assert 0.02 < after[0] < before[0] - 0.02
    assert after[1] == before[1]
    first = 1e-20 if floored else 0.9 * 0.03 + zeta * (after[0] - before[0])
    assert keras.ops.convert_to_numpy(optimiser.rates) == pytest.approx([first, 0.9 * 0.03], rel=1e-5)


def test_a_layer_of_pure_noise_keeps_its_rate() -> None:
    model, optimiser = small_net(), adas.AdaS(0.03)
    optimiser.build(model.trainable_variables)
    rng = np.random.default_rng(5)
    for _ in range(3):
        for kernel in (model.get_layer("first").kernel, model.get_layer("second").kernel):
            kernel.assign(rng.normal(size=kernel.shape))
        optimiser.end_epoch()
    first = keras.ops.convert_to_numpy(optimiser.gains)[0]
    assert first == 0
    assert keras.ops.convert_to_numpy(optimiser.rates)[0] == pytest.approx(0.03)


def test_each_variable_steps_at_its_own_layers_rate() -> None:
    model, optimiser = small_net(), adas.AdaS(0.5, momentum=0.0)
    variables = model.trainable_variables
    optimiser.build(variables)
    optimiser.rates.assign([0.25, 0.125])
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    optimiser.apply([keras.ops.ones_like(variable) for variable in variables], variables)
    steps = [float((old - keras.ops.convert_to_numpy(new)).mean())
             for old, new in zip(before, variables, strict=True)]
    # first/kernel, norm/gamma, norm/beta, second/kernel, second/bias
    assert steps == pytest.approx([0.25, 0.25, 0.25, 0.125, 0.125], abs=1e-5)


def test_adas_lowers_the_loss_and_its_rates_are_saved(tmp_path) -> None:
    model, optimiser = small_net(), adas.AdaS(0.02)
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(32, 8, 8, 12)).astype(np.float32)
    truth = pictures @ random_low_rank(12, 12, 2, 0.0).astype(np.float32) * 0.1
    model.compile(optimiser, "mse", jit_compile=False)
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: optimiser.end_epoch())
    history = model.fit(pictures, truth, batch_size=8, epochs=8, verbose=0, callbacks=[after]).history["loss"]
    assert history[-1] < 0.5 * history[0]
    rates = keras.ops.convert_to_numpy(optimiser.rates)
    assert (rates != 0.02).any()
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras").optimizer
    assert isinstance(again, adas.AdaS)
    assert keras.ops.convert_to_numpy(again.rates) == pytest.approx(rates)


def test_adas_without_a_convolution_is_refused() -> None:
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no variable is a convolution's kernel"):
        adas.AdaS().build(dense.trainable_variables)


def test_adams_rate_falls_in_stairs() -> None:
    schedule = optimisers.staircase_adam(0.1, steps=10, base=0.5)._learning_rate
    rates = [float(schedule(step)) for step in (0, 9, 10, 19, 20)]
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])
    adam = optimisers.staircase_adam(0.1)
    assert (adam.beta_1, adam.beta_2) == (0.9, 0.999)


def test_the_encoder_takes_smaller_steps() -> None:
    picture = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(1, 1, use_bias=False, name="enc0")(picture)
    model = keras.Model(picture, keras.layers.Conv2D(1, 1, name="head")(x))
    assert [person.encoder_layer(v.path) for v in model.trainable_variables] == [True, False, False]
    optimiser = optimisers.ScaledAdamW(0.1, weight_decay=0.0, encoder_scale=0.25)
    optimiser.build(model.trainable_variables)
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in model.trainable_variables]
    optimiser.apply([keras.ops.ones_like(variable) for variable in model.trainable_variables])
    steps = [float(np.abs(old - keras.ops.convert_to_numpy(new)).mean())
             for old, new in zip(before, model.trainable_variables, strict=True)]
    assert steps == pytest.approx([0.025, 0.1, 0.1], rel=1e-3)  # Adam's first step is the rate itself


def test_the_average_is_of_weights_and_never_of_statistics() -> None:
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(2, 1),
                              keras.layers.BatchNormalization()])
    average = optimisers.Average(model, 0.5, every=1)
    assert len(average.values) == len(model.trainable_weights) == 4  # no moving mean, no moving variance
    kernel = model.layers[0].kernel
    start = keras.ops.convert_to_numpy(kernel).copy()
    kernel.assign(start + 1.0)
    average.update(1000)
    average.swap()
    assert keras.ops.convert_to_numpy(kernel) == pytest.approx(start + 0.5, abs=1e-5)
    average.swap()
    assert keras.ops.convert_to_numpy(kernel) == pytest.approx(start + 1.0)

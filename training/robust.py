"""Whether a model finds nobody where nobody is, and the same in a picture mirrored or shifted."""

from __future__ import annotations

import numpy as np

from streamseg.core import geometry
from streamseg.tools.evaluation import metrics
from training.data import PictureSet
from training.predict import Picture, Predictor

# Pixels by which the camera, or a hand that holds it, moves a picture; mean alpha an empty one may have.
SHIFTS = (1, 2, 3, 5)
EMPTY = 0.005
# Portraits are also tried turned by 90 degrees either way and by 180.
PORTRAITS = "eg1800"
# Shifted pictures cost a prediction for each shift: every eighth tells enough.
EVERY = 8


def check(predict: Predictor, pictures: PictureSet, empty: PictureSet) -> dict[str, float]:
    """All three; ``empty`` holds pictures with nobody in them (may be none: then nothing is said of it)."""
    people = [pictures[i][0] for i in range(len(pictures))]
    found: dict[str, float] = {}
    if len(empty):
        found |= nobody(predict, [empty[i][0] for i in range(len(empty))])
    found |= turned(predict, pictures)
    return found | mirrored(predict, people) | shifted(predict, people[::EVERY])


def nobody(predict: Predictor, pictures: list[Picture]) -> dict[str, float]:
    """Mean alpha of pictures without a person: their mean, the worst, how many lie above EMPTY."""
    alphas = [float(matte.mean()) for matte in predict(pictures)]
    return {"empty_pictures": len(alphas), "empty_mean_alpha": float(np.mean(alphas)),
            "empty_worst_alpha": max(alphas), "empty_above": sum(alpha > EMPTY for alpha in alphas)}


def mirrored(predict: Predictor, pictures: list[Picture]) -> dict[str, float]:
    """IoU of a picture's matte and of the mirrored picture's, mirrored back."""
    plain = predict(pictures)
    back = [matte[:, ::-1] for matte in predict([np.ascontiguousarray(p[:, ::-1]) for p in pictures])]
    ious = [metrics.iou(one, other) for one, other in zip(plain, back, strict=True)]
    return {"mirrored_iou": float(np.mean(ious)), "mirrored_iou_p5": float(np.percentile(ious, 5))}


def turned(predict: Predictor, pictures: PictureSet) -> dict[str, float]:
    """Mean person IoU of the portraits turned by 90, 180 and 270 degrees against their truths, turned alike;
    nothing where there are none."""
    pairs = [pictures[i] for i, row in enumerate(pictures.rows) if row.source == PORTRAITS]
    ious: dict[int, list[float]] = {quarters: [] for quarters in (1, 2, 3)} if pairs else {}
    for quarters, found in ious.items():
        given = [np.ascontiguousarray(np.rot90(picture, quarters)) for picture, _ in pairs]
        for matte, (_, truth) in zip(predict(given), pairs, strict=True):
            mask = np.ascontiguousarray(np.rot90(truth, quarters))
            alpha = geometry.resize(matte, (mask.shape[0], mask.shape[1]))
            found.append(metrics.iou(alpha, mask[..., 0].astype(np.float32) / 255, mask[..., 1] == 0))
    return {f"turned_{90 * quarters}_iou": float(np.mean(found)) for quarters, found in ious.items()}


def shifted(predict: Predictor, pictures: list[Picture]) -> dict[str, float]:
    """How a matte changes where a picture is shifted by SHIFTS pixels and should not change at all.

    Windows of one size are cut from each picture, their mattes brought to the window's size and compared
    where the windows overlap: mean |difference| x 1e3, and the pixels (parts per million) whose label flips.
    """
    differences, flips = [], []
    for picture in pictures:
        rows, columns = (side - SHIFTS[-1] for side in picture.shape[:2])
        windows = [picture[s : s + rows, s : s + columns] for s in (0, *SHIFTS)]
        first, *others = (geometry.resize(matte, (rows, columns))
                          for matte in predict([np.ascontiguousarray(window) for window in windows]))
        for shift, matte in zip(SHIFTS, others, strict=True):
            one, other = first[shift:, shift:], matte[:-shift, :-shift]
            differences.append(1e3 * float(np.abs(one - other).mean()))
            flips.append(1e6 * float(((one >= 0.5) != (other >= 0.5)).mean()))
    return {"shifted_difference": float(np.mean(differences)), "shifted_flips_ppm": float(np.mean(flips))}


def text(found: dict[str, float]) -> str:
    """The figures as lines."""
    lines = [f"mirrored picture: IoU with the plain one's matte {found['mirrored_iou']:.4f}, in the worst "
             f"twentieth of the pictures below {found['mirrored_iou_p5']:.4f}",
             f"picture shifted by {SHIFTS[0]} to {SHIFTS[-1]} pixels: |difference| x 1e3 "
             f"{found['shifted_difference']:.2f}, labels that flip {found['shifted_flips_ppm']:.0f} ppm"]
    if "empty_pictures" in found:
        lines.insert(0, f"nobody in the picture ({found['empty_pictures']:.0f} backgrounds kept out of "
                        f"training): mean alpha {100 * found['empty_mean_alpha']:.2f} %, worst "
                        f"{100 * found['empty_worst_alpha']:.1f} %, above {100 * EMPTY:g} % "
                        f"{found['empty_above']:.0f} pictures")
    if "turned_90_iou" in found:
        figures = ", ".join(f"{angle} degrees {found[f'turned_{angle}_iou']:.4f}" for angle in (90, 180, 270))
        lines.append(f"portraits ({PORTRAITS}) turned: IoU at {figures}")
    return "\n".join(lines)

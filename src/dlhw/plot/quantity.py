"""How the quantities in metrics.csv are named on an axis and printed."""

from dataclasses import dataclass

from dlhw.plot.run_folder import Floats

LABELS = {
    "loss": "Loss", "accuracy": "Accuracy", "pixel_accuracy": "Pixel accuracy", "miou": "Mean IoU", "iou": "IoU",
    "dice": "Dice", "f1": "F1", "psnr": "PSNR (dB)", "ssim": "SSIM", "mse": "MSE", "rmse": "RMSE", "mae": "MAE",
}  # fmt: skip
FRACTIONS = {"accuracy", "pixel_accuracy", "miou", "iou", "dice", "f1"}


@dataclass(frozen=True)
class Quantity:
    """`scale` takes the recorded values to the drawn ones: fractions are drawn as percent."""

    label: str
    scale: float
    unit: str

    def show(self, recorded: float) -> str:
        value = recorded * self.scale
        return f"{value:.2f}%" if self.unit == "%" else f"{value:#.4g}{self.unit}"


def quantity(metric: str, recorded: Floats) -> Quantity:
    """`recorded` decides whether a metric known as a fraction is one here: all of it within [0, 1]."""
    label = LABELS.get(metric, metric.replace("_", " "))
    if metric in FRACTIONS and bool((recorded >= 0).all() and (recorded <= 1).all()):
        return Quantity(f"{label} (%)", 100.0, "%")
    return Quantity(label, 1.0, " dB" if metric == "psnr" else "")

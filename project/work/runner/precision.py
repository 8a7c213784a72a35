"""Mixed precision: which kind a device is fast at."""

import torch

SMALLEST = 17  # pixels of a side: below, a last stage may see 1 x 1, where a CPU's bfloat16 gradients came out as NaN


class MixedPrecision:
    """Autocast and loss scaling for a device; both do nothing when it is off."""

    def __init__(self, device: torch.device, wanted: bool | None, side: int = SMALLEST) -> None:
        """wanted None: on where the device computes bfloat16 fast, and rightly for pictures of that side."""
        self.device_type = device.type
        rightly = device.type != "cpu" or side >= SMALLEST
        self.on = fast_bfloat16(device) and rightly if wanted is None else wanted
        self.dtype = torch.bfloat16 if device.type == "cpu" or fast_bfloat16(device) else torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.on and self.dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        """The context to compute logits in."""
        return torch.autocast(self.device_type, self.dtype, enabled=self.on)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself: elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.9
            return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False

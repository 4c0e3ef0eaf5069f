"""Table 20: parameters of the heads, counted from the modules."""

from msfp.paper.registry import table
from msfp.pipeline.run import Run
from msfp.types import Cell


@table(20, needs=("features",))
def architecture(run: Run) -> list[Cell]:
    """Input and output widths and parameters of each part of the attention head and of ATL, on the run's detector."""
    from torch import nn

    from msfp.heads.fusion import InstanceAttention
    from msfp.heads.threshold import SceneEncoder

    channels = run.backbone().channels
    head = InstanceAttention(channels, run.settings.fusion)
    width = run.settings.fusion.width

    def parameters(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    cells = []

    def row(label: str, inputs: float | str, outputs: float | str, layers: str, count: int) -> None:
        cells.extend(
            [
                Cell(label, "Input Dim", inputs),
                Cell(label, "Output Dim", outputs),
                Cell(label, "Layers", layers),
                Cell(label, "Parameters", count),
            ]
        )

    row("RoIAlign (per layer)", "C_l x 7 x 7", "C_l", "GAP", 0)
    linear = 0
    for layer, inputs in channels.items():
        count = parameters(head.project[str(layer)].get_submodule("0"))
        linear += count
        row(f"Proj({layer})", inputs, width, "Linear+ReLU+BN", count)
    attend = head.attend
    row("Attention MLP", attend.in_features, attend.out_features, "Linear", parameters(attend))
    row("Total MSFP", "–", width, "–", linear + parameters(attend))
    row("Total MSFP with BatchNorm", "–", width, "–", parameters(head))
    scene = channels[list(channels)[-1]]
    hidden = run.settings.atl.hidden
    described = f"GAP+Linear({scene},{hidden})+ReLU+Linear({hidden},1)"
    single = SceneEncoder(scene, "single", run.settings.atl)
    dual = SceneEncoder(scene, "dual", run.settings.atl)
    row("ATL Scene Encoder", scene, 1, described, parameters(single))
    row("ATL Scene Encoder, dual", scene, 2, described.replace(f"({hidden},1)", f"({hidden},2)"), parameters(dual))
    return cells

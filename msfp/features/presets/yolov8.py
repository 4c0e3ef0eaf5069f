"""YOLOv8 readings of the paper's 'C2f blocks 4/9/14, strides 4/16/32, channels 64/256/192', which do not agree."""

from msfp.features.presets import Preset

PRESETS = (
    Preset(
        "yolov8n-paper",
        "yolov8n",
        (4, 9, 14),
        scene=14,
        embedded="yolov8n-synth.safetensors",
        remark="the paper's channels 64/256/192 are exactly YOLOv8n's; matches Table 20 to the parameter",
        further=(17,),
    ),
    Preset(
        "yolov8m-paper",
        "yolov8m",
        (4, 9, 14),
        scene=14,
        remark="the paper's words: YOLOv8m, indices 4/9/14",
        further=(17,),
    ),
    Preset("yolov8m-strides", "yolov8m", (2, 6, 8), scene=8, remark="the paper's strides 4/16/32 on YOLOv8m"),
    Preset(
        "yolov8s-near",
        "yolov8s",
        (2, 6, 19),
        scene=19,
        remark="strides 4/16/32 with the channels nearest to the paper's",
    ),
    # Table 22 changes the detector's size and keeps the layers.
    Preset("yolov8s-paper", "yolov8s", (4, 9, 14), scene=14, remark="Table 22's size s", further=(17,)),
    Preset("yolov8l-paper", "yolov8l", (4, 9, 14), scene=14, remark="Table 22's size l", further=(17,)),
    Preset("yolov8x-paper", "yolov8x", (4, 9, 14), scene=14, remark="Table 22's size x", further=(17,)),
)

"""Pixels to vectors: frozen backbone, RoI pooling, separate ReID network, and how the embedded weights are trained."""

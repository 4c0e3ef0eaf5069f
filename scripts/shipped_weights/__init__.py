"""How the embedded weights are trained: a person detector and a ReID network, from labelled frames."""

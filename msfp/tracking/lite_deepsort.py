"""LITE:DeepSORT: DeepSORT on embeddings of a single backbone layer, as LITE's authors released it."""

from msfp.tracking.deepsort import DeepSort


class LiteDeepSort(DeepSort):
    """The baseline of the LITE paper itself; the row "LITE" shares its association with MSFP."""

    name = "lite-deepsort"
    label = "LITE:DeepSORT"
    appearance = "single"

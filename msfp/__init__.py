"""msfp: an open reproduction suite for the paper MSFP-Track."""

__version__ = "0.1.0"

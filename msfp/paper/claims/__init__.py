"""The paper's testable sentences, and a verdict on each from the tables at hand."""

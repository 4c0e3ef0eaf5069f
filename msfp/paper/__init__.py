"""The paper's side: its numbers, its tables and figures, the report."""

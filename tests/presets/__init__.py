"""Small installations of the platforms that syncd knows: their tables, records of every kind, and edits."""

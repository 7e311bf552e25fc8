"""The configuration: its schema, the layers that set its values, and the merge of these into one validated object."""

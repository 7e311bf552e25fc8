"""The training step of the commit before contract version 2, verbatim but for its imports: what today's is compared with."""

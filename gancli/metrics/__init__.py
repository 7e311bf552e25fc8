"""How close generated images are to real ones, each metric with its uncertainty.

A number means something only together with its extractor and N: ``FD-mnist`` and ``FD-random`` cannot be compared with each
other, and neither is FID, which means Inception's features. Features are scaled such that those of the training data have a
total variance of 1000, so that a Fréchet distance reads as "thousandths of the data's variance": a generator that makes one
image only is at 1000 or more.
"""

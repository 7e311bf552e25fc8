"""How close generated images are to real ones, each metric with its uncertainty.

A number means something only together with its extractor and N: ``FD-mnist`` and ``FD-random`` cannot be compared with each
other, and neither is FID, which means Inception's features. Features are scaled such that those of the training data have a
total variance of 1000: a Fréchet distance is in thousandths of the data's variance, 1000 or more where all images are alike.
"""

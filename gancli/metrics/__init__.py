"""How close generated pictures are to real ones: features, distances, manifolds, classes, each with its uncertainty.

========================  =======================================================================================
``extractor``             what a picture is reduced to before anything is measured, and which extractor suits which data
``digits``, ``random_``   the two that are in the package: a classifier of digits, and random convolutions for the rest
``moments``               mean and covariance
``distances``             Frechet distance, kernel distance
``manifolds``             precision, recall, density, coverage
``classes``               class histogram, modes, KL divergence
``copying``               are the pictures nearer to the training split than fresh real ones are?
``estimate``              a number with its 95 % interval and its N
``probe``                 the cheap figure that a training asks for after every epoch
========================  =======================================================================================

A number means something only together with its extractor and N: ``FD-mnist`` and ``FD-random`` cannot be compared with each
other, and neither is FID, which means Inception's features. Features are scaled such that those of the training data have a
total variance of 1000, so that a Frechet distance reads as "thousandths of the data's variance": a generator that draws one
picture only is at 1000 or more.
"""

"""The copies of two distributions must not be collected: their modules have the names of the installed ones."""

collect_ignore = ["gancli_dcgan", "gancli_resnet"]

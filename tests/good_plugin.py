from gancli.plugin import ArchConfig, Architecture


class Good(Architecture):
    api = 1
    summary = "good"
    Config = ArchConfig

    def build(self, config, image, latent_dim):
        raise NotImplementedError

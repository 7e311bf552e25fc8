"""Images and models from elsewhere for gancli: Hugging Face's hub, Parquet and Arrow tables, data sets that are downloaded."""

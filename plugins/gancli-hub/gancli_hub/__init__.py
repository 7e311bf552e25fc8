"""Images and models from elsewhere, and folders to share: Hugging Face's hub, tables, data sets that are downloaded."""

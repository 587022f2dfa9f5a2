"""MLflow: experiments, runs and the model registry. The only package that imports mlflow."""

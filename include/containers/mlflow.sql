-- Postgres runs this as it makes its files: Airflow's database is there, MLflow has its own.
CREATE DATABASE mlflow;

"""The usual way to score on Spark: a pandas UDF that loads the model in every batch.

    usual_scoring.py <folder of features> <LightGBM model file> <folder for the scores>

Prints when reading began and writing ended, in seconds since 1970.
"""

import json
import sys
import time

import lightgbm
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf

source, model, target = sys.argv[1:]
spark = SparkSession.builder.master("local[*]").appName("usual").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
began = time.time()


@pandas_udf("double")  # type: ignore[call-overload]
def probability(*columns: pd.Series) -> pd.Series:
    booster = lightgbm.Booster(model_file=model)
    return pd.Series(booster.predict(pd.concat(columns, axis=1).to_numpy(), num_threads=1))


rows = spark.read.parquet(source)
columns = [name for name in rows.columns if name != "_row_id"]
rows.select("_row_id", probability(*columns).alias("probability")).write.parquet(target)
print(json.dumps([began, time.time()]))
spark.stop()

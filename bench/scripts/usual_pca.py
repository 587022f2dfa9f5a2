"""The usual way to principal components: Spark ML, on features read from Parquet.

usual_pca.py <folder of features> <components> <file for the result>
"""

import json
import sys
import time

import numpy as np
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

source, components, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
spark = SparkSession.builder.master("local[*]").appName("usual").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
began = time.time()
vectors = spark.read.parquet(source).select(array_to_vector(col("features")).alias("features"))
fitted = PCA(k=components, inputCol="features", outputCol="pca").fit(vectors)
ended = time.time()
np.savez(target, components=fitted.pc.toArray().T, ratio=fitted.explainedVariance.toArray())
print(json.dumps([began, ended]))
spark.stop()

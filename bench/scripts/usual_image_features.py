"""The usual way to features of images on Spark: a Keras model in a pandas UDF, then Spark ML PCA.

usual_image_features.py <folder of images> <folder for the results> [<partitions> [<components>]]

As the notebooks do it that most people start from; in place of the ImageNet weights it takes
seeded random ones, which compute the same. Prints when the features' part began and ended, as JSON.
"""

import io
import json
import os
import sys
import time
from collections.abc import Iterator

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import pandas as pd
from keras import Model
from keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input
from keras.utils import img_to_array
from PIL import Image
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, element_at, pandas_udf, split

from millrace.networks.random_weights import random_weights

source, target = sys.argv[1:3]
partitions, components = (int(each) for each in (sys.argv[3:] + ["20", "100"][len(sys.argv) - 3 :]))
spark = SparkSession.builder.master("local[*]").appName("usual").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
images = (
    spark.read.format("binaryFile")
    .option("pathGlobFilter", "*.jpg")
    .option("recursiveFileLookup", "true")
    .load(source)
    .withColumn("label", element_at(split("path", "/"), -2))
)


def build_model() -> Model:
    return MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=None, pooling="avg")


arrays, model = random_weights(), build_model()
broadcast_weights = spark.sparkContext.broadcast([arrays[each.path] for each in model.weights])


def model_with_weights() -> Model:
    model = build_model()
    model.set_weights(broadcast_weights.value)
    return model


def preprocess(content: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(content)).resize([224, 224])
    return preprocess_input(img_to_array(image))


@pandas_udf("array<float>")  # type: ignore[call-overload]
def featurize(series_of_content: Iterator[pd.Series]) -> Iterator[pd.Series]:
    model = model_with_weights()
    for contents in series_of_content:
        pixels = np.stack(contents.map(preprocess))
        yield pd.Series(list(model.predict(pixels, verbose=0)))


began = time.time()
features = images.repartition(partitions).select(
    "path", "label", featurize("content").alias("features")
)
features.write.mode("overwrite").parquet(f"{target}/features")
featured = time.time()
vectors = spark.read.parquet(f"{target}/features").withColumn(
    "vector", array_to_vector(col("features"))
)
fitted = PCA(k=components, inputCol="vector", outputCol="pca").fit(vectors)
reduced = fitted.transform(vectors).select(
    "path", "label", "features", vector_to_array(col("pca")).alias("pca")
)
reduced.write.mode("overwrite").parquet(f"{target}/result")
print(json.dumps({"features": [began, featured]}))
spark.stop()

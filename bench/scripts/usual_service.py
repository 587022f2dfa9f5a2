"""The usual service of one model: FastAPI, a pydantic model, a data frame a request.

usual_service.py <model URI> <example as JSON> <port>
"""

import json
import sys
from typing import Any

import mlflow
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import create_model

uri, example, port = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
fields: dict[str, Any] = {name: (type(value), ...) for name, value in example.items()}
Record = create_model("Record", **fields)
model = mlflow.pyfunc.load_model(uri)
app = FastAPI()


@app.get("/")
def health() -> dict[str, str]:
    """Whether it answers."""
    return {"status": "ok"}


@app.post("/predict")
def predict(record: Record) -> dict[str, float]:
    """The probability of one record."""
    frame = pd.DataFrame([record.model_dump()])
    return {"probability": float(model.predict(frame)["probability"].iloc[0])}


uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")

"""The usual way to a registered model: one script with pandas, XGBoost and MLflow.

usual_titanic.py <raw CSV>
"""

import sys

import mlflow
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

raw = pd.read_csv(sys.argv[1])
title = raw["Name"].str.extract(r", *([^.,]+)\.")[0]
raw["Title"] = title.where(title.isin(["Mr", "Mrs", "Miss", "Master"]), "Rare")
raw["FamilySize"] = (raw["SibSp"] + raw["Parch"] + 1).astype(float)
numeric, categorical = ["Pclass", "Age", "Fare", "FamilySize"], ["Sex", "Embarked", "Title"]
x, y = raw[numeric + categorical].astype(dict.fromkeys(numeric, float)), raw["Survived"]
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
mode, one_hot = SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
preparation = ColumnTransformer(
    [
        ("numeric", SimpleImputer(strategy="median"), numeric),
        ("categorical", make_pipeline(mode, one_hot), categorical),
    ]
)
parameters = {"n_estimators": 100, "max_depth": 5, "learning_rate": 0.2}
x_prepared = preparation.fit_transform(x_train)
model = XGBClassifier(**parameters).fit(x_prepared, y_train)
probability = model.predict_proba(preparation.transform(x_test))[:, 1]
said = probability >= 0.5
mlflow.set_experiment("one-script")
with mlflow.start_run():
    mlflow.log_params(parameters)
    mlflow.log_metric("accuracy", accuracy_score(y_test, said))
    mlflow.log_metric("f1", f1_score(y_test, said))
    mlflow.log_metric("roc_auc", roc_auc_score(y_test, probability))
    mlflow.log_metric("log_loss", log_loss(y_test, probability))
    mlflow.xgboost.log_model(
        model, name="model", input_example=x_prepared[:1], registered_model_name="one-script"
    )

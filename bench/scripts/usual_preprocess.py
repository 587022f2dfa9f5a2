"""The usual way to prepare the passenger list: pandas and scikit-learn in one script.

usual_preprocess.py <raw CSV> <folder for the results>
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

source, target = sys.argv[1], Path(sys.argv[2])
raw = pd.read_csv(source)
title = raw["Name"].str.extract(r", *([^.,]+)\.")[0].str.strip()
title = title.replace({"Mlle": "Miss", "Ms": "Miss", "Mme": "Mrs"})
raw["Title"] = title.where(title.isin(["Mr", "Mrs", "Miss", "Master"]), "Rare")
raw["FamilySize"] = raw["SibSp"] + raw["Parch"] + 1
raw["HasCabin"] = raw["Cabin"].notna().astype(float)

numeric = ["Pclass", "Age", "SibSp", "Parch", "Fare", "FamilySize", "HasCabin"]
categorical = ["Sex", "Embarked", "Title"]
impute_mode = SimpleImputer(strategy="most_frequent")
one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
transformer = ColumnTransformer(
    [
        ("numeric", SimpleImputer(strategy="median"), numeric),
        ("categorical", make_pipeline(impute_mode, one_hot), categorical),
    ]
)
train, test = train_test_split(raw, test_size=0.2, stratify=raw["Survived"], random_state=0)
features = transformer.fit_transform(train)
prepared = pd.DataFrame(features, columns=transformer.get_feature_names_out())
prepared.insert(0, "Survived", train["Survived"].to_numpy())
target.mkdir(parents=True, exist_ok=True)
prepared.to_csv(target / "train.csv", index=False)
test.drop(columns="Survived").to_csv(target / "test.csv", index=False)
test[["PassengerId", "Survived"]].to_csv(target / "labels.csv", index=False)

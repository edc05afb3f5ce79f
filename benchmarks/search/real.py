"""The real tuning tasks: models of scikit-learn on the data sets it ships. `tabulate.py` evaluates them once.

Each task says its space, how a point becomes a model, and where it is evaluated: on a lattice (every combination of
the listed values, numbers between nodes are interpolated), or at random points through which a forest is fitted.
Needs scikit-learn, and only when a table is made: the benchmark itself reads the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from search.dims import Dim, cat, integer, log, logint, order, real

Build = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Real:
    """`data`: (name, rows or None for all). `nodes`: how many nodes a numeric parameter has on the lattice, or which.
    `samples`: random points under a forest instead of a lattice. `held`: for the final table only."""

    name: str
    data: tuple[str, int | None]
    metric: str  # error, logloss, auc (1 - AUC), r2 (1 - R2)
    dims: tuple[Dim, ...]
    build: Build
    nodes: dict[str, Any] = field(default_factory=dict)
    samples: int = 0
    folds: int = 3
    held: bool = False


def pipe(*steps: Any) -> Any:
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*[s for s in steps if s is not None])


def scaler(name: str) -> Any:
    from sklearn import preprocessing as p

    kinds = {"standard": p.StandardScaler, "minmax": p.MinMaxScaler, "robust": p.RobustScaler, "none": None}
    return kinds[name]() if kinds[name] else None


def svc(p: dict[str, Any]) -> Any:
    from sklearn.svm import SVC

    keys = {k: v for k, v in p.items() if k != "scale"}
    return pipe(scaler(p.get("scale", "standard")), SVC(**keys, max_iter=3000))


def svr(p: dict[str, Any]) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    return TransformedTargetRegressor(pipe(StandardScaler(), SVR(**p)), transformer=StandardScaler())


def tree(p: dict[str, Any]) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(**p, random_state=0)


def forest(kind: str, trees: int) -> Build:
    def build(p: dict[str, Any]) -> Any:
        from sklearn import ensemble

        keys = {"n_estimators": trees} | p if trees else p
        return getattr(ensemble, kind)(**keys, random_state=0)

    return build


def scaled(module: str, kind: str, **fixed: Any) -> Build:
    def build(p: dict[str, Any]) -> Any:
        import importlib

        keys = {k: v for k, v in p.items() if k != "scale"}
        model = getattr(importlib.import_module(f"sklearn.{module}"), kind)(**fixed, **keys)
        return pipe(scaler(p.get("scale", "standard")), model)

    return build


def mlp(p: dict[str, Any]) -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    keys = {k: v for k, v in p.items() if k not in ("units", "layers")}
    model = MLPClassifier((p["units"],) * p.get("layers", 1), max_iter=12, random_state=0, **keys)
    return pipe(StandardScaler(), model)


def knn(kind: str) -> Build:
    def build(p: dict[str, Any]) -> Any:
        from sklearn import decomposition, feature_selection, neighbors

        first: Any = None
        if "components" in p:
            first = decomposition.PCA(p["components"], random_state=0)
        if "features" in p:
            first = feature_selection.SelectKBest(feature_selection.f_regression, k=p["features"])
        keys = {k: v for k, v in p.items() if k not in ("components", "features", "scale")}
        return pipe(first, scaler(p.get("scale", "none")), getattr(neighbors, kind)(**keys))

    return build


def enet(p: dict[str, Any]) -> Any:
    from sklearn.linear_model import ElasticNet
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    model = ElasticNet(alpha=p["alpha"], l1_ratio=p["l1_ratio"], max_iter=300)
    return pipe(scaler(p["scale"]), PolynomialFeatures(p["degree"], include_bias=False), StandardScaler(), model)


def kernel_ridge(p: dict[str, Any]) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(pipe(StandardScaler(), KernelRidge(**p)), transformer=StandardScaler())


def process(p: dict[str, Any]) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor, kernels
    from sklearn.preprocessing import StandardScaler

    kernel = kernels.Matern(p["length"], nu=p["nu"])
    return pipe(StandardScaler(), GaussianProcessRegressor(kernel, alpha=p["noise"], optimizer=None, normalize_y=True))


def nystroem(p: dict[str, Any]) -> Any:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    features = Nystroem(gamma=p["gamma"], n_components=p["components"], random_state=0)
    return pipe(StandardScaler(), features, RidgeClassifier(alpha=p["alpha"]))


def discriminant(p: dict[str, Any]) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

    head = PCA(p["components"], whiten=p["whiten"], random_state=0)
    if p["model"] == "linear":
        return pipe(head, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=p["shrinkage"]))
    return pipe(head, QuadraticDiscriminantAnalysis(reg_param=p["reg"]))


def boosted(p: dict[str, Any]) -> Any:
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.tree import DecisionTreeClassifier

    keys = {k: v for k, v in p.items() if k != "max_depth"}
    return AdaBoostClassifier(DecisionTreeClassifier(max_depth=p["max_depth"], random_state=0), random_state=0, **keys)


def any_model(p: dict[str, Any]) -> Any:
    """A choice of the model itself, each with its own parameters."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    model = p["model"]
    if model == "knn":
        return pipe(scaler("standard"), KNeighborsClassifier(p["k"], weights=p["weights"]))
    if model == "tree":
        return DecisionTreeClassifier(max_depth=p["depth"], min_samples_leaf=p["leaf"], random_state=0)
    if model == "logistic":
        return pipe(scaler(p["scale"]), LogisticRegression(C=p["C"], max_iter=200))
    if model == "forest":
        return RandomForestClassifier(
            10, max_depth=p["depth"], min_samples_leaf=p["leaf"], max_features=p["features"], random_state=0
        )
    return pipe(scaler("standard"), GaussianNB(var_smoothing=p["smoothing"]))


DEPTHS = (1, 2, 3, 4, 6, 8, 12, None)
SGD_RATES = ("constant", "invscaling", "adaptive")
TASKS: tuple[Real, ...] = (
    Real(
        "svc of four kernels, cancer",
        ("breast_cancer", 200),
        "auc",
        (
            cat("kernel", "linear", "rbf", "poly", "sigmoid"),
            log("C", 1e-3, 1e3),
            log("gamma", 1e-4, 10, ("kernel", ("rbf", "poly", "sigmoid"))),
            integer("degree", 2, 5, ("kernel", ("poly",))),
            real("coef0", 0, 2, ("kernel", ("poly", "sigmoid"))),
        ),
        svc,
        {"C": 7, "gamma": 8, "degree": (2, 3, 5), "coef0": 3},
    ),
    Real(
        "svr, diabetes",
        ("diabetes", 250),
        "r2",
        (log("C", 1e-2, 1e2), log("epsilon", 1e-3, 2), log("gamma", 1e-4, 1), cat("kernel", "rbf", "sigmoid")),
        svr,
        {"C": 7, "epsilon": 6, "gamma": 9},
    ),
    Real(
        "forest, diabetes",
        ("diabetes", None),
        "r2",
        (
            order("max_depth", *DEPTHS[1:]),
            integer("min_samples_leaf", 1, 40),
            real("max_features", 0.1, 1),
            cat("bootstrap", False, True),
        ),
        forest("RandomForestRegressor", 8),
        {"min_samples_leaf": (1, 3, 7, 14, 25, 40), "max_features": 4},
    ),
    Real(
        "forest, digits",
        ("digits", 350),
        "logloss",
        (
            logint("n_estimators", 4, 30),
            integer("max_depth", 2, 20),
            integer("min_samples_leaf", 1, 20),
            integer("min_samples_split", 2, 20),
            real("max_features", 0.02, 1),
            cat("criterion", "gini", "entropy"),
            cat("bootstrap", False, True),
            cat("class_weight", None, "balanced"),
        ),
        forest("RandomForestClassifier", 20),
        samples=450,
        folds=2,
    ),
    Real(
        "gradient boosting, cancer",
        ("breast_cancer", 200),
        "logloss",
        (
            log("learning_rate", 5e-3, 1),
            logint("n_estimators", 4, 40),
            integer("max_depth", 1, 8),
            real("subsample", 0.3, 1),
            integer("min_samples_leaf", 1, 30),
            real("max_features", 0.05, 1),
            cat("criterion", "friedman_mse", "squared_error"),
        ),
        forest("GradientBoostingClassifier", 50),
        samples=450,
    ),
    Real(
        "histogram boosting, diabetes",
        ("diabetes", None),
        "r2",
        (
            log("learning_rate", 5e-3, 1),
            logint("max_iter", 4, 40),
            logint("max_leaf_nodes", 2, 24),
            log("l2_regularization", 1e-4, 1e2),
            integer("min_samples_leaf", 2, 60),
            real("max_features", 0.1, 1),
        ),
        forest("HistGradientBoostingRegressor", 0),
        samples=400,
        held=True,
    ),
    Real(
        "network, digits",
        ("digits", 300),
        "logloss",
        (
            cat("solver", "sgd", "adam", "lbfgs"),
            cat("activation", "relu", "tanh", "logistic"),
            logint("units", 4, 64),
            integer("layers", 1, 3),
            log("alpha", 1e-6, 10),
            log("learning_rate_init", 1e-4, 1, ("solver", ("sgd", "adam"))),
            order("batch_size", 8, 16, 32, 64, 128, when=("solver", ("sgd", "adam"))),
            real("momentum", 0, 0.99, ("solver", ("sgd",))),
            cat("nesterovs_momentum", False, True, when=("solver", ("sgd",))),
            real("beta_1", 0.5, 0.99, ("solver", ("adam",))),
        ),
        mlp,
        samples=500,
        folds=2,
    ),
    Real(
        "network, wine",
        ("wine", None),
        "logloss",
        (
            order("units", 4, 8, 16, 32),
            order("alpha", 1e-4, 1e-2, 1.0, 10.0),
            order("learning_rate_init", 1e-3, 3e-3, 1e-2, 3e-2, 0.1),
            cat("activation", "relu", "tanh", "logistic"),
            cat("solver", "adam", "sgd"),
        ),
        mlp,
        folds=2,
    ),
    Real(
        "stochastic gradient, digits",
        ("digits", 300),
        "error",
        (
            cat("loss", "hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron"),
            cat("penalty", "l2", "l1", "elasticnet"),
            log("alpha", 1e-7, 1),
            real("l1_ratio", 0, 1, ("penalty", ("elasticnet",))),
            cat("learning_rate", "optimal", *SGD_RATES),
            log("eta0", 1e-4, 10, ("learning_rate", SGD_RATES)),
            cat("average", False, True),
            cat("scale", "none", "standard", "minmax"),
        ),
        scaled("linear_model", "SGDClassifier", random_state=0, max_iter=15),
        samples=600,
        held=True,
    ),
    Real(
        "neighbours, digits",
        ("digits", 400),
        "error",
        (
            integer("n_neighbors", 1, 30),
            cat("weights", "uniform", "distance"),
            cat("metric", "manhattan", "euclidean", "chebyshev", "cosine"),
            order("components", 4, 8, 12, 20, 32, 64),
            cat("scale", "none", "standard"),
        ),
        knn("KNeighborsClassifier"),
        {"n_neighbors": (1, 2, 3, 5, 7, 11, 18, 30)},
    ),
    Real(
        "neighbours, diabetes",
        ("diabetes", None),
        "r2",
        (
            integer("n_neighbors", 1, 80),
            cat("weights", "uniform", "distance"),
            order("p", 1, 1.5, 2),
            integer("features", 1, 10),
            cat("scale", "none", "standard", "robust"),
        ),
        knn("KNeighborsRegressor"),
        {"n_neighbors": (1, 3, 7, 13, 20, 30, 48, 80), "features": (1, 2, 4, 6, 10)},
        held=True,
    ),
    Real(
        "elastic net, diabetes",
        ("diabetes", None),
        "r2",
        (log("alpha", 1e-3, 1e2), real("l1_ratio", 0.01, 1), order("degree", 1, 2), cat("scale", "standard", "minmax")),
        enet,
        {"alpha": 14, "l1_ratio": 7},
    ),
    Real(
        "kernel ridge, diabetes",
        ("diabetes", 300),
        "r2",
        (
            cat("kernel", "linear", "rbf", "laplacian", "poly", "sigmoid"),
            log("alpha", 1e-4, 1e3),
            log("gamma", 1e-4, 10, ("kernel", ("rbf", "laplacian", "poly", "sigmoid"))),
            integer("degree", 2, 4, ("kernel", ("poly",))),
            real("coef0", 0, 3, ("kernel", ("poly", "sigmoid"))),
        ),
        kernel_ridge,
        {"alpha": 8, "gamma": 8, "degree": 3, "coef0": 3},
    ),
    Real(
        "Gaussian process, diabetes",
        ("diabetes", 200),
        "r2",
        (log("length", 0.1, 100), log("noise", 1e-4, 10), order("nu", 0.5, 1.5, 2.5)),
        process,
        {"length": 14, "noise": 12},
    ),
    Real(
        "tree, cancer",
        ("breast_cancer", None),
        "logloss",
        (
            integer("max_depth", 1, 16),
            integer("min_samples_leaf", 1, 60),
            log("ccp_alpha", 1e-5, 0.1),
            cat("criterion", "gini", "entropy"),
            cat("splitter", "best", "random"),
            cat("class_weight", None, "balanced"),
        ),
        tree,
        {"max_depth": (1, 2, 3, 5, 9, 16), "min_samples_leaf": (1, 3, 8, 16, 30, 60), "ccp_alpha": 4},
    ),
    Real(
        "extra trees, wine",
        ("wine", None),
        "logloss",
        (
            order("n_estimators", 4, 8, 16),
            integer("min_samples_leaf", 1, 12),
            real("max_features", 0.1, 1),
            order("max_depth", *DEPTHS[1:5]),
            cat("criterion", "gini", "entropy"),
            cat("bootstrap", False, True),
        ),
        forest("ExtraTreesClassifier", 0),
        {"min_samples_leaf": (1, 2, 5, 12), "max_features": 4},
        folds=2,
        held=True,
    ),
    Real(
        "boosted stumps, cancer",
        ("breast_cancer", 200),
        "logloss",
        (logint("n_estimators", 3, 32), log("learning_rate", 1e-2, 3), integer("max_depth", 1, 4)),
        boosted,
        {"n_estimators": (3, 5, 9, 17, 32), "learning_rate": 8, "max_depth": 4},
    ),
    Real(
        "random features, digits",
        ("digits", 500),
        "error",
        (log("gamma", 1e-5, 1), logint("components", 8, 160), log("alpha", 1e-6, 1e2)),
        nystroem,
        {"gamma": 9, "components": (8, 16, 32, 64, 110, 160), "alpha": 7},
        held=True,
    ),
    Real(
        "discriminants, digits",
        ("digits", 600),
        "logloss",
        (
            cat("model", "linear", "quadratic"),
            integer("components", 2, 60),
            cat("whiten", False, True),
            real("shrinkage", 0.001, 1, ("model", ("linear",))),
            log("reg", 1e-6, 1, ("model", ("quadratic",))),
        ),
        discriminant,
        {"components": (2, 4, 7, 11, 16, 22, 30, 42, 60), "shrinkage": 12, "reg": 14},
        held=True,
    ),
    Real(
        "which model, cancer",
        ("breast_cancer", 300),
        "logloss",
        (
            cat("model", "knn", "tree", "logistic", "forest", "bayes"),
            integer("k", 1, 60, ("model", ("knn",))),
            cat("weights", "uniform", "distance", when=("model", ("knn",))),
            integer("depth", 1, 10, ("model", ("tree", "forest"))),
            integer("leaf", 1, 30, ("model", ("tree", "forest"))),
            real("features", 0.05, 1, ("model", ("forest",))),
            log("C", 1e-4, 1e3, ("model", ("logistic",))),
            cat("scale", "standard", "minmax", "robust", when=("model", ("logistic",))),
            log("smoothing", 1e-10, 1, ("model", ("bayes",))),
        ),
        any_model,
        {
            "k": (1, 2, 4, 7, 11, 16, 24, 40, 60),
            "depth": (1, 2, 3, 4, 6, 10),
            "leaf": (1, 2, 4, 8, 16, 30),
            "features": 5,
            "C": 20,
            "smoothing": 12,
        },
    ),
    Real(
        "which model, iris",
        ("iris", None),
        "logloss",
        (
            cat("model", "knn", "tree", "logistic", "bayes"),
            integer("k", 1, 50, ("model", ("knn",))),
            cat("weights", "uniform", "distance", when=("model", ("knn",))),
            integer("depth", 1, 6, ("model", ("tree",))),
            integer("leaf", 1, 30, ("model", ("tree",))),
            log("C", 1e-3, 1e4, ("model", ("logistic",))),
            cat("scale", "standard", "minmax", "robust", when=("model", ("logistic",))),
            log("smoothing", 1e-10, 1, ("model", ("bayes",))),
        ),
        any_model,
        {"k": (1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 38, 50), "depth": 6, "leaf": 30, "C": 24, "smoothing": 16},
        folds=5,
        held=True,
    ),
)

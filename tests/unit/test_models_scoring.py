"""Training, bundling and scoring, without any registry."""

from __future__ import annotations

import datetime as dt
import pickle
import zlib
from hashlib import sha256

import msgspec
import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from expectations.report import Report, ReportedDrug, ReportedReaction
from models.bundle import Manifest, Parts, bundle_of, digest_of, load_forest, pack, parts_of, read_manifest, unpack
from models.errors import ModelDigestError, ModelError
from models.features import FEATURES, feature_matrix
from models.forest import MINIMUM_CASES, TrainedForest, train
from models.frequencies import Frequencies
from models.scorer import EXTREME, UNUSUAL, USUAL, ModelBundle, Scorer


def some_reports(n: int, seed: int = 0) -> list[Report]:
    """Reports in which drug and reaction go together, as real ones do."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        drug = int(rng.zipf(1.6)) % 40
        terms = [f"TERM {(drug + int(rng.geometric(0.5))) % 40}" for _ in range(int(rng.geometric(0.6)))]
        received = dt.date(2024, 1, 1) + dt.timedelta(days=int(rng.integers(60)))
        made.append(
            Report(
                safetyreportid=f"{seed}-{i}",
                version=1,
                digest=bytes(32),
                receivedate=received,
                receiptdate=received + dt.timedelta(days=int(rng.exponential(10))),
                receipt_time=None,
                transmissiondate=None,
                serious=bool(rng.random() < 0.5),
                seriousness=("hospitalization",) if rng.random() < 0.3 else (),
                age_years=None if rng.random() < 0.3 else float(rng.normal(55, 15)),
                sex=int(rng.integers(1, 3)),
                weight_kg=None if rng.random() < 0.5 else float(rng.normal(75, 12)),
                qualification=None,
                country=None,
                sender=None,
                company_number=None,
                duplicate_numbers=(),
                drugs=tuple(ReportedDrug(f"DRUG {drug + k}", None, 1, None) for k in range(int(rng.geometric(0.7)))),
                reactions=tuple(ReportedReaction(term, None) for term in terms),
                narrative_length=int(rng.exponential(200)),
                unknown_fields=0,
            )
        )
    return made


REPORTS = some_reports(1000)
FRESH = some_reports(300, seed=1)
ABSURD = msgspec.structs.replace(
    REPORTS[0],
    safetyreportid="absurd",
    receivedate=dt.date(1980, 1, 1),
    receiptdate=dt.date(2024, 1, 1),
    seriousness=("death", "lifethreatening", "hospitalization", "disabling", "congenitalanomali", "other"),
    age_years=150.0,
    sex=None,
    weight_kg=900.0,
    drugs=tuple(ReportedDrug(f"NEVER SEEN {i}", None, 1, None) for i in range(2000)),
    reactions=tuple(ReportedReaction(f"NOR THIS {i}", None) for i in range(300)),
    narrative_length=500_000,
)


@pytest.fixture(scope="module")
def trained() -> TrainedForest:
    return train(REPORTS, trees=100)


@pytest.fixture(scope="module")
def scorer(trained: TrainedForest) -> Scorer:
    return Scorer(bundle_of(trained, "7"))


def test_the_same_reports_in_any_order_give_the_same_forest(trained: TrainedForest) -> None:
    again = train(REPORTS[::-1], trees=100)
    assert again.thresholds == trained.thresholds
    assert again.frequencies.to_bytes() == trained.frequencies.to_bytes()
    ours, theirs = (Scorer(bundle_of(t, "1")).score(FRESH).score for t in (trained, again))
    assert np.array_equal(ours, theirs)


def test_another_seed_gives_another_forest(trained: TrainedForest) -> None:
    other = train(REPORTS, trees=100, seed=1)
    assert other.thresholds != trained.thresholds


def test_too_few_cases_are_refused_with_the_number_needed() -> None:
    reports = some_reports(MINIMUM_CASES - 1)
    with pytest.raises(ModelError, match=f"at least {MINIMUM_CASES}"):
        train(reports * 3)


def test_the_fewest_cases_allowed_train_without_a_warning() -> None:
    assert train(some_reports(MINIMUM_CASES), trees=5).metrics["held_out_reports"] == MINIMUM_CASES * 0.2


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ModelError, match="unusual_share"):
        train(REPORTS, unusual_share=share)


def test_versions_of_a_case_stay_on_one_side_of_the_split() -> None:
    """Else a held-out report would know its own names from its other version."""
    unique = [
        msgspec.structs.replace(r, version=v, drugs=(ReportedDrug(f"ONLY {r.safetyreportid}", None, 1, None),))
        for r in REPORTS[:250]
        for v in (1, 2)
    ]
    forest = train(unique, trees=5)
    assert forest.metrics["held_out_reports"] == 100
    assert forest.frequencies.cases == 200
    assert forest.frequencies.drugs.cases.tolist() == [1] * 200


def test_learned_reports_are_described_as_fresh_ones_will_be() -> None:
    """Where every report names a drug of its own: were its own mention counted, only learned drugs would look known."""
    learned, fresh = (
        [msgspec.structs.replace(r, drugs=(ReportedDrug(f"ONLY {r.safetyreportid}", None, 1, None),)) for r in reports]
        for reports in (REPORTS, FRESH)
    )
    forest = train(learned, trees=5)
    described = np.median(feature_matrix(fresh, forest.frequencies), axis=0)
    for feature in ("rarest_drug", "rarest_pair"):
        at = FEATURES.index(feature)
        assert forest.medians[at] == pytest.approx(described[at], abs=0.01)


def test_about_the_asked_share_of_fresh_reports_is_flagged() -> None:
    scorer = Scorer(bundle_of(train(REPORTS, trees=100, unusual_share=0.05), "1"))
    assert 0.02 < np.mean(scorer.score(some_reports(1000, seed=3)).level > USUAL) < 0.1


def test_an_absurd_report_scores_above_all_others_and_is_extreme(scorer: Scorer) -> None:
    scores = scorer.score([*REPORTS, ABSURD])
    assert scores.score[-1] > scores.score[:-1].max()
    assert scores.level[-1] == EXTREME


def test_no_fresh_report_of_the_learned_kind_is_extreme(scorer: Scorer) -> None:
    assert scorer.score(some_reports(3000, seed=4)).level.max() <= UNUSUAL


def test_metrics_tell_mixed_reports_from_real_ones(trained: TrainedForest) -> None:
    assert trained.metrics["auroc_mixed_reports"] > 0.55
    assert trained.metrics["auroc_shuffled_features"] > 0.55


def test_training_time_is_read_from_the_given_clock() -> None:
    ticks = iter([10.0, 12.5])
    assert train(REPORTS[:250], trees=5, clock=lambda: next(ticks)).metrics["train_seconds"] == 2.5


def test_scores_come_in_the_shapes_and_types_promised(scorer: Scorer) -> None:
    scores = scorer.score(FRESH)
    assert (scores.score.shape, scores.score.dtype) == ((300,), np.float64)
    assert (scores.level.shape, scores.level.dtype) == ((300,), np.int8)
    assert ((scores.score > 0) & (scores.score <= 1)).all()


def test_no_reports_give_no_scores(scorer: Scorer) -> None:
    scores = scorer.score([])
    assert (scores.score.shape, scores.level.shape, scores.reasons) == ((0,), (0,), ())


def test_flagged_reports_and_only_they_have_up_to_three_reasons(scorer: Scorer) -> None:
    scores = scorer.score([*some_reports(2000, seed=5), ABSURD])
    flagged = scores.level > USUAL
    assert flagged.any()
    for is_flagged, reasons in zip(flagged, scores.reasons, strict=True):
        assert 1 <= len(reasons) <= 3 if is_flagged else reasons == ()
        assert set(reasons) <= set(FEATURES)


def test_the_weightiest_reason_lowers_the_score_most(trained: TrainedForest, scorer: Scorer) -> None:
    verdict = scorer.score([ABSURD])
    row = feature_matrix([ABSURD], trained.frequencies)[0]
    lowered = {}
    for i, name in enumerate(FEATURES):
        ablated = row.copy()
        ablated[i] = trained.medians[i]
        lowered[name] = -trained.forest.score_samples(ablated[np.newaxis, :])[0]
    assert list(verdict.reasons[0]) == sorted(lowered, key=lowered.__getitem__)[:3]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([*FRESH[:30], ABSURD]), min_size=1, max_size=6), st.integers(0, 6))
def test_a_verdict_does_not_depend_on_the_batch(scorer: Scorer, reports: list[Report], cut: int) -> None:
    whole, head, tail = scorer.score(reports), scorer.score(reports[:cut]), scorer.score(reports[cut:])
    assert np.array_equal(whole.score, np.concatenate([head.score, tail.score]))
    assert np.array_equal(whole.level, np.concatenate([head.level, tail.level]))
    assert whole.reasons == head.reasons + tail.reasons


def test_a_bundle_travels_by_pickle_and_says_its_version(trained: TrainedForest) -> None:
    bundle = pickle.loads(pickle.dumps(bundle_of(trained, "7")))
    assert Scorer(bundle).version == "7"
    assert len(repr(bundle)) < 100


@pytest.mark.parametrize("at", [0, 31, 32, 5000, -1])
def test_a_bundle_with_one_changed_bit_is_refused(trained: TrainedForest, at: int) -> None:
    data = bytearray(bundle_of(trained, "1").data)
    data[at] ^= 1
    with pytest.raises(ModelDigestError):
        Scorer(ModelBundle("1", bytes(data)))


@pytest.mark.parametrize("data", [b"", b"short", bytes(32) + zlib.compress(b"other")])
def test_bytes_that_are_no_bundle_are_refused(data: bytes) -> None:
    with pytest.raises(ModelDigestError):
        unpack(data)


def test_content_of_another_layout_is_refused_as_a_model_error() -> None:
    content = b"\x93\x01\x02\x03"
    with pytest.raises(ModelError):
        unpack(sha256(content).digest() + zlib.compress(content))


def test_the_digest_covers_every_file(trained: TrainedForest) -> None:
    parts = parts_of(trained)
    changed = {
        name: digest_of(msgspec.structs.replace(parts, **{name: b"x"}))
        for name in ("manifest", "forest", "frequencies")
    }
    assert len({digest_of(parts), *changed.values()}) == 4
    assert unpack(pack(parts)) == parts


class Stranger:
    """A type that no forest needs."""


def test_a_forest_file_with_an_untrusted_type_is_refused() -> None:
    with pytest.raises(ModelError, match="refused"):
        load_forest(skops.io.dumps({"forest": Stranger()}))


def test_a_file_that_holds_something_else_than_a_forest_is_refused() -> None:
    with pytest.raises(ModelError, match="no sound isolation forest"):
        load_forest(skops.io.dumps(Pipeline([])))


def test_a_forest_on_other_features_is_refused() -> None:
    forest = IsolationForest(n_estimators=2).fit(np.random.default_rng(0).normal(size=(20, 3)))
    with pytest.raises(ModelError, match="no sound isolation forest"):
        load_forest(skops.io.dumps(forest))


@pytest.mark.parametrize(
    ("attribute", "index", "bad"),
    [("left_child", 0, 10**6), ("right_child", 0, -5), ("left_child", 0, 0), ("feature", 0, len(FEATURES))],
)
def test_a_tree_that_leads_outside_itself_is_refused(attribute: str, index: int, bad: int) -> None:
    forest = train(REPORTS[:250], trees=2).forest
    state = forest.estimators_[0].tree_.__getstate__()
    state["nodes"][attribute][index] = bad
    forest.estimators_[0].tree_.__setstate__(state)
    with pytest.raises(ModelError, match="no sound isolation forest"):
        load_forest(skops.io.dumps(forest))


def test_bytes_that_are_no_forest_are_refused() -> None:
    with pytest.raises(ModelError, match="Train it again"):
        load_forest(pickle.dumps(IsolationForest()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"features": ("age",)}, "other features"),
        ({"medians": (1.0,)}, "other features"),
        ({"format": 2}, "other features"),
        ({"scikit_learn": "0.24.2"}, "scikit-learn 0.24.2"),
    ],
)
def test_a_manifest_of_another_time_is_refused(trained: TrainedForest, change: dict[str, object], told: str) -> None:
    manifest = msgspec.json.decode(parts_of(trained).manifest, type=Manifest)
    with pytest.raises(ModelError, match=told):
        read_manifest(msgspec.json.encode(msgspec.structs.replace(manifest, **change)))


def test_a_manifest_that_is_no_json_is_refused() -> None:
    with pytest.raises(ModelError, match="manifest"):
        read_manifest(b"{")


def test_a_bundle_holds_no_name_of_a_drug_or_reaction(trained: TrainedForest) -> None:
    parts: Parts = unpack(bundle_of(trained, "1").data)
    for part in (parts.manifest, parts.forest, parts.frequencies):
        assert b"DRUG 1" not in part
        assert b"TERM 1" not in part


def test_an_empty_frequency_table_scores_too(trained: TrainedForest) -> None:
    parts = msgspec.structs.replace(parts_of(trained), frequencies=Frequencies.learn([]).to_bytes())
    assert len(Scorer(ModelBundle("1", pack(parts))).score(FRESH[:5]).score) == 5

#include "cc/plan/recompute_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/plan/eligibility.h"
#include "cc/sim/liveness.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
constexpr int64_t kTensor = 64 * 64 * 4;

// Forward ops that each read one or two of the three before them, and back: a
// gradient op for each, which reads the gradient before it and that tensor.
std::string RandomTrainingStep(int ops, std::mt19937* random) {
  GraphBuilder builder;
  builder.Arg("x", {64, 64});
  std::vector<std::string> names = {"x"};
  for (int i = 0; i < ops; ++i) {
    const std::string name = "f" + std::to_string(i);
    const auto before = [&] {
      const int back = 1 + static_cast<int>((*random)() % 3);
      return names[std::max<int>(0, static_cast<int>(names.size()) - back)];
    };
    if ((*random)() % 2 == 0) {
      builder.Node(name, "MatMul", {names.back(), before()}, kT);
    } else {
      builder.Node(name, "Tanh", {names.back()}, kT);
    }
    names.push_back(name);
  }
  std::string last = names.back();
  for (int i = ops; i-- > 0;) {
    const std::string name = "gradient_tape/g" + std::to_string(i);
    builder.Node(name, "MatMul", {last, "f" + std::to_string(i)}, kT);
    last = name;
  }
  return builder.Retval("out", last).Build();
}

struct Case {
  explicit Case(std::string graphdef)
      : bytes(std::move(graphdef)),
        graph(*OpGraph::Parse(bytes, {})),
        micros(graph.num_ops(), 1.0f) {}

  int64_t Peak(const std::vector<uint8_t>& set = {}) const {
    return SimulateLiveness(graph, ExecutionOrder(graph, {}), set).peak_bytes;
  }
  Recomputation Search(int64_t limit, const std::vector<float>& asked = {},
                       bool first_will_do = false) const {
    return SearchRecomputation({graph, micros, asked, limit, first_will_do});
  }
  // The least time of any set that meets the limit; infinite where none does.
  double Optimum(int64_t limit) const {
    std::vector<int32_t> may;
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (WhyNotRecomputed(graph, i) == Reason::kNone) may.push_back(i);
    }
    double best = std::numeric_limits<double>::infinity();
    for (uint32_t bits = 0; bits < 1u << may.size(); ++bits) {
      std::vector<uint8_t> set(graph.num_ops(), 0);
      double cost = 0;
      for (size_t k = 0; k < may.size(); ++k) {
        if ((bits >> k & 1) == 0) continue;
        set[may[k]] = 1;
        cost += micros[may[k]];
      }
      if (cost < best && Peak(set) <= limit) best = cost;
    }
    return best;
  }

  std::string bytes;
  OpGraph graph;
  Scratch<float> micros;
};

TEST(RecomputeSearch, NothingWhereTheLimitHoldsAlready) {
  std::mt19937 random(1);
  const Case c(RandomTrainingStep(8, &random));
  const Recomputation found = c.Search(c.Peak());
  EXPECT_EQ(found.micros, 0);
  EXPECT_EQ(found.peak_bytes, c.Peak());
}

TEST(RecomputeSearch, SaysWhatItsChoiceTakes) {
  std::mt19937 random(2);
  const Case c(RandomTrainingStep(30, &random));
  const Recomputation found = c.Search(c.Peak() / 2);
  EXPECT_EQ(found.peak_bytes, c.Peak(found.recompute));
  double micros = 0;
  for (int32_t i = 0; i < c.graph.num_ops(); ++i) {
    if (!found.recompute[i]) continue;
    micros += c.micros[i];
    EXPECT_EQ(WhyNotRecomputed(c.graph, i), Reason::kNone) << c.graph.name(i);
  }
  EXPECT_EQ(found.micros, micros);
}

// Against every set of ops. The problem is NP-hard and this a search: the
// tightest limits that can be met at all it may miss.
TEST(RecomputeSearch, ComesCloseToTheOptimumOfSmallGraphs) {
  std::mt19937 random(3);
  double found_micros = 0, least_micros = 0;
  int met = 0, missed = 0;
  for (int trial = 0; trial < 30; ++trial) {
    Case c(RandomTrainingStep(9, &random));
    for (float& micros : c.micros) {
      micros = 1.0f + static_cast<float>(random() % 20);
    }
    for (int64_t limit = c.Peak() - kTensor; limit > 0; limit -= kTensor) {
      const double least = c.Optimum(limit);
      const Recomputation found = c.Search(limit);
      if (found.peak_bytes > limit) {
        missed += least < std::numeric_limits<double>::infinity();
        break;
      }
      ++met;
      EXPECT_GE(found.micros, least);
      found_micros += found.micros;
      least_micros += least;
    }
  }
  EXPECT_LE(missed * 20, met) << missed << " missed, " << met << " met";
  EXPECT_LE(found_micros, 1.05 * least_micros);
}

TEST(RecomputeSearch, ATighterLimitTakesMoreTime) {
  std::mt19937 random(4);
  const Case c(RandomTrainingStep(40, &random));
  double before = 0;
  for (const double share : {0.9, 0.75, 0.6, 0.45}) {
    const auto limit = static_cast<int64_t>(share * c.Peak());
    const Recomputation found = c.Search(limit);
    EXPECT_LE(found.peak_bytes, limit) << share;
    EXPECT_GE(found.micros, before) << share;
    before = found.micros;
  }
}

TEST(RecomputeSearch, TheFirstChoiceThatMeetsTheLimitMayEndIt) {
  std::mt19937 random(7);
  const Case c(RandomTrainingStep(40, &random));
  const int64_t limit = c.Peak() / 2;
  const Recomputation first = c.Search(limit, {}, true);
  EXPECT_LE(first.peak_bytes, limit);
  EXPECT_GT(first.micros, c.Search(limit).micros);
  // Out of reach, it is the whole search.
  EXPECT_EQ(c.Search(0, {}, true).recompute, c.Search(0).recompute);
}

TEST(RecomputeSearch, CheapOpsComeBeforeDearOnes) {
  std::mt19937 random(5);
  Case c(RandomTrainingStep(20, &random));
  for (int32_t i = 0; i < c.graph.num_ops(); ++i) {
    if (c.graph.op(i) == "MatMul") c.micros[i] = 1000.0f;
  }
  const Recomputation found = c.Search(c.Peak() - kTensor);
  EXPECT_LE(found.peak_bytes, c.Peak() - kTensor);
  EXPECT_LT(found.micros, 1000.0);
}

// A limit far out of reach is exceeded throughout, and hides the peak.
TEST(RecomputeSearch, ALimitOutOfReachEndsAsLowAsOneThatIsNot) {
  std::mt19937 random(8);
  const Case c(RandomTrainingStep(40, &random));
  int64_t least = c.Peak();
  while (true) {
    const Recomputation found = c.Search(least - least / 8);
    if (found.peak_bytes >= least) break;
    least = found.peak_bytes;
  }
  EXPECT_LE(c.Search(0).peak_bytes, least);
}

TEST(RecomputeSearch, WhatAPolicyAsksForIsNotAllThatIsTried) {
  std::mt19937 random(9);
  double alone = 0, with_asked = 0;
  for (int trial = 0; trial < 3; ++trial) {
    Case c(RandomTrainingStep(40, &random));
    // What it would like to run again is what costs most.
    std::vector<float> asked(c.graph.num_ops());
    for (int32_t i = 0; i < c.graph.num_ops(); ++i) {
      c.micros[i] = static_cast<float>(1 + random() % 100);
      asked[i] = c.micros[i];
    }
    const int64_t limit = c.Peak() / 2;
    const Recomputation found = c.Search(limit, asked);
    EXPECT_LE(found.peak_bytes, limit);
    with_asked += found.micros;
    alone += c.Search(limit).micros;
  }
  EXPECT_LE(with_asked, 1.02 * alone);
}

TEST(RecomputeSearch, OutOfReachItGetsAsLowAsItCan) {
  std::mt19937 random(6);
  const Case c(RandomTrainingStep(40, &random));
  const Recomputation found = c.Search(0);
  EXPECT_LT(found.peak_bytes, c.Peak() / 2);
}

}  // namespace
}  // namespace grappler_go

// The parts of a search: its space, clusters, starts and timelines.
#include "cc/plan/search_starts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/plan/search_timeline.h"
#include "cc/testing/graph_builder.h"
#include "cc/testing/two_chains.h"

namespace grappler_go {
namespace {

class SearchStartsTest : public ::testing::Test {
 protected:
  SearchStartsTest() {
    logits_.num_devices = 2;
    options_.free_state = true;
    Load(TwoChains(20));
  }
  void Load(std::string bytes) {
    bytes_ = std::move(bytes);
    graph_ = *OpGraph::Parse(bytes_, {});
    logits_.num_ops = graph_.num_ops();
  }
  SearchSpace Space() {
    return *MakeSearchSpace(graph_, machine_, logits_, options_);
  }
  int32_t Unit(const SearchSpace& space, const char* name) const {
    return space.unit_of[graph_.find(name)];
  }

  std::string bytes_;
  OpGraph graph_;
  Machine machine_ = TwoGpus();
  Logits logits_;
  PlanOptions options_;
};

TEST_F(SearchStartsTest, ATransferCostsWhatItTakesOfCpusToo) {
  machine_.links = {{0, 1, 1.0, 10.0, 100.0, 500.0},
                    {1, 0, 1.0, 10.0, 100.0, 500.0}};
  EXPECT_DOUBLE_EQ(Space().LinkMicros(0, 1, 1e6), 10 + 1000) << "between GPUs";
  const auto make_cpu = [&](size_t k) {
    machine_.devices[k].type = "CPU";
    machine_.devices[k].name = FullDeviceName("CPU:" + std::to_string(k));
  };
  make_cpu(1);
  EXPECT_DOUBLE_EQ(Space().LinkMicros(0, 1, 1e6), 10 + 1000 + 600);
  make_cpu(0);
  EXPECT_DOUBLE_EQ(Space().LinkMicros(1, 0, 1e6), 10 + 1000 + 2 * 600);
  EXPECT_DOUBLE_EQ(Space().LinkMicros(1, 1, 1e6), 0);
}

TEST_F(SearchStartsTest, CoarseClustersHaveAllTheWorkOfTheUnits) {
  const SearchSpace space = Space();
  SearchRandom random(1);
  const Clusters units = UnitClusters(space, 1.0);
  const Clusters coarse = Coarsen(space, units, 8, &random);
  EXPECT_LT(coarse.count, units.count / 2);
  auto work = [](const Clusters& c) {
    return std::accumulate(c.micros.begin(), c.micros.end(), 0.0);
  };
  EXPECT_NEAR(work(coarse), work(units), 1e-3 * work(units));
  EXPECT_EQ(coarse.units.values.size(), units.units.values.size());
  for (int32_t c = 0; c < coarse.count; ++c) {
    for (int32_t u : coarse.units[c]) EXPECT_EQ(coarse.of_unit[u], c);
  }
}

TEST_F(SearchStartsTest, AnAnnealedCutPutsChainsApartAndCutsNone) {
  const SearchSpace space = Space();
  SearchRandom random(1);
  // Of clusters, as the search makes it: moves of single ops find a cut through
  // both chains as good as any near it.
  const Clusters clusters =
      Coarsen(space, UnitClusters(space, 1.0), 8, &random);
  const UnitDevices cut =
      AnnealCut(space, clusters, {0, 1}, space.home, AnnealOptions(), &random);
  for (const char* chain : {"a", "b"}) {
    int32_t here = 0;
    for (int k = 0; k < 20; ++k) {
      here += cut[Unit(space, (chain + std::to_string(k)).c_str())];
    }
    EXPECT_TRUE(here == 0 || here == 20) << chain << ": " << here;
  }
  EXPECT_NE(cut[Unit(space, "a0")], cut[Unit(space, "b0")]);
}

TEST_F(SearchStartsTest, AClusterStartsWhereMostOfItsWorkDoes) {
  const SearchSpace space = Space();
  SearchRandom random(1);
  const Clusters clusters =
      Coarsen(space, UnitClusters(space, 1.0), 4, &random);
  UnitDevices start = OnOneDevice(space, 1);
  int32_t large = 0;
  for (int32_t c = 0; c < clusters.count; ++c) {
    if (clusters.units[c].size() < 3) continue;
    start[clusters.units[c][0]] = 0;
    ++large;
  }
  ASSERT_GT(large, 0);
  AnnealOptions options;
  options.steps_per_cluster = 0;
  const UnitDevices cut =
      AnnealCut(space, clusters, {0, 1}, start, options, &random);
  for (int32_t u : space.movable) EXPECT_EQ(cut[u], 1);
}

TEST_F(SearchStartsTest, AMultilevelCutPutsChainsApartFromUnitsToo) {
  const SearchSpace space = Space();
  SearchRandom random(3);
  std::vector<Clusters> levels = {UnitClusters(space, 1.0)};
  levels.insert(levels.begin(), Coarsen(space, levels[0], 16, &random));
  ASSERT_LT(levels[0].count, levels[1].count);
  AnnealOptions options;
  options.windows = 4;
  const UnitDevices cut = MultilevelCut(
      space, levels, {0, 1}, ContiguousCut(space, {0, 1}), options, &random);
  for (int k = 1; k < 20; ++k) {
    EXPECT_EQ(cut[Unit(space, ("a" + std::to_string(k)).c_str())],
              cut[Unit(space, "a0")]);
  }
  EXPECT_NE(cut[Unit(space, "a0")], cut[Unit(space, "b0")]);
}

TEST_F(SearchStartsTest, WithWindowsDevicesShareTheWorkOfEachStretch) {
  const SearchSpace space = Space();
  const Clusters units = UnitClusters(space, 1.0);
  AnnealOptions options;
  options.cut_weight = 0;
  options.start_temperature = 1e-9;  // nothing but what is better
  // Of 40 products in the order of their depth, those on the second device
  // among the first half.
  auto second_in_first_half = [&](int32_t windows) {
    options.windows = windows;
    SearchRandom random(1);
    const UnitDevices cut = AnnealCut(
        space, units, {0, 1}, ContiguousCut(space, {0, 1}), options, &random);
    int32_t count = 0;
    for (int k = 0; k < 10; ++k) {
      count += cut[Unit(space, ("a" + std::to_string(k)).c_str())];
      count += cut[Unit(space, ("b" + std::to_string(k)).c_str())];
    }
    return count;
  };
  EXPECT_EQ(second_in_first_half(1), 0) << "one after the other is even, too";
  EXPECT_EQ(second_in_first_half(2), 10);
  EXPECT_EQ(second_in_first_half(4), 10);
}

TEST_F(SearchStartsTest, ACutCanWeighWhatThePolicyWouldRather) {
  // All would rather be on the second device.
  logits_.device.assign(2 * graph_.num_ops(), 0.0f);
  for (int k = 0; k < 20; ++k) {
    logits_.device[2 * graph_.find("a" + std::to_string(k)) + 1] = 4.0f;
    logits_.device[2 * graph_.find("b" + std::to_string(k)) + 1] = 4.0f;
  }
  const SearchSpace space = Space();
  const Clusters units = UnitClusters(space, 1.0);
  auto on_second = [&](double weight) {
    AnnealOptions options;
    options.policy_weight = weight;
    SearchRandom random(1);
    const UnitDevices cut =
        AnnealCut(space, units, {0, 1}, space.home, options, &random);
    int32_t count = 0;
    for (int k = 0; k < 20; ++k) {
      count += cut[Unit(space, ("a" + std::to_string(k)).c_str())];
      count += cut[Unit(space, ("b" + std::to_string(k)).c_str())];
    }
    return count;
  };
  EXPECT_EQ(on_second(10.0), 40);
  EXPECT_EQ(on_second(0.0), 20) << "balance alone";
}

TEST_F(SearchStartsTest, CoarseningEndsWhereNothingCanBeJoined) {
  const SearchSpace space = Space();
  SearchRandom random(1);
  const Clusters clusters =
      Coarsen(space, UnitClusters(space, 1.0), 0, &random);
  EXPECT_GE(clusters.count, 1);
}

TEST_F(SearchStartsTest, AListScheduleUsesBothDevices) {
  const SearchSpace space = Space();
  const UnitDevices placed = ListSchedule(space, UnitClusters(space, 1.0));
  EXPECT_NE(placed[Unit(space, "a19")], placed[Unit(space, "b19")]);
}

TEST_F(SearchStartsTest, AContiguousCutFollowsDepthAndSpeed) {
  machine_.devices[1].gflops = 3 * machine_.devices[0].gflops;
  const SearchSpace space = Space();
  const UnitDevices cut = ContiguousCut(space, {0, 1});
  EXPECT_EQ(cut[Unit(space, "a0")], 0);
  EXPECT_EQ(cut[Unit(space, "a10")], 1) << "three quarters are the second's";
  EXPECT_EQ(cut[Unit(space, "b19")], 1);
}

// Two layers, unrolled: each has a variable that all of its steps read. The
// constant that all read, and what waits for both variables, is of no layer.
TEST_F(SearchStartsTest, CutsBetweenLayersWhereStepsAreUnrolled) {
  const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
  const GraphBuilder::Attrs read = {{"dtype", TypeAttrValue(kFloat)}};
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).VarArg("w0", {64, 64}).VarArg("w1", {64, 64});
  builder.Node("read0", "ReadVariableOp", {"w0"}, read)
      .Node("read1", "ReadVariableOp", {"w1"}, read)
      .Const("half", {64, 64})
      .Node("both", "NoOp", {"^read0", "^read1"});
  constexpr int kSteps = 12;
  std::string state[2] = {"x", "x"};
  for (int k = 0; k < kSteps; ++k) {
    std::string below = "x";
    for (int layer = 0; layer < 2; ++layer) {
      const std::string at = std::to_string(layer) + "_" + std::to_string(k);
      const std::string weights = "read" + std::to_string(layer);
      builder.Node("sum" + at, "AddV2", {below, state[layer]}, t)
          .Node("product" + at, "MatMul", {"sum" + at, weights}, t)
          .Node("scaled" + at, "Mul", {"product" + at, "half"}, t)
          .Node("tanh" + at, "Tanh", {"scaled" + at}, t);
      below = state[layer] = "tanh" + at;
    }
  }
  Load(builder.Build());
  const SearchSpace space = Space();
  const std::vector<int32_t> units = LayersOf(space, UnitClusters(space, 1.0));
  auto device_in = [&](const UnitDevices& cut, const char* op, int layer,
                       int k) {
    const std::string name =
        op + std::to_string(layer) + "_" + std::to_string(k);
    return cut[space.unit_of[graph_.find(name)]];
  };
  const UnitDevices layers = LayerCut(space, units, {0, 1}, 0.5);
  // The first layer's work ends, and the second's begins, where the parts meet.
  const UnitDevices second = LayerCut(space, units, {0, 1}, 1.0);
  EXPECT_EQ(device_in(second, "product", 1, 0), 1);
  for (int k = 0; k < kSteps; ++k) {
    for (const char* op : {"product", "scaled", "tanh"}) {
      EXPECT_EQ(device_in(layers, op, 0, k), 0) << op << k;
      EXPECT_EQ(device_in(layers, op, 1, k), 1) << op << k;
    }
  }
  const UnitDevices time = ContiguousCut(space, {0, 1});
  EXPECT_EQ(device_in(time, "product", 1, 0), 0);
  EXPECT_EQ(device_in(time, "product", 0, kSteps - 1), 1);
}

// Three equal layers on two devices.
TEST_F(SearchStartsTest, ReachSaysWhoGetsMore) {
  const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
  const GraphBuilder::Attrs read = {{"dtype", TypeAttrValue(kFloat)}};
  GraphBuilder builder;
  builder.Arg("x", {256, 256});
  std::string below = "x";
  for (const std::string layer : {"0", "1", "2"}) {
    builder.VarArg("w" + layer, {256, 256});
    builder.Node("read" + layer, "ReadVariableOp", {"w" + layer}, read);
    builder.Node("product" + layer, "MatMul", {below, "read" + layer}, t);
    below = "product" + layer;
  }
  Load(builder.Build());
  const SearchSpace space = Space();
  const std::vector<int32_t> units = LayersOf(space, UnitClusters(space, 1.0));
  auto devices = [&](double reach) {
    const UnitDevices cut = LayerCut(space, units, {0, 1}, reach);
    std::string found;
    for (const char* op : {"product0", "product1", "product2"}) {
      found += std::to_string(cut[space.unit_of[graph_.find(op)]]);
    }
    return found;
  };
  EXPECT_EQ(devices(0.0), "001");
  EXPECT_EQ(devices(1.0), "011");
}

TEST_F(SearchStartsTest, SamplesHaveThePolicysProbabilities) {
  logits_.device.assign(2 * graph_.num_ops(), 0.0f);
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    logits_.device[2 * i + 1] = 1.0986123f;  // three to one
  }
  const SearchSpace space = Space();
  SearchRandom random(5);
  double second = 0, switches = 0;
  constexpr int kSamples = 2000;
  const int32_t unit = Unit(space, "a7");
  for (int k = 0; k < kSamples; ++k) {
    const UnitDevices sample = PolicySample(space, 1.0, 1, &random);
    second += sample[unit];
    switches += sample[unit] != sample[Unit(space, "b3")];
  }
  EXPECT_NEAR(second / kSamples, 0.75, 0.04);
  EXPECT_EQ(switches, 0) << "one stretch, one noise";
  EXPECT_EQ(PolicyArgmax(space)[unit], 1);
}

TEST_F(SearchStartsTest, ACriticalPathGoesThroughTransfersAndQueues) {
  Simulation step;
  const int32_t a0 = graph_.find("a0"), a1 = graph_.find("a1");
  const int32_t b0 = graph_.find("b0");
  auto task = [&](int32_t op, int32_t device, double start, double end) {
    TaskSpan span;
    span.op = op;
    span.device = device;
    span.start = start;
    span.end = end;
    step.tasks.push_back(span);
  };
  // b0 runs before a0, whose result travels from 20 to 25.
  task(b0, 0, 0, 10);
  task(a0, 0, 10, 20);
  task(a1, 1, 25, 40);
  step.transfers.push_back({a0, 0, 0, 1, 100, 20, 25});
  std::vector<int32_t> device(graph_.num_ops(), 0);
  device[a1] = 1;
  const std::vector<CriticalWait> path =
      ReadTimeline(graph_, {}, device, step).critical_path;
  ASSERT_EQ(path.size(), 5u);
  EXPECT_EQ(path[0].kind, CriticalWait::kCompute);
  EXPECT_EQ(path[0].op, a1);
  EXPECT_EQ(path[1].kind, CriticalWait::kTransfer);
  EXPECT_EQ(path[1].maker, a0);
  EXPECT_EQ(path[1].micros, 5);
  EXPECT_EQ(path[3].kind, CriticalWait::kQueue);
  EXPECT_EQ(path[3].op, a0);
  EXPECT_EQ(path[3].maker, b0);
  EXPECT_EQ(path[4].op, b0);
}

}  // namespace
}  // namespace grappler_go

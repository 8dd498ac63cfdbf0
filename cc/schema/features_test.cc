#include "cc/schema/features.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cc/base/json.h"
#include "cc/cost/calibration.h"
#include "cc/cost/op_cost.h"
#include "cc/graph/op_def.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

Machine TwoDevices() {
  Machine machine;
  machine.devices = {{"/device:CPU:0", "CPU", 127.0, 31.0, 0},
                     {"/device:GPU:0", "GPU", 8191.0, 1023.0, 1023}};
  machine.links = {{0, 1, 7.0, 15.0}};
  return machine;
}

int Column(const std::string& name) {
  const auto& names = OpFeatureNames();
  const auto it = std::find(names.begin(), names.end(), name);
  EXPECT_NE(it, names.end()) << name;
  return static_cast<int>(it - names.begin());
}

class FeaturesTest : public ::testing::Test {
 protected:
  FeaturesTest()
      : bytes_(GraphBuilder()
                   .VarArg("w", {15, 7})
                   .Arg("x", {3, 15})
                   .Node("read", "ReadVariableOp", {"w"},
                         {{"dtype", TypeAttrValue(kFloat)}})
                   .Node("product", "MatMul", {"x", "read"},
                         {{"T", TypeAttrValue(kFloat)}})
                   .Node("odd", "NeverHeardOf", {"product"})
                   .Node("y", "Tanh", {"product", "^odd"})
                   .Arg("image", {2, 8, 8, 3})
                   .Const("filter", {3, 5, 3, 4})
                   .Node("conv", "Conv2D", {"image", "filter"},
                         {{"strides", IntListAttr({1, 2, 2, 1})},
                          {"padding", StringAttrValue("SAME")}})
                   .Retval("out", "y")
                   .Build()),
        graph_(OpGraph::Parse(bytes_, {})),
        features_(ComputeFeatures(*graph_, TwoDevices())) {}

  float At(const std::string& op, const std::string& column) {
    const int32_t i = graph_->find(op);
    EXPECT_GE(i, 0);
    return features_.op_features[i * OpFeatureNames().size() + Column(column)];
  }

  std::string bytes_;
  StatusOr<OpGraph> graph_;
  Features features_;
};

TEST_F(FeaturesTest, HasARowForEachOpAndDevice) {
  EXPECT_EQ(features_.num_ops, graph_->num_ops());
  EXPECT_EQ(features_.num_devices, 2);
  EXPECT_EQ(features_.op_type.size(), static_cast<size_t>(features_.num_ops));
  EXPECT_EQ(features_.op_features.size(),
            features_.num_ops * OpFeatureNames().size());
  EXPECT_EQ(features_.device_features.size(), 2 * DeviceFeatureNames().size());
  for (const float value : features_.op_features) {
    EXPECT_TRUE(std::isfinite(value));
  }
}

TEST_F(FeaturesTest, DescribesAMatMul) {
  EXPECT_FLOAT_EQ(At("product", "log2_flops"), std::log2(1 + 2 * 3 * 15 * 7));
  EXPECT_FLOAT_EQ(At("product", "log2_bytes_read"),
                  std::log2(1 + 4 * (45 + 105)));
  EXPECT_FLOAT_EQ(At("product", "log2_bytes_written"), std::log2(1 + 4 * 21));
  EXPECT_FLOAT_EQ(At("product", "log2_output_elements"), std::log2(22));
  EXPECT_FLOAT_EQ(At("product", "output_rank"), 2);
  EXPECT_FLOAT_EQ(At("product", "log2_last_dim"), 3);
  EXPECT_FLOAT_EQ(At("product", "log2_batch"), 2);
  EXPECT_FLOAT_EQ(At("product", "log2_contraction"), 4);
  EXPECT_FLOAT_EQ(At("product", "log2_inputs"), std::log2(3));
  EXPECT_FLOAT_EQ(At("product", "log2_consumers"), std::log2(3));
  EXPECT_FLOAT_EQ(At("product", "dtype_size"), 4);
  EXPECT_FLOAT_EQ(At("product", "cost_known"), 1);
  EXPECT_FLOAT_EQ(At("product", "has_xla_cpu_kernel"), 1);
  EXPECT_FLOAT_EQ(At("product", "kind_broadcast"), 0);
  EXPECT_FLOAT_EQ(At("product", "reads_variable"), 0);
  EXPECT_FLOAT_EQ(At("read", "reads_variable"), 1);
  EXPECT_FLOAT_EQ(At("read", "is_stateful"), 1);
}

TEST_F(FeaturesTest, DescribesAConvolution) {
  EXPECT_FLOAT_EQ(At("conv", "log2_kernel"), std::log2(1 + 3 * 5));
  EXPECT_FLOAT_EQ(At("conv", "log2_stride"), std::log2(1 + 4));
  EXPECT_FLOAT_EQ(At("conv", "log2_contraction"), std::log2(1 + 3 * 5 * 3));
  EXPECT_FLOAT_EQ(At("conv", "kind_pointwise"), 0);
}

TEST(Features, SayOfWhichKindAnOpIs) {
  const std::string bytes = GraphBuilder()
                                .Arg("image", {2, 8, 8, 4})
                                .Const("filter", {1, 1, 4, 4})
                                .Arg("row", {4})
                                .IntConst("axes", {2}, {1, 3})
                                .Node("conv", "Conv2D", {"image", "filter"},
                                      {{"strides", IntListAttr({1, 1, 1, 1})},
                                       {"padding", StringAttrValue("SAME")}})
                                .Node("scaled", "Mul", {"image", "row"})
                                .Node("sum", "Sum", {"image", "axes"})
                                .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Features features = ComputeFeatures(*graph, TwoDevices());
  const std::pair<const char*, const char*> kinds[] = {
      {"conv", "kind_pointwise"},
      {"scaled", "kind_broadcast"},
      {"sum", "kind_apart"}};
  for (const auto& [name, own] : kinds) {
    for (const auto& [other, kind] : kinds) {
      const size_t row = graph->find(name) * features.num_op_columns;
      EXPECT_EQ(features.op_features[row + Column(kind)],
                std::string(own) == kind ? 1 : 0)
          << name << " " << kind;
    }
  }
}

TEST_F(FeaturesTest, EveryOpHasOneClass) {
  EXPECT_FLOAT_EQ(At("product", "class_matmul"), 1);
  EXPECT_FLOAT_EQ(At("y", "class_transcendental"), 1);
  EXPECT_FLOAT_EQ(At("odd", "class_other"), 1);
  for (int32_t i = 0; i < graph_->num_ops(); ++i) {
    float classes = 0;
    for (size_t c = 0; c < OpFeatureNames().size(); ++c) {
      if (OpFeatureNames()[c].rfind("class_", 0) != 0) continue;
      classes += features_.op_features[i * OpFeatureNames().size() + c];
    }
    EXPECT_EQ(classes, 1) << graph_->name(i);
  }
}

TEST_F(FeaturesTest, WhatIsNotKnownSaysSo) {
  EXPECT_FLOAT_EQ(At("odd", "cost_known"), 0);
  EXPECT_FLOAT_EQ(At("odd", "log2_flops"), 0);
  EXPECT_EQ(features_.op_type[graph_->find("odd")], 0);
}

TEST_F(FeaturesTest, DepthRunsFromZeroToOne) {
  EXPECT_FLOAT_EQ(At("x", "relative_depth"), 0);
  EXPECT_FLOAT_EQ(At("out", "relative_depth"), 1);
  EXPECT_GT(At("y", "relative_depth"), At("product", "relative_depth"));
}

TEST_F(FeaturesTest, SaysWhereInTheStepAnOpIs) {
  EXPECT_FLOAT_EQ(At("x", "relative_from_start"), 0);
  EXPECT_GT(At("y", "relative_from_start"),
            At("product", "relative_from_start"));
  EXPECT_GT(At("product", "relative_to_end"), At("y", "relative_to_end"));
  EXPECT_GT(At("y", "relative_stage"), At("product", "relative_stage"));
  EXPECT_LT(At("y", "relative_stage"), 1);
}

TEST_F(FeaturesTest, OpTypesPointIntoTheVocabulary) {
  for (int32_t i = 0; i < graph_->num_ops(); ++i) {
    if (!graph_->def(i).known) continue;
    EXPECT_EQ(OpVocabulary()[features_.op_type[i]], graph_->op(i));
  }
}

TEST_F(FeaturesTest, EdgesCarryTheirBytesAndControlEdgesAreLeftOut) {
  const size_t edges = features_.edge_src.size();
  EXPECT_EQ(edges, 8u);
  EXPECT_EQ(features_.edge_dst.size(), edges);
  EXPECT_EQ(features_.edge_features.size(), edges);
  EXPECT_TRUE(
      std::is_sorted(features_.edge_dst.begin(), features_.edge_dst.end()));
  for (size_t e = 0; e < edges; ++e) {
    if (features_.edge_src[e] != graph_->find("x")) continue;
    EXPECT_EQ(features_.edge_dst[e], graph_->find("product"));
    EXPECT_FLOAT_EQ(features_.edge_features[e], std::log2(1 + 4 * 45));
  }
}

TEST_F(FeaturesTest, DescribesDevicesAndTheirLinks) {
  const std::vector<float>& rows = features_.device_features;
  const size_t width = DeviceFeatureNames().size();
  const std::vector<float> cpu(rows.begin(), rows.begin() + width);
  const std::vector<float> gpu(rows.begin() + width, rows.end());
  EXPECT_EQ(cpu, (std::vector<float>{7, 5, 0, 1, 0, 3, 4}));
  EXPECT_EQ(gpu, (std::vector<float>{13, 10, 10, 0, 1, 3, 4}));
}

TEST_F(FeaturesTest, DescribesEachLink) {
  Machine machine = TwoDevices();
  machine.devices.push_back({"/device:CPU:1", "CPU", 1.0, 1.0, 0});
  machine.links.push_back({1, 2, 3.0, 31.0});
  const Features features = ComputeFeatures(*graph_, machine, kLinkFeatures);
  EXPECT_EQ(features.link_features,
            (std::vector<float>{0, 0, 3, 4, 2, 5, 2, 5, 0, 0, 2, 5, 2, 5, 2, 5,
                                0, 0}))
      << "those that are not named are as the slowest";
  EXPECT_EQ(FindArray(features, "link_features").shape,
            (std::vector<int64_t>{3, 3, 2}));
}

TEST_F(FeaturesTest, TellsWhatOpsTakeOnEachDevice) {
  const int32_t product = graph_->find("product");
  const Machine machine = TwoDevices();
  for (int d = 0; d < 2; ++d) {
    EXPECT_FLOAT_EQ(
        features_.op_device_micros[2 * product + d],
        std::log2(1 + static_cast<float>(RooflineMicros(
                          CostOf(*graph_, product),
                          graph_->def(product).op_class, machine.devices[d]))));
  }
}

TEST_F(FeaturesTest, PrefersTimingsToRooflines) {
  auto calibration = std::make_shared<Calibration>();
  calibration->ops["MatMul"].executor = {7.0, 0, 0, 0};
  Machine machine = TwoDevices();
  machine.devices[1].calibration = calibration;
  const Features features = ComputeFeatures(*graph_, machine, kOpDeviceMicros);
  EXPECT_FLOAT_EQ(features.op_device_micros[2 * graph_->find("product") + 1],
                  3.0f);
}

TEST_F(FeaturesTest, FillsNoArrayThatNobodyReads) {
  for (const std::string& name : ArrayNames()) {
    const Features features =
        ComputeFeatures(*graph_, TwoDevices(), kAllArrays & ~ArraysOf(name));
    const FeatureArray array = FindArray(features, name);
    EXPECT_TRUE(array.ints != nullptr ? array.ints->empty()
                                      : array.floats->empty())
        << name;
  }
}

TEST(ComputeFeatures, TakesAnEmptyGraphAndAnEmptyMachine) {
  StatusOr<OpGraph> graph = OpGraph::Parse("", {});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Features features = ComputeFeatures(*graph, Machine());
  EXPECT_EQ(features.num_ops, 0);
  EXPECT_TRUE(features.op_features.empty());
  EXPECT_TRUE(features.device_features.empty());
}

TEST(OpVocabulary, IsSortedBehindTheOneForAllOthers) {
  const auto& vocabulary = OpVocabulary();
  EXPECT_TRUE(std::is_sorted(vocabulary.begin() + 1, vocabulary.end()));
  const std::set<std::string> distinct(vocabulary.begin(), vocabulary.end());
  EXPECT_EQ(distinct.size(), vocabulary.size());
  EXPECT_FALSE(FindOpDef(vocabulary[0])->known);
  EXPECT_TRUE(FindOpDef(vocabulary[1])->known);
}

TEST(SchemaJson, NamesEverythingThatAModelIsFed) {
  const Json schema = ParseJson(SchemaJson());
  const auto names = [&](const char* field) {
    return schema[field].get<std::vector<std::string>>();
  };
  EXPECT_EQ(schema["schema"].get<std::string>(), "1.3");
  EXPECT_EQ(names("op_features"), OpFeatureNames());
  EXPECT_EQ(names("device_features"), DeviceFeatureNames());
  EXPECT_EQ(names("vocabulary"), OpVocabulary());
  EXPECT_EQ(names("link_features"), LinkFeatureNames());
  EXPECT_EQ(names("inputs"), ArrayNames());
  for (const std::string& name : ArrayNames()) {
    EXPECT_NE(ArraysOf(name), 0u) << name;
  }
  EXPECT_EQ(schema["outputs"].size(), 6u);
}

}  // namespace
}  // namespace grappler_go

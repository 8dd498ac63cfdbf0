#include "cc/graph/fingerprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

struct TestNode {
  std::string name, op;
  std::vector<std::string> inputs;
  GraphBuilder::Attrs attrs;
  std::string device = "";
};

const std::string kType = TypeAttrValue(kFloat);

// Four layers that share an argument, each with two symmetric branches.
std::vector<TestNode> Layers() {
  std::vector<TestNode> nodes = {
      {"x",
       "_Arg",
       {},
       {{"T", kType},
        {"index", IntAttrValue(0)},
        {"_output_shapes", ShapeListAttr({{4, 4}})},
        {"_user_specified_name", StringAttrValue("inputs")}}}};
  std::string last = "x";
  for (int layer = 8; layer < 12; ++layer) {
    const std::string dense = "dense_" + std::to_string(layer);
    nodes.push_back(
        {dense + "/w",
         "Const",
         {},
         {{"dtype", kType}, {"value", FloatTensorAttr({4, 4}, {})}}});
    nodes.push_back({dense + "/MatMul",
                     "MatMul",
                     {last, dense + "/w"},
                     {{"T", kType}, {"transpose_a", BoolAttrValue(false)}}});
    for (const char* branch : {"/a", "/b"}) {
      nodes.push_back(
          {dense + branch, "Relu", {dense + "/MatMul"}, {{"T", kType}}});
      nodes.push_back(
          {dense + branch + "2", "Neg", {dense + branch}, {{"T", kType}}});
    }
    nodes.push_back({dense + "/sync",
                     "NoOp",
                     {"^" + dense + "/a2", "^" + dense + "/b2"},
                     {}});
    nodes.push_back({dense + "/add",
                     "AddV2",
                     {dense + "/MatMul", last, "^" + dense + "/sync"},
                     {{"T", kType}}});
    last = dense + "/add";
  }
  nodes.push_back({"call",
                   "PartitionedCall",
                   {last},
                   {{"f", FuncAttr("__inference_body_123")},
                    {"Tout", TypeListAttr({kFloat})}}});
  nodes.push_back({"out", "_Retval", {"call"}, {{"T", kType}}});
  return nodes;
}

std::string Build(const std::vector<TestNode>& nodes) {
  GraphBuilder builder;
  for (const TestNode& n : nodes) {
    builder.Node(n.name, n.op, n.inputs, n.attrs, n.device);
  }
  return builder.Build();
}

OpGraph Parse(const std::string& bytes) {
  ParseOptions options;
  options.infer_shapes = false;
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, options);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return std::move(*graph);
}

Fingerprint FingerprintOf(const std::vector<TestNode>& nodes) {
  const std::string bytes = Build(nodes);
  return Parse(bytes).fingerprint();
}

// The same program traced again: every layer's number grows, and with it every
// name that mentions it; nodes, attributes and control inputs in another order.
std::vector<TestNode> TracedAgain(std::vector<TestNode> nodes, int seed) {
  std::mt19937 random(seed);
  const auto rename = [](const std::string& name) {
    const size_t at = name.find("dense_");
    if (at == std::string::npos) return name;
    const size_t slash = name.find('/');
    const int layer = std::stoi(name.substr(at + 6, slash - at - 6));
    return name.substr(0, at) + "dense_" + std::to_string(layer + 90) +
           name.substr(slash);
  };
  for (TestNode& node : nodes) {
    node.name = rename(node.name);
    for (std::string& input : node.inputs) input = rename(input);
    std::shuffle(node.attrs.begin(), node.attrs.end(), random);
    const auto controls =
        std::find_if(node.inputs.begin(), node.inputs.end(),
                     [](const std::string& s) { return s[0] == '^'; });
    std::shuffle(controls, node.inputs.end(), random);
  }
  std::shuffle(nodes.begin(), nodes.end(), random);
  return nodes;
}

TEST(Fingerprint, IsTheSameForAGraphRenamedAndShuffledAndSoAreTheNumbers) {
  const std::string bytes = Build(Layers());
  const OpGraph graph = Parse(bytes);
  for (int seed = 0; seed < 20; ++seed) {
    const std::string again_bytes = Build(TracedAgain(Layers(), seed));
    const OpGraph again = Parse(again_bytes);
    ASSERT_EQ(again.fingerprint(), graph.fingerprint());
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      ASSERT_EQ(again.op(i), graph.op(i));
      ASSERT_EQ(again.inputs(i).size(), graph.inputs(i).size());
      std::multiset<std::pair<int32_t, int32_t>> edges, again_edges;
      for (const InputEdge& e : graph.inputs(i)) edges.emplace(e.src, e.port);
      for (const InputEdge& e : again.inputs(i)) {
        again_edges.emplace(e.src, e.port);
      }
      ASSERT_EQ(edges, again_edges) << graph.name(i);
      // The names are the same but for the layer's number.
      const std::string_view name = graph.name(i), other = again.name(i);
      ASSERT_EQ(name.substr(std::min(name.size(), name.find('/'))),
                other.substr(std::min(other.size(), other.find('/'))));
    }
  }
}

// Two branches that nothing tells apart but their names, which a retrace may
// hand out the other way round: whichever comes first, its ops stay together.
TEST(Fingerprint, KeepsSymmetricBranchesTogetherUnderAnyNames) {
  const auto branches = [](const char* a, const char* a2, const char* b,
                           const char* b2) {
    return GraphBuilder()
        .Arg("x", {2})
        .Node(a, "Relu", {"x"}, {{"T", kType}})
        .Node(b, "Relu", {"x"}, {{"T", kType}})
        .Node(a2, "Neg", {a}, {{"T", kType}})
        .Node(b2, "Neg", {b}, {{"T", kType}})
        .Node("sync", "NoOp", {std::string("^") + a2, std::string("^") + b2})
        .Build();
  };
  const std::string one = branches("a", "a2", "b", "b2");
  const std::string two = branches("a", "z2", "b", "b2");
  const OpGraph first = Parse(one), second = Parse(two);
  ASSERT_EQ(first.fingerprint(), second.fingerprint());
  for (int32_t i = 0; i < first.num_ops(); ++i) {
    for (size_t k = 0; k < first.inputs(i).size(); ++k) {
      if (first.inputs(i)[k].port == kControlPort) continue;
      EXPECT_EQ(first.inputs(i)[k].src, second.inputs(i)[k].src);
    }
  }
}

// Twins whose names end in numbers keep their order when the numbers grow.
TEST(Fingerprint, ComparesNumbersInNamesAsNumbers) {
  const auto order = [](const std::string& a, const std::string& b) {
    const std::string bytes = GraphBuilder()
                                  .Arg("x", {2})
                                  .Node(a, "Relu", {"x"}, {{"T", kType}})
                                  .Node(b, "Relu", {"x"}, {{"T", kType}})
                                  .Build();
    const OpGraph graph = Parse(bytes);
    return graph.find(a) < graph.find(b);
  };
  EXPECT_TRUE(order("relu_7", "relu_8"));
  EXPECT_TRUE(order("relu_9", "relu_10"));
  EXPECT_TRUE(order("relu_99/a", "relu_100/a"));
  EXPECT_TRUE(order("relu", "relu_1"));
  EXPECT_FALSE(order("relu_10", "relu_9"));
}

void ExpectDifferent(void (*change)(std::vector<TestNode>*)) {
  std::vector<TestNode> nodes = Layers();
  change(&nodes);
  EXPECT_NE(FingerprintOf(nodes), FingerprintOf(Layers()));
}

void ExpectSame(void (*change)(std::vector<TestNode>*)) {
  std::vector<TestNode> nodes = Layers();
  change(&nodes);
  EXPECT_EQ(FingerprintOf(nodes), FingerprintOf(Layers()));
}

TEST(Fingerprint, ChangesWithWhatIsExecuted) {
  using Nodes = std::vector<TestNode>*;
  ExpectDifferent([](Nodes n) { (*n)[3].op = "Tanh"; });
  ExpectDifferent(
      [](Nodes n) { (*n)[2].attrs[1].second = BoolAttrValue(true); });
  ExpectDifferent([](Nodes n) {
    (*n)[0].attrs[2].second = ShapeListAttr({{8, 4}});  // of a source
  });
  ExpectDifferent([](Nodes n) {
    (*n)[1].attrs[1].second = FloatTensorAttr({4, 4}, {0.5f});
  });
  ExpectDifferent(
      [](Nodes n) { std::swap((*n)[2].inputs[0], (*n)[2].inputs[1]); });
  ExpectDifferent([](Nodes n) { (*n)[5].inputs[0] = "x"; });
  ExpectDifferent([](Nodes n) { (*n)[6].inputs.push_back("^x"); });
  ExpectDifferent([](Nodes n) { n->pop_back(); });
  ExpectDifferent([](Nodes n) { n->push_back({"extra", "NoOp", {}, {}}); });
  ExpectDifferent([](Nodes n) {
    (*n)[n->size() - 2].attrs[0].second = FuncAttr("__inference_cond_123");
  });
}

TEST(Fingerprint, DoesNotChangeWithDevicesMarksAndMadeUpNames) {
  using Nodes = std::vector<TestNode>*;
  ExpectSame([](Nodes n) { (*n)[3].device = "/device:GPU:1"; });
  ExpectSame([](Nodes n) {
    (*n)[3].attrs.push_back({"_XlaCompile", BoolAttrValue(true)});
  });
  ExpectSame([](Nodes n) {
    (*n)[3].attrs.push_back({"_output_shapes", ShapeListAttr({{1}})});
  });
  ExpectSame([](Nodes n) {
    (*n)[3].attrs.push_back({"shared_name", StringAttrValue("v_17")});
  });
  ExpectSame([](Nodes n) {
    (*n)[3].attrs.push_back({"seed2", IntAttrValue(7)});
  });
  ExpectSame([](Nodes n) {
    (*n)[n->size() - 2].attrs[0].second = FuncAttr("__inference_body_456");
  });
}

TEST(Fingerprint, SamplesALargeConstant) {
  const auto with = [](std::vector<float> values) {
    const std::string bytes =
        GraphBuilder().Const("c", {1 << 16}, values).Retval("r", "c").Build();
    return Parse(bytes).fingerprint();
  };
  std::vector<float> values(1 << 16, 1.0f);
  const Fingerprint before = with(values);
  EXPECT_EQ(with(values), before);
  for (float& v : values) v += 1.0f;
  EXPECT_NE(with(values), before);
  values.assign(1 << 16, 1.0f);
  values.back() = 2.0f;
  EXPECT_NE(with(values), before);
}

TEST(Fingerprint, DoesNotDependOnWhoAsks) {
  const std::string bytes = Build(Layers());
  ParseOptions options;
  options.infer_shapes = false;
  options.fetches = {"call"};
  EXPECT_EQ(OpGraph::Parse(bytes, options)->fingerprint(),
            Parse(bytes).fingerprint());
}

// Saved plans carry fingerprints: this value may only change together with the
// plan format's version.
TEST(Fingerprint, IsStableAcrossReleases) {
  const std::string bytes = GraphBuilder()
                                .Arg("x", {2, 3})
                                .Node("y", "Abs", {"x"}, {{"T", kType}})
                                .Node("z", "Neg", {"x", "^y"}, {{"T", kType}})
                                .Retval("r", "y")
                                .Build();
  EXPECT_EQ(Parse(bytes).fingerprint().ToString(),
            "b5886e7d9c348dfb775dba588ed4413c");
}

TEST(Fingerprint, RoundTripsThroughText) {
  const Fingerprint f{0x0123456789abcdef, 0xfedcba9876543210};
  EXPECT_EQ(f.ToString(), "0123456789abcdeffedcba9876543210");
  const StatusOr<Fingerprint> back = Fingerprint::FromString(f.ToString());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, f);
}

TEST(Fingerprint, RejectsTextThatIsNotOne) {
  EXPECT_FALSE(Fingerprint::FromString("").ok());
  EXPECT_FALSE(Fingerprint::FromString(std::string(31, '0')).ok());
  EXPECT_FALSE(Fingerprint::FromString(std::string(31, '0') + "g").ok());
  EXPECT_FALSE(Fingerprint::FromString(std::string(33, '0')).ok());
}

TEST(HashBytes, TellsStringsApartByEveryByteLengthAndSeed) {
  std::set<uint64_t> seen;
  std::string text;
  for (int length = 0; length < 70; ++length, text.push_back('\0')) {
    EXPECT_TRUE(seen.insert(HashBytes(text, 0)).second) << length;
    EXPECT_TRUE(seen.insert(HashBytes(text, 1)).second) << length;
    for (int i = 0; i < length; ++i) {
      std::string changed = text;
      changed[i] = 1;
      EXPECT_TRUE(seen.insert(HashBytes(changed, 0)).second) << length << i;
    }
  }
}

}  // namespace
}  // namespace grappler_go

#include "cc/graph/frames.h"

#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};

GraphBuilder::Attrs InFrame(const std::string& name) {
  return {{"T", TypeAttrValue(kFloat)}, {"frame_name", StringAttrValue(name)}};
}

TEST(Frames, AGraphWithoutLoopsHasNone) {
  const std::string bytes =
      GraphBuilder().Arg("x", {4}).Node("a", "Tanh", {"x"}, kT).Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  EXPECT_TRUE(FindFrames(*graph).frames.empty());
  EXPECT_TRUE(LoopEntries(*graph).empty());
}

TEST(Frames, ALoopWithinALoopIsAFrameWithinAFrame) {
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {4})
          .Node("in", "Enter", {"x"}, InFrame("outer"))
          .Node("within", "Enter", {"in"}, InFrame("inner"))
          .Node("other", "Enter", {"in"}, InFrame("inner"))
          .Node("body", "AddV2", {"within", "other"}, kT)
          .Node("less", "Less", {"body", "body"}, kT)
          .Node("cond", "LoopCond", {"less"})
          .Node("back", "Exit", {"body"}, kT)
          .Node("out", "Exit", {"back"}, kT)
          .Node("after", "Tanh", {"out"}, kT)
          .Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Frames found = FindFrames(*graph);
  auto op = [&](const char* name) { return graph->find(name); };
  ASSERT_EQ(found.frames.size(), 3u);
  EXPECT_EQ(found.frames[1].parent, 0);
  EXPECT_EQ(found.frames[2].parent, 1);
  EXPECT_EQ(found.frames[2].condition, op("cond"));
  EXPECT_EQ(found.frames[1].condition, -1);
  // Enter and Exit run in the frame around their loop.
  EXPECT_EQ(found.runs_in[op("in")], 0);
  EXPECT_EQ(found.after[op("in")], 1);
  EXPECT_EQ(found.runs_in[op("within")], 1);
  EXPECT_EQ(found.runs_in[op("body")], 2);
  EXPECT_EQ(found.runs_in[op("back")], 1);
  EXPECT_EQ(found.after[op("out")], 0);
  EXPECT_EQ(found.runs_in[op("after")], 0);
  for (const auto& [enter, condition] : LoopEntries(*graph)) {
    EXPECT_TRUE(enter == op("within") || enter == op("other"));
    EXPECT_EQ(condition, op("cond"));
  }
  EXPECT_EQ(LoopEntries(*graph).size(), 2u);
}

}  // namespace
}  // namespace grappler_go

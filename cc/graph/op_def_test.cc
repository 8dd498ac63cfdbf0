#include "cc/graph/op_def.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "cc/graph/op_def_table.h"

namespace grappler_go {
namespace {

TEST(OpDef, SaysThatAnOpOutsideTheTableIsUnknown) {
  const OpDef* def = FindOpDef("MyCompanyFancyOp");
  ASSERT_NE(def, nullptr);
  EXPECT_FALSE(def->known);
  EXPECT_EQ(def->num_outputs, -1);
  EXPECT_FALSE(def->xla_cpu);
  EXPECT_EQ(def, FindOpDef(""));
}

TEST(OpDef, NamesEachOpOnce) {
  std::set<std::string_view> names;
  for (const OpFamily& family : OpFamilies()) {
    for (const OpRow& row : Span<OpRow>(family.rows, family.size)) {
      EXPECT_TRUE(names.insert(row.name).second) << row.name;
      EXPECT_EQ(FindOpDef(row.name)->op_class, family.op_class) << row.name;
    }
  }
  EXPECT_GT(names.size(), 400u);
}

TEST(OpDef, GivesTheFactsTensorFlowRegisters) {
  const OpDef* read = FindOpDef("ReadVariableOp");
  EXPECT_TRUE(read->known && read->stateful && read->reads_variable);
  EXPECT_FALSE(read->writes_variable);
  EXPECT_TRUE(read->xla_cpu);

  const OpDef* adam = FindOpDef("ResourceApplyAdam");
  EXPECT_EQ(adam->op_class, OpClass::kOptimizer);
  EXPECT_TRUE(adam->reads_variable && adam->writes_variable);
  EXPECT_EQ(adam->num_outputs, 0);

  EXPECT_EQ(FindOpDef("FusedBatchNormV3")->num_outputs, 6);
  EXPECT_EQ(FindOpDef("FusedBatchNormGradV3")->num_outputs, 5);
  EXPECT_EQ(FindOpDef("LSTMBlockCell")->num_outputs, 7);
  EXPECT_FALSE(FindOpDef("LSTMBlockCell")->xla_cpu);
  EXPECT_FALSE(FindOpDef("_FusedMatMul")->xla_cpu);
  EXPECT_TRUE(FindOpDef("_FusedMatMul")->remapped);
  EXPECT_TRUE(FindOpDef("VariableV2")->ref_output);
}

TEST(OpDef, KnowsWhichAttributeHoldsTheNumberOfOutputs) {
  EXPECT_EQ(FindOpDef("Split")->outputs_attr, "num_split");
  EXPECT_EQ(FindOpDef("Unpack")->outputs_attr, "num");
  EXPECT_EQ(FindOpDef("IdentityN")->outputs_attr, "T");
  EXPECT_EQ(FindOpDef("StatefulPartitionedCall")->outputs_attr, "Tout");
  EXPECT_EQ(FindOpDef("IteratorGetNext")->outputs_attr, "output_types");
}

TEST(OpDef, CountsStatelessRandomOpsAsRandom) {
  EXPECT_TRUE(FindOpDef("StatelessRandomUniformV2")->random);
  EXPECT_FALSE(FindOpDef("StatelessRandomUniformV2")->stateful);
  EXPECT_TRUE(FindOpDef("RandomStandardNormal")->random);
  EXPECT_TRUE(FindOpDef("RandomStandardNormal")->stateful);
}

TEST(OpDef, TreatsAStatefulCallAsTouchingAnyVariable) {
  EXPECT_TRUE(FindOpDef("StatefulPartitionedCall")->writes_variable);
  EXPECT_FALSE(FindOpDef("PartitionedCall")->writes_variable);
}

TEST(OpDef, HasANameForEachClass) {
  std::set<std::string> names;
  for (int c = 0; c < static_cast<int>(OpClass::kNumClasses); ++c) {
    names.insert(OpClassName(static_cast<OpClass>(c)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(OpClass::kNumClasses));
  EXPECT_EQ(names.count("?"), 0u);
}

}  // namespace
}  // namespace grappler_go

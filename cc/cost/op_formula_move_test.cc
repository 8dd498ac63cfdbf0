// Ops that move data more than they compute, against numbers worked out by
// hand.
#include <vector>

#include "cc/cost/op_formula_test_util.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

TEST(OpFormula, CopiesMoveWhatTheyReturn) {
  GraphBuilder builder;
  builder.Arg("x", {4, 8}).Arg("y", {4, 2}).IntConst("axis", {}, {1});
  builder
      .Node("concat", "ConcatV2", {"x", "y", "axis"}, {{"N", IntAttrValue(2)}})
      .Node("split", "Split", {"axis", "x"}, {{"num_split", IntAttrValue(2)}})
      .IntConst("perm", {2}, {1, 0})
      .Node("transpose", "Transpose", {"x", "perm"})
      .IntConst("times", {2}, {3, 1})
      .Node("tile", "Tile", {"x", "times"})
      .IntConst("paddings", {2, 2}, {1, 1, 0, 0})
      .Node("pad", "Pad", {"x", "paddings"})
      .IntConst("begin", {2}, {0, 0})
      .IntConst("size", {2}, {2, 8})
      .Node("slice", "Slice", {"x", "begin", "size"});
  ExpectWork(CostIn(builder, "concat"), 0, 4 * (32 + 8 + 1), 4 * 40);
  ExpectWork(CostIn(builder, "split"), 0, 4 * (1 + 32), 4 * 32);
  ExpectWork(CostIn(builder, "transpose"), 0, 4 * (32 + 2), 4 * 32);
  ExpectWork(CostIn(builder, "tile"), 0, 4 * (32 + 2), 4 * 96);
  ExpectWork(CostIn(builder, "pad"), 0, 4 * (32 + 4), 4 * 48);
  ExpectWork(CostIn(builder, "slice"), 0, 4 * (16 + 4), 4 * 16);
}

TEST(OpFormula, MemoryThatNobodySetsIsNotWritten) {
  GraphBuilder builder;
  builder.IntConst("shape", {1}, {100})
      .Node("empty", "Empty", {"shape"}, {{"dtype", TypeAttrValue(kFloat)}})
      .Node("zeros", "Empty", {"shape"},
            {{"dtype", TypeAttrValue(kFloat)}, {"init", BoolAttrValue(true)}});
  ExpectWork(CostIn(builder, "empty"), 0, 0, 0);
  ExpectWork(CostIn(builder, "zeros"), 0, 0, 400);
}

TEST(OpFormula, ScattersAndSegmentsAddEachElement) {
  ExpectWork(Cost("TensorScatterAdd", {{{100, 4}}, {{5, 1}, kInt32}, {{5, 4}}}),
             20, 4 * (400 + 5 + 20), 4 * 400);
  EXPECT_EQ(
      Cost("TensorScatterUpdate", {{{100, 4}}, {{5, 1}, kInt32}, {{5, 4}}})
          .flops,
      0);
  GraphBuilder builder;
  builder.Arg("data", {20, 4})
      .Arg("ids", {20}, kInt32)
      .IntConst("count", {}, {6})
      .Node("op", "UnsortedSegmentSum", {"data", "ids", "count"});
  ExpectWork(CostIn(builder), 80, 4 * (80 + 20 + 1), 4 * 24);
}

TEST(OpFormula, EmbeddingSumsReadTheRowsTheyName) {
  const std::vector<In> inputs = {
      {{100000, 16}}, {{8}, kInt32}, {{8}, kInt32}, Int(3)};
  ExpectWork(Cost("SparseSegmentSumWithNumSegments", inputs), 8 * 16,
             4 * (8 * 16 + 8 + 8 + 1), 4 * 48);
  EXPECT_EQ(Cost("SparseSegmentMeanWithNumSegments", inputs).flops,
            8 * 16 + 48);
  const std::vector<In> gradient = {
      {{3, 16}}, {{8}, kInt32}, {{8}, kInt32}, Int(100000)};
  ExpectWork(Cost("SparseSegmentMeanGrad", gradient), 2 * 8 * 16,
             4 * (8 * 16 + 8 + 8 + 1), 4 * 1600000);
}

TEST(OpFormula, SearchesAreLogarithmic) {
  ExpectWork(Cost("LowerBound", {{{2, 1024}}, {{2, 7}}},
                  {{"out_type", TypeAttrValue(kInt32)}}),
             14 * 10, 4 * (2048 + 14), 4 * 14);
  EXPECT_EQ(Flops("SparseReorder", {{{64, 2}, kInt64}, {{64}}, {{2}, kInt64}},
                  {}, {}),
            64 * 6);
  EXPECT_EQ(Flops("ListDiff", {{{6}}, {{4}}}, {}, {}), 10);
  // 64 boxes sorted by score, and each compared with one that is kept. What is
  // returned depends on the values.
  ExpectWork(Cost("NonMaxSuppressionV3", {{{64, 4}}, {{64}}, Int(10)}),
             64 * 6 + 16 * 64, 4 * (256 + 64 + 1), 0);
}

TEST(OpFormula, ListsAndArraysCopyOnlyWhereTheyChangeShape) {
  ExpectWork(Cost("TensorListStack", {{{}, 21}, Ints({8})},
                  {{"element_dtype", TypeAttrValue(kFloat)},
                   {"num_elements", IntAttrValue(5)}}),
             0, 160, 160);
  ExpectWork(Cost("TensorListGetItem", {{{}, 21}, {{}, kInt32}}, {}, {{8}}), 0,
             0, 0);
  ExpectWork(Cost("TensorArrayScatterV3",
                  {{{2}, kResource}, {{5}, kInt32}, {{5, 8}}, {{}}}, {}, {{}}),
             0, 160, 160);
}

TEST(OpFormula, LookUpsReadEachKey) {
  // A table, 8 keys, a default: 8 values of 4 bytes.
  ExpectWork(
      Cost("LookupTableFindV2", {{{}, kResource}, {{8}, kInt64}, {{}, kInt32}},
           {{"Tin", TypeAttrValue(kInt64)}, {"Tout", TypeAttrValue(kInt32)}},
           {{8}}),
      8, 8 * 8 + 4, 4 * 8);
}

}  // namespace
}  // namespace grappler_go

// Random numbers, linear algebra, spectra and CTC against numbers worked out by
// hand.
#include <vector>

#include "cc/cost/op_formula_test_util.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

TEST(OpFormula, RandomNumbers) {
  ExpectWork(
      Cost("RandomUniform", {Ints({100})}, {{"dtype", TypeAttrValue(kFloat)}}),
      kT * 100, 4, 400);
  ExpectWork(Cost("RandomShuffle", {{{10, 30}}}), kT * 10, 1200, 1200);
  ExpectWork(Cost("RandomGamma", {Ints({100}), {{}}}), 3 * kT * 100, 8, 400);
  ExpectWork(Cost("Multinomial", {{{2, 8}}, Int(5)},
                  {{"output_dtype", TypeAttrValue(kInt64)}}),
             16 * (kT + 1) + 10 * (kT + 3), 4 * 17, 8 * 10);
  ExpectWork(
      Cost("UniformCandidateSampler", {{{4, 2}, kInt64}},
           {{"num_sampled", IntAttrValue(6)}, {"num_true", IntAttrValue(2)}}),
      kT * (6 + 8 + 6), 64, 8 * 6 + 4 * (8 + 6));
}

TEST(OpFormula, DenseLinearAlgebra) {
  const std::vector<In> square = {{{3, 6, 6}}};
  const std::vector<Dims> same = {{3, 6, 6}};
  EXPECT_NEAR(Flops("Cholesky", square, {}, same), 3 * 216 / 3.0, 1e-9);
  EXPECT_NEAR(Flops("MatrixInverse", square, {}, same), 3 * 432, 1e-9);
  EXPECT_NEAR(Flops("MatrixDeterminant", square, {}, {{3}}), 3 * 144, 1e-9);
  const std::vector<In> system = {{{3, 6, 6}}, {{3, 6, 2}}};
  EXPECT_NEAR(Flops("MatrixSolve", system, {}, {{3, 6, 2}}),
              3 * (144 + 2 * 36 * 2), 1e-9);
  EXPECT_NEAR(Flops("MatrixTriangularSolve", system, {}, {{3, 6, 2}}),
              3 * 36 * 2, 1e-9);
  EXPECT_NEAR(Flops("SelfAdjointEigV2", square,
                    {{"compute_v", BoolAttrValue(true)}}, {{3, 6}, {3, 6, 6}}),
              3 * 9 * 216, 1e-9);
  EXPECT_NEAR(Flops("SelfAdjointEigV2", square,
                    {{"compute_v", BoolAttrValue(false)}}, {{3, 6}, {0}}),
              3 * 288, 1e-9);
}

TEST(OpFormula, DecompositionsOfTallMatrices) {
  const std::vector<In> tall = {{{10, 6}}};
  // R: 2 m n^2 - 2 n^3 / 3 = 576; as much again for the thin Q.
  EXPECT_NEAR(Flops("Qr", tall, {}, {{10, 6}, {6, 6}}), 1152, 1e-9);
  // The full Q: 4 (600 - 360 + 72) = 1248.
  EXPECT_NEAR(Flops("Qr", tall, {{"full_matrices", BoolAttrValue(true)}},
                    {{10, 10}, {10, 6}}),
              576 + 1248, 1e-9);
  const std::vector<Dims> thin = {{6}, {10, 6}, {6, 6}};
  EXPECT_NEAR(Flops("Svd", tall, {{"compute_uv", BoolAttrValue(false)}}, thin),
              4 * 360 - 288, 1e-9);
  EXPECT_NEAR(Flops("Svd", tall, {}, thin), 14 * 360 + 8 * 216, 1e-9);
  EXPECT_NEAR(
      Flops("Svd", tall, {{"full_matrices", BoolAttrValue(true)}}, thin),
      4 * 600 + 8 * 360 + 9 * 216, 1e-9);
}

TEST(OpFormula, SpectraOfAllTransformedDimensions) {
  constexpr int kComplex64 = 8;
  const In signal = {{3, 8, 16}, kComplex64};
  const Attrs complex = {{"Tcomplex", TypeAttrValue(kComplex64)}};
  const Attrs real = {{"Treal", TypeAttrValue(kFloat)},
                      {"Tcomplex", TypeAttrValue(kComplex64)}};
  EXPECT_EQ(Cost("FFT", {signal}, complex).flops, 5 * 384 * 4);
  ExpectWork(Cost("FFT2D", {signal}, complex), 5 * 384 * 7, 8 * 384, 8 * 384);
  EXPECT_EQ(Cost("IFFT2D", {signal}, complex).flops, 5 * 384 * 7);
  ExpectWork(Cost("RFFT", {{{3, 16}}, Ints({16})}, real), 2.5 * 48 * 4, 4 * 49,
             8 * 27);
  ExpectWork(Cost("IRFFT", {{{3, 9}, kComplex64}, Ints({16})}, real),
             2.5 * 48 * 4, 8 * 27 + 4, 4 * 48);
}

TEST(OpFormula, CtcAlignsLabelsWithFrames) {
  // 10 frames of 2 sequences over 5 classes, 7 labels in all: 2 * 7 + 2 states.
  const double flops = Flops(
      "CTCLoss", {{{10, 2, 5}}, {{7, 2}, kInt64}, {{7}, kInt32}, {{2}, kInt32}},
      {}, {{2}, {10, 2, 5}});
  EXPECT_EQ(flops, 100 * (kT + 4) + 10 * 16 * 2 * 2 * 2 * kT);
}

}  // namespace
}  // namespace grappler_go

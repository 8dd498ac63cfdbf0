#include "cc/schema/logits.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace grappler_go {
namespace {

Logits Valid() {
  Logits logits;
  logits.num_ops = 3;
  logits.num_devices = 2;
  logits.device.assign(6, 0.5f);
  logits.fusion.assign(3, 1.0f);
  logits.schedule.assign(3, -1.0f);
  logits.recompute.assign(3, 0.0f);
  logits.op_micros.assign(3, 2.0f);
  logits.fused_micros.assign(3, 1.0f);
  return logits;
}

std::string Message(const Logits& logits) {
  const Status status = ValidateLogits(logits, 3, 2);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  return status.message();
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ValidateLogits, AcceptsEveryTaskAndNone) {
  EXPECT_TRUE(ValidateLogits(Valid(), 3, 2).ok());
  Logits none;
  none.num_ops = 3;
  EXPECT_TRUE(ValidateLogits(none, 3, 2).ok());
}

TEST(ValidateLogits, RejectsAnotherNumberOfOpsOrDevices) {
  Logits logits = Valid();
  logits.num_ops = 4;
  EXPECT_TRUE(Contains(Message(logits), "4 ops; the graph has 3"));
  logits = Valid();
  logits.num_devices = 1;
  EXPECT_TRUE(Contains(Message(logits), "1 devices; the machine has 2"));
}

TEST(ValidateLogits, NamesTheArrayOfTheWrongSizeAndWhatWasExpected) {
  Logits logits = Valid();
  logits.device.pop_back();
  EXPECT_TRUE(Contains(Message(logits), "\"device\" have 5 values; expected 6"))
      << Message(logits);
  std::vector<float> Logits::*const per_op[] = {
      &Logits::fusion, &Logits::schedule, &Logits::recompute,
      &Logits::op_micros, &Logits::fused_micros};
  for (const auto array : per_op) {
    logits = Valid();
    (logits.*array).push_back(0.0f);
    EXPECT_TRUE(Contains(Message(logits), "have 4 values; expected 3"));
  }
}

TEST(ValidateLogits, RejectsNanAndInfinityAndNamesTheOp) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    Logits logits = Valid();
    logits.device[5] = bad;
    EXPECT_TRUE(Contains(Message(logits), "for op 2;")) << Message(logits);
    logits = Valid();
    logits.recompute[1] = bad;
    EXPECT_TRUE(Contains(Message(logits), "\"recompute\""));
  }
}

TEST(ValidateLogits, RejectsHalfOfTheTimes) {
  Logits logits = Valid();
  logits.fused_micros.clear();
  EXPECT_TRUE(Contains(Message(logits), "give both or none"));
}

}  // namespace
}  // namespace grappler_go

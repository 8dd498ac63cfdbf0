#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/plan/plan.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

Plan SomePlan() {
  Plan plan;
  plan.fingerprint = {0x0123456789abcdefu, 0xfedcba9876543210u};
  plan.num_ops = 5;
  plan.machine = "here \"2\" cores";
  plan.policy = "scorer-1.0";
  plan.devices = {"/device:CPU:0", "/device:CPU:1"};
  plan.device = {-1, 1, -1, 0, -1};
  plan.fusion_group = {0, 0, -1, 1, 1};
  plan.recompute = {0, 0, 1, 0, 0};
  plan.order = {{3, 4}, {0, 2}};
  plan.micros_before = 0.1;
  plan.micros_after = 12345.678901234567;
  plan.peak_bytes_before = 5'000'000'000;
  plan.peak_bytes_after = 1;
  return plan;
}

void ExpectSame(const Plan& a, const Plan& b) {
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_EQ(a.num_ops, b.num_ops);
  EXPECT_EQ(a.machine, b.machine);
  EXPECT_EQ(a.policy, b.policy);
  EXPECT_EQ(a.devices, b.devices);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.fusion_group, b.fusion_group);
  EXPECT_EQ(a.recompute, b.recompute);
  EXPECT_EQ(a.order, b.order);
  EXPECT_EQ(a.priority, b.priority);
  EXPECT_EQ(a.free_state, b.free_state);
  EXPECT_EQ(a.turn_bytes, b.turn_bytes);
  EXPECT_EQ(a.micros_before, b.micros_before);
  EXPECT_EQ(a.micros_after, b.micros_after);
  EXPECT_EQ(a.peak_bytes_before, b.peak_bytes_before);
  EXPECT_EQ(a.peak_bytes_after, b.peak_bytes_after);
}

Plan RoundTrip(const Plan& plan) {
  StatusOr<Plan> read = PlanFromJson(PlanToJson(plan, nullptr));
  EXPECT_TRUE(read.ok()) << read.status().message();
  return *read;
}

std::string Replaced(std::string text, const std::string& from,
                     const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(PlanJson, AllThatAPlanHoldsComesBack) {
  ExpectSame(RoundTrip(SomePlan()), SomePlan());
}

TEST(PlanJson, ThatAPlanIsForSimulationsOnlyIsKept) {
  Plan plan = SomePlan();
  EXPECT_EQ(PlanToJson(plan, nullptr).find("free_state"), std::string::npos);
  plan.free_state = true;
  ExpectSame(RoundTrip(plan), plan);
  plan.priority = {0.0f, 2.5f, -1.0f, 0.0f, 1e9f};
  ExpectSame(RoundTrip(plan), plan);
  plan.priority.assign(plan.num_ops, 0.0f);
  ExpectSame(RoundTrip(plan), plan);
}

TEST(PlanJson, ThatLargeTensorsTakeTurnsIsKept) {
  Plan plan = SomePlan();
  EXPECT_EQ(PlanToJson(plan, nullptr).find("turn_bytes"), std::string::npos);
  plan.turn_bytes = int64_t{5} << 30;
  ExpectSame(RoundTrip(plan), plan);
}

TEST(PlanJson, FilesOfVersion1_2SayOnlyThatTheyTakeTurns) {
  Plan plan = SomePlan();
  plan.turn_bytes = 7;
  std::string text =
      Replaced(PlanToJson(plan, nullptr), R"("1.3")", R"("1.2")");
  text = Replaced(text, R"("turn_bytes": 7)", R"("in_turn": true)");
  const StatusOr<Plan> read = PlanFromJson(text);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->turn_bytes, 1);
}

TEST(PlanJson, WhatWasNotDecidedStaysApartFromWhatWasDecidedAsNothing) {
  Plan plan = SomePlan();
  plan.device.clear();
  plan.fusion_group.assign(5, -1);
  plan.recompute.clear();
  plan.order.clear();
  ExpectSame(RoundTrip(plan), plan);
  ExpectSame(RoundTrip(Plan()), Plan());
}

TEST(PlanJson, ShowsNamesAndTypesOfTheGraph) {
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {2})
          .Node("dense/Tanh", "Tanh", {"x"}, {{"T", TypeAttrValue(kFloat)}})
          .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  Plan plan;
  plan.num_ops = 2;
  plan.fusion_group = {-1, 0};
  EXPECT_NE(
      PlanToJson(plan, &*graph)
          .find(R"({"op":1,"name":"dense/Tanh","type":"Tanh","group":0})"),
      std::string::npos);
}

TEST(PlanJson, AGroupThatAPersonDeletedLeavesNoGap) {
  const std::string text = PlanToJson(SomePlan(), nullptr);
  std::string edited = Replaced(text, R"({"op":0,"group":0})", R"({"op":0})");
  edited = Replaced(edited, R"("device":"/device:CPU:1","group":0)",
                    R"("device":"/device:CPU:1")");
  const StatusOr<Plan> plan = PlanFromJson(edited);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(plan->fusion_group, (std::vector<int32_t>{-1, -1, -1, 0, 0}));
}

TEST(PlanJson, ErrorsSayWhereAndWhatWasExpected) {
  const std::string text = PlanToJson(SomePlan(), nullptr);
  const struct {
    const char *from, *to, *message;
  } kCases[] = {
      {"grappler-go-plan", "plan", R"("format" should be "grappler-go-plan")"},
      {R"("1.3")", R"("one")", R"("version" should be like "1.0", got "one")"},
      {R"("version")", R"("ver")", R"("version" should be like "1.0", got no)"},
      {"0123456789", "xyz", R"("fingerprint" should be 32 hexadecimal digits)"},
      {R"("num_ops": 5)", R"("num_ops": -5)", R"("num_ops" should be a whole)"},
      {R"("num_ops": 5)", R"("num_ops": 99999999999999999999)",
       R"("num_ops" should be a whole)"},
      {R"("num_ops": 5)", R"("num_ops": 3)",
       R"("op" should be a whole number from 0 to 2, got 3)"},
      {R"("device":"/device:CPU:0")", R"("device":"/device:CPU:7")",
       R"(op 3: "device" should be one of the names in "devices", got)"},
      {R"("recompute":true)", R"("recompute":"yes")",
       R"(op 2: "recompute" should be true or false, got "yes")"},
      {R"({"op":4,"group":1})", R"({"op":4,"name":"n","group":-3})",
       R"(op 4 (n): "group" should be a whole number from 0 to 4, got -3)"},
      {R"({"op":4,"group":1})", R"({"op":4,"priority":"high"})",
       R"(op 4: "priority" should be a number, got "high")"},
      {R"({"op":4,"group":1})", R"({"op":3,"group":1})",
       "op 3 is listed twice"},
      {R"({"op":4,"group":1})", R"({"group":1})",
       R"("op" should be an op num)"},
      {"[3,4]", "[3]", "order[0] should be a pair of op numbers, got [3]"},
      {"[0,2]", "[0,2.5]", "order[1] should be a whole number"},
      {R"("micros_before":0.1)", R"("micros_before":-1)",
       R"(predicted: "micros_before" should be a number of microseconds)"},
      {R"(["device",)", R"(["devices",)", R"("decided" should be a list of)"},
      {"{", "", "not JSON"},
  };
  for (const auto& test : kCases) {
    const StatusOr<Plan> plan =
        PlanFromJson(Replaced(text, test.from, test.to));
    ASSERT_FALSE(plan.ok()) << test.to;
    EXPECT_EQ(plan.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(plan.status().message().find(test.message), std::string::npos)
        << plan.status().message() << "\nshould have: " << test.message;
  }
}

TEST(PlanJson, AnotherMajorVersionIsAPrecondition) {
  const std::string text = PlanToJson(SomePlan(), nullptr);
  const StatusOr<Plan> newer =
      PlanFromJson(Replaced(text, R"("1.3")", R"("2.0")"));
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(PlanFromJson(Replaced(text, R"("1.3")", R"("1.7")")).ok());
}

TEST(PlanJson, FieldsOfALaterMinorVersionAreIgnored) {
  const std::string text = Replaced(PlanToJson(SomePlan(), nullptr),
                                    R"("num_ops")", R"("new": 1, "num_ops")");
  const StatusOr<Plan> plan = PlanFromJson(text);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ExpectSame(*plan, SomePlan());
}

TEST(PlanJson, NothingThatIsNotAPlanCrashes) {
  for (const char* text : {"", "[]", "null", "3", "{}", "{\"format\":3}",
                           "{\"ops\":{}}", "\xff\xfe", "[[[[[["}) {
    EXPECT_FALSE(PlanFromJson(text).ok()) << text;
  }
}

}  // namespace
}  // namespace grappler_go

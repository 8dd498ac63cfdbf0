#include "cc/plugin/policy_runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

using std::chrono::milliseconds;

class FunctionPolicy : public Policy {
 public:
  using Function = std::function<StatusOr<Decision>(const PolicyInput&)>;
  explicit FunctionPolicy(Function function) : function_(std::move(function)) {}
  std::string name() const override { return "test"; }
  StatusOr<Decision> Decide(const PolicyInput& input) override {
    return function_(input);
  }

 private:
  Function function_;
};

// A gate that closed threads wait at.
class Gate {
 public:
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    opened_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

std::shared_ptr<const PolicyContext> MakeContext() {
  auto context = std::make_shared<PolicyContext>();
  context->graphdef = GraphBuilder().Arg("x", {2, 3}).Retval("y", "x").Build();
  context->graph.emplace(
      std::move(*OpGraph::Parse(context->graphdef, ParseOptions())));
  return context;
}

StatusOr<Decision> AskWithin(const std::shared_ptr<Policy>& policy,
                             milliseconds budget = milliseconds(10000)) {
  return RunPolicy(policy, MakeContext(),
                   std::chrono::steady_clock::now() + budget);
}

TEST(PolicyRunner, HandsOverTheAnswerAndKnowsItsThreads) {
  bool inside = false;
  const auto policy = std::make_shared<FunctionPolicy>([&](const PolicyInput&) {
    inside = OnPolicyThread();
    Decision decision;
    decision.logits.emplace().fusion = {1, 2};
    return decision;
  });
  StatusOr<Decision> decision = AskWithin(policy);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->logits->fusion.size(), 2u);
  EXPECT_TRUE(inside);
  EXPECT_FALSE(OnPolicyThread());
}

TEST(PolicyRunner, TurnsExceptionsIntoErrors) {
  StatusOr<Decision> thrown = AskWithin(std::make_shared<FunctionPolicy>(
      [](const PolicyInput&) -> StatusOr<Decision> {
        throw std::runtime_error("on fire");
      }));
  ASSERT_FALSE(thrown.ok());
  EXPECT_NE(thrown.status().message().find("on fire"), std::string::npos);
  EXPECT_FALSE(
      AskWithin(std::make_shared<FunctionPolicy>(
                    [](const PolicyInput&) -> StatusOr<Decision> { throw 7; }))
          .ok());
}

TEST(PolicyRunner, AbandonsAPolicyThatHangsWithWhatItUsesStillAlive) {
  const auto gate = std::make_shared<Gate>();
  const auto seen = std::make_shared<std::promise<std::string>>();
  std::future<std::string> name = seen->get_future();
  const auto policy =
      std::make_shared<FunctionPolicy>([gate, seen](const PolicyInput& input) {
        gate->Wait();
        // The caller is long gone; the sanitizer watches these reads.
        std::string names;
        for (int32_t i = 0; i < input.graph.num_ops(); ++i) {
          names += std::string(input.graph.name(i)) + " ";
        }
        seen->set_value(names);
        return Decision();
      });
  StatusOr<Decision> decision = AskWithin(policy, milliseconds(20));
  EXPECT_EQ(decision.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(decision.status().message(), "policy ran past the deadline");
  gate->Open();
  EXPECT_NE(name.get().find("x "), std::string::npos);
}

TEST(PolicyRunner, DoesNotAskAPolicyThatHungTwice) {
  const auto gate = std::make_shared<Gate>();
  std::atomic<int> asked{0};
  const auto policy =
      std::make_shared<FunctionPolicy>([gate, &asked](const PolicyInput&) {
        ++asked;
        gate->Wait();
        return Decision();
      });
  for (int i = 0; i < 4; ++i)
    EXPECT_FALSE(AskWithin(policy, milliseconds(50)).ok());
  EXPECT_EQ(asked, kMaxAbandoned);
  EXPECT_NE(AskWithin(policy).status().message().find("not asked any more"),
            std::string::npos);
  // Another policy is.
  EXPECT_TRUE(
      AskWithin(std::make_shared<FunctionPolicy>([](const PolicyInput&) {
        return Decision();
      })).ok());
  gate->Open();
}

TEST(PolicyRunner, EndsARecursionThroughOtherThreads) {
  std::shared_ptr<Policy> policy;
  std::atomic<int> depth{0};
  policy = std::make_shared<FunctionPolicy>([&](const PolicyInput&) {
    ++depth;
    StatusOr<Decision> inner = AskWithin(policy);
    return inner;
  });
  StatusOr<Decision> decision = AskWithin(policy);
  EXPECT_NE(decision.status().message().find("too many policies"),
            std::string::npos);
  EXPECT_LE(depth, kMaxPoliciesAtOnce);
}

}  // namespace
}  // namespace grappler_go
